# SPDX-License-Identifier: MIT
"""CuPy: operations against NumPy, kernels of the program's own, streams, graphs."""

import cupy
import numpy as np
from snippet import check, end, result, timed

result("device", cupy.cuda.runtime.getDeviceProperties(0)["name"].decode())
random = np.random.default_rng(1)
a, b = random.standard_normal((257, 311)), random.standard_normal((311, 65))
there = cupy.asarray(a)


def close(name, have, want, tolerance=1e-9):
    want = np.asarray(want)
    worst = np.abs(cupy.asnumpy(have) - want).max() / max(np.abs(want).max(), 1e-12)
    check(name, worst < tolerance, f"off by {worst:.2e}")


close("product", there @ cupy.asarray(b), a @ b)
close("arithmetic", cupy.sin(there) * 2 + there.mean(), np.sin(a) * 2 + a.mean())
close("sort", cupy.sort(there, 1), np.sort(a, 1))
close("sum", there.sum(0), a.sum(0))
close("fourier transform", cupy.fft.fft(there), np.fft.fft(a))
square = a[:64, :64] @ a[:64, :64].T + 64 * np.eye(64)
close("solve", cupy.linalg.solve(cupy.asarray(square), cupy.ones(64)), np.linalg.solve(square, np.ones(64)))
close("unique", cupy.unique((there * 3).round()), np.unique((a * 3).round()))

double = cupy.RawKernel(r"""
extern "C" __global__ void twice(const double *in, double *out, int count)
{
    int i = blockDim.x * blockIdx.x + threadIdx.x;
    if (i < count)
        out[i] = 2 * in[i];
}""", "twice")
out = cupy.empty_like(there)
double(((a.size + 255) // 256,), (256,), (there, out, np.int32(a.size)))
close("a kernel of its own", out, 2 * a)
close("an elementwise kernel", cupy.ElementwiseKernel("T x, T y", "T z", "z = x * y + 1", "multiply_and_add")(there, there), a * a + 1)
close("a reduction kernel", cupy.ReductionKernel("T x", "T y", "x * x", "a + b", "y = sqrt(a)", "0", "norm")(there),
      np.sqrt((a * a).sum()))
stream = cupy.cuda.Stream(non_blocking=True)
with stream:
    later = cupy.asarray(a) + 1
    event = stream.record()
event.synchronize()
close("a stream", later, a + 1)
pinned = cupy.cuda.alloc_pinned_memory(a.nbytes)
host = np.frombuffer(pinned, a.dtype, a.size).reshape(a.shape)
there.get(out=host)
close("pinned memory", host, a)
cupy.cuda.Device().synchronize()
with stream:
    warm = cupy.zeros_like(out)  # what is captured must be loaded before
    warm += 1
    warm *= 2
    stream.synchronize()
    stream.begin_capture()
    out += 1
    out *= 2
    graph = stream.end_capture()
    graph.launch(stream)
    stream.synchronize()
close("a graph", out, (2 * a + 1) * 2)
pool = cupy.get_default_memory_pool()
check("the pool is used", pool.used_bytes() > 0)
timed("a hundred small additions", lambda: [later.__iadd__(1) for _ in range(100)], 20, cupy.cuda.Device().synchronize)
end()
