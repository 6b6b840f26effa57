# SPDX-License-Identifier: MIT
"""PyTorch: operations of many kinds against the CPU's results, copies, streams, events, memory."""

import threading

import torch
from snippet import check, end, result, timed

torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
torch.manual_seed(1)
gpu = torch.device("cuda")

result("device", torch.cuda.get_device_name(), torch.cuda.device_count(), *torch.cuda.get_device_capability())
free, total = torch.cuda.mem_get_info()
check("there is memory", 0 < free <= total)


def same(name, function, *inputs, tolerance=1e-4):
    """Runs @function on the CPU in double precision where it can, and on the GPU."""
    want = function(*(value.double() if value.is_floating_point() else value for value in inputs))
    have = function(*(value.to(gpu) for value in inputs)).cpu()
    want = want.to(have.dtype)
    if have.is_floating_point():
        scale = max(want.abs().max().item(), 1e-6)
        worst = (have - want).abs().max().item() / scale
        check(name, have.shape == want.shape and worst < tolerance, f"off by {worst:.2e}")
    else:
        check(name, torch.equal(have, want))


a, b = torch.randn(257, 311), torch.randn(311, 129)
image, weight = torch.randn(4, 8, 33, 31), torch.randn(16, 8, 3, 3)
square = torch.randn(64, 64)
square = square @ square.T + 64 * torch.eye(64)
same("addition", lambda x: x + 2 * x.sin(), a)
same("matrix product", torch.matmul, a, b)
same("batched product", torch.bmm, torch.randn(5, 33, 65), torch.randn(5, 65, 17))
same("softmax", lambda x: x.softmax(1), a)
same("layer norm", lambda x: torch.nn.functional.layer_norm(x, (311,)), a)
same("convolution", lambda x, w: torch.nn.functional.conv2d(x, w, padding=1), image, weight, tolerance=1e-3)
same("max pooling", lambda x: torch.nn.functional.max_pool2d(x, 2), image)
same("sort", lambda x: x.sort(1).values, a)
same("cumulative sum", lambda x: x.cumsum(1), a)
same("argmax", lambda x: x.argmax(1), a)
same("index", lambda x: x[torch.arange(0, 257, 3).to(x.device)], a)
same("scatter", lambda x: torch.zeros(10, dtype=x.dtype, device=x.device).index_add(
    0, (torch.arange(257) % 10).to(x.device), x[:, 0]), a)
same("embedding", lambda x: torch.nn.functional.embedding((torch.arange(50) * 5).to(x.device), x), a)
same("unique", lambda x: torch.unique((x * 3).round().long()), a)
same("fourier transform", lambda x: torch.fft.rfft(x).abs(), a, tolerance=1e-3)
same("cholesky", torch.linalg.cholesky, square)
same("solve", lambda x: torch.linalg.solve(x, torch.ones(64, 1, dtype=x.dtype, device=x.device)), square, tolerance=1e-3)
same("singular values", torch.linalg.svdvals, square, tolerance=1e-3)
same("sparse product", lambda x, y: torch.sparse.mm((x * (x > 1)).to_sparse(), y), a, b)
same("where and any", lambda x: torch.where(x > 0, x, -x).amax(0), a)
for kind, tolerance in (torch.float16, 2e-2), (torch.bfloat16, 5e-2):
    have = (a.to(gpu, kind) @ b.to(gpu, kind)).float().cpu()
    worst = ((have - a @ b).abs().max() / (a @ b).abs().max()).item()
    check(f"product in {kind}", worst < tolerance, f"off by {worst:.2e}")
have = torch.nn.functional.scaled_dot_product_attention(*(torch.randn(2, 4, 65, 64, device=gpu, dtype=torch.float16)
                                                           for _ in range(3)))
check("attention", bool(torch.isfinite(have).all()))

generator = torch.Generator(gpu).manual_seed(7)
draw = torch.randn(1000, device=gpu, generator=generator)
result("random numbers", draw.mean().item(), draw.std().item())

# Copies: pageable, pinned, across streams.
for elements in 1, 1000, 1 << 20, (1 << 24) + 3:
    source = torch.arange(elements, dtype=torch.int32)
    check(f"copy of {elements} there and back", torch.equal(source.to(gpu).cpu(), source))
pinned = torch.arange(1 << 20, dtype=torch.float32).pin_memory()
side = torch.cuda.Stream()
with torch.cuda.stream(side):
    there = pinned.to(gpu, non_blocking=True)
    doubled = there * 2
    done = torch.cuda.Event()
    done.record()
torch.cuda.current_stream().wait_event(done)
back = torch.empty_like(pinned).pin_memory()
back.copy_(doubled, non_blocking=True)
torch.cuda.synchronize()
check("pinned memory through two streams", torch.equal(back, pinned * 2))
begin, finish = (torch.cuda.Event(enable_timing=True) for _ in range(2))
begin.record()
there.exp_()
finish.record()
finish.synchronize()
check("elapsed time of events", 0 <= begin.elapsed_time(finish) < 10000)

try:
    torch.empty(1 << 44, dtype=torch.uint8, device=gpu)
    check("too much memory is an error", False)
except torch.OutOfMemoryError:
    check("too much memory is an error", True)
before = torch.cuda.memory_allocated()
big = torch.zeros(1 << 26, device=gpu)
check("memory is counted", torch.cuda.memory_allocated() - before == 1 << 28)
del big
torch.cuda.empty_cache()
check("and comes back", torch.cuda.memory_allocated() == before)



def in_a_thread(number, results):
    with torch.cuda.stream(torch.cuda.Stream()):
        value = torch.full((300, 300), float(number), device=gpu)
        results[number] = (value @ value)[0, 0].item()


found = [None] * 100
threads = [threading.Thread(target=in_a_thread, args=(number, found)) for number in range(100)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
check("a hundred threads", found == [300.0 * number * number for number in range(100)], str(found))

small = torch.zeros(16, device=gpu)
timed("a hundred small additions", lambda: [small.add_(1) for _ in range(100)], 20, torch.cuda.synchronize)
timed("item()", lambda: small[0].item(), 50, torch.cuda.synchronize)
large = torch.randn(4096, 4096, device=gpu)
timed("a product of 4096", lambda: large @ large, 5, torch.cuda.synchronize)
end()
