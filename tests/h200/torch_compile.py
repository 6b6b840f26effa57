# SPDX-License-Identifier: MIT
"""PyTorch: torch.compile, which writes Triton kernels."""

import torch
from snippet import check, end, timed

torch.manual_seed(6)


def function(x, y):
    return torch.nn.functional.gelu(x @ y).softmax(-1) + x.mean(1, keepdim=True)


x, y = torch.randn(128, 256, device="cuda"), torch.randn(256, 64, device="cuda")
compiled = torch.compile(function)
check("compiled gives what eager gives", torch.allclose(compiled(x, y), function(x, y), atol=1e-4))
x.requires_grad_()
compiled(x, y).square().sum().backward()
have, x.grad = x.grad, None
function(x, y).square().sum().backward()
check("its gradient too", torch.allclose(have, x.grad, atol=1e-3))
overhead = torch.compile(function, mode="reduce-overhead")
with torch.no_grad():
    for _ in range(4):
        torch.compiler.cudagraph_mark_step_begin()
        last = overhead(x, y).clone()
    check("with graphs too", torch.allclose(last, function(x, y), atol=1e-4))
    timed("compiled", lambda: compiled(x, y), 50, torch.cuda.synchronize)
end()
