# SPDX-License-Identifier: MIT
"""PyTorch: CUDA graphs."""

import torch
from snippet import check, end, timed
from torch import nn

torch.manual_seed(5)
model = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10)).cuda()
static = torch.randn(32, 256, device="cuda")

side = torch.cuda.Stream()
side.wait_stream(torch.cuda.current_stream())
with torch.cuda.stream(side), torch.no_grad():
    for _ in range(3):
        model(static)
torch.cuda.current_stream().wait_stream(side)
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph), torch.no_grad():
    answer = model(static)
for seed in range(5):
    fresh = torch.randn(32, 256, device="cuda", generator=torch.Generator("cuda").manual_seed(seed))
    static.copy_(fresh)
    graph.replay()
    with torch.no_grad():
        want = model(fresh)
    check(f"replay {seed} gives what eager gives", torch.allclose(answer, want, atol=1e-5))

# A whole training step.
inputs, labels = torch.randn(64, 256, device="cuda"), torch.randint(0, 10, (64,), device="cuda")
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)


def step():
    optimizer.zero_grad(set_to_none=False)
    loss = nn.functional.cross_entropy(model(inputs), labels)
    loss.backward()
    optimizer.step()
    return loss


side.wait_stream(torch.cuda.current_stream())
with torch.cuda.stream(side):
    for _ in range(3):
        begin = step()
torch.cuda.current_stream().wait_stream(side)
begin = begin.item()
training = torch.cuda.CUDAGraph()
with torch.cuda.graph(training):
    loss = step()
for _ in range(50):
    training.replay()
torch.cuda.synchronize()
check("a captured step learns", loss.item() < begin, f"{begin} {loss.item()}")
graphed = torch.cuda.make_graphed_callables(nn.Linear(256, 256).cuda(), (torch.randn(8, 256, device="cuda"),))
check("make_graphed_callables", graphed(torch.randn(8, 256, device="cuda")).shape == (8, 256))
timed("replay of a step", training.replay, 50, torch.cuda.synchronize)
timed("the same eager", step, 50, torch.cuda.synchronize)
end()
