# SPDX-License-Identifier: MIT
"""Numba: kernels in Python, shared memory, atomics, streams."""

import math

import numpy as np
from numba import cuda, float32
from snippet import check, end, result, timed

result("device", cuda.get_current_device().name.decode() if isinstance(cuda.get_current_device().name, bytes)
       else cuda.get_current_device().name)
a = np.random.default_rng(1).standard_normal(100003).astype(np.float32)


@cuda.jit
def scale(values, out, factor):
    i = cuda.grid(1)
    if i < values.size:
        out[i] = math.sin(values[i]) * factor


@cuda.jit
def block_sums(values, sums):
    shared = cuda.shared.array(256, float32)
    i, thread = cuda.grid(1), cuda.threadIdx.x
    shared[thread] = values[i] if i < values.size else 0
    cuda.syncthreads()
    step = 128
    while step > 0:
        if thread < step:
            shared[thread] += shared[thread + step]
        cuda.syncthreads()
        step //= 2
    if thread == 0:
        cuda.atomic.add(sums, 0, shared[0])


blocks = (a.size + 255) // 256
there, out = cuda.to_device(a), cuda.device_array_like(a)
scale[blocks, 256](there, out, np.float32(3))
check("a kernel", np.allclose(out.copy_to_host(), np.sin(a) * 3, atol=1e-5))
sums = cuda.to_device(np.zeros(1, np.float32))
block_sums[blocks, 256](there, sums)
check("shared memory and atomics", math.isclose(sums.copy_to_host()[0], a.sum(dtype=np.float64), abs_tol=1e-2))
stream = cuda.stream()
pinned = cuda.pinned_array(a.shape, a.dtype)
pinned[:] = a
with stream.auto_synchronize():
    later = cuda.to_device(pinned, stream=stream)
    scale[blocks, 256, stream](later, later, np.float32(2))
    later.copy_to_host(pinned, stream=stream)
check("a stream and pinned memory", np.allclose(pinned, np.sin(a) * 2, atol=1e-5))
mapped = cuda.mapped_array(1000, np.float32)
mapped[:] = 1
scale[4, 256](mapped, mapped, np.float32(1))
cuda.synchronize()
check("mapped memory", np.allclose(mapped, math.sin(1), atol=1e-5))
begin, finish = cuda.event(), cuda.event()
begin.record()
scale[blocks, 256](there, out, np.float32(3))
finish.record()
finish.synchronize()
check("elapsed time of events", 0 <= begin.elapsed_time(finish) < 10000)
timed("launch and wait", lambda: scale[blocks, 256](there, out, np.float32(3)), 50, cuda.synchronize)
end()
