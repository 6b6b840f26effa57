# SPDX-License-Identifier: MIT
"""Triton: kernels in Python against PyTorch."""

import torch
import triton
import triton.language as tl
from snippet import check, end, timed

torch.manual_seed(7)


@triton.jit
def add_kernel(x, y, out, count, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = at < count
    tl.store(out + at, tl.load(x + at, mask=mask) + tl.load(y + at, mask=mask), mask=mask)


@triton.jit
def softmax_kernel(x, out, columns, BLOCK: tl.constexpr):
    row, at = tl.program_id(0), tl.arange(0, BLOCK)
    values = tl.load(x + row * columns + at, mask=at < columns, other=-float("inf"))
    powers = tl.exp(values - tl.max(values, 0))
    tl.store(out + row * columns + at, powers / tl.sum(powers, 0), mask=at < columns)


@triton.jit
def product_kernel(a, b, c, m, n, k, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    rows = tl.program_id(0) * M + tl.arange(0, M)
    columns = tl.program_id(1) * N + tl.arange(0, N)
    inner = tl.arange(0, K)
    total = tl.zeros((M, N), dtype=tl.float32)
    for start in range(0, k, K):
        left = tl.load(a + rows[:, None] * k + start + inner[None, :],
                       mask=(rows[:, None] < m) & (start + inner[None, :] < k), other=0.0)
        right = tl.load(b + (start + inner[:, None]) * n + columns[None, :],
                        mask=(start + inner[:, None] < k) & (columns[None, :] < n), other=0.0)
        total += tl.dot(left, right)
    tl.store(c + rows[:, None] * n + columns[None, :], total, mask=(rows[:, None] < m) & (columns[None, :] < n))


x, y = torch.randn(100003, device="cuda"), torch.randn(100003, device="cuda")
out = torch.empty_like(x)
grid = (triton.cdiv(x.numel(), 1024),)
add_kernel[grid](x, y, out, x.numel(), BLOCK=1024)
check("addition", torch.equal(out, x + y))
rows = torch.randn(300, 781, device="cuda")
soft = torch.empty_like(rows)
softmax_kernel[(300,)](rows, soft, 781, BLOCK=1024)
check("softmax", torch.allclose(soft, rows.softmax(1), atol=1e-6))
a, b = (torch.randn(shape, device="cuda", dtype=torch.float16) for shape in ((300, 200), (200, 150)))
c = torch.empty(300, 150, device="cuda", dtype=torch.float32)
product_kernel[(triton.cdiv(300, 64), triton.cdiv(150, 64))](a, b, c, 300, 150, 200, M=64, N=64, K=32)
want = a.float() @ b.float()
check("product on tensor cores", torch.allclose(c, want, atol=0.1, rtol=1e-2), str((c - want).abs().max().item()))
timed("launch and wait", lambda: add_kernel[grid](x, y, out, x.numel(), BLOCK=1024), 50, torch.cuda.synchronize)
end()
