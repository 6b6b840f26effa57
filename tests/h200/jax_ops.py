# SPDX-License-Identifier: MIT
"""JAX: operations against NumPy, compilation, gradients, a loop."""

import os

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import jax.numpy as jnp
import numpy as np
from snippet import check, end, result, steady, timed

jax.config.update("jax_default_matmul_precision", "highest")
device = jax.devices()[0]
check("the device is a GPU", device.platform == "gpu", device.platform)
result("device", device.device_kind)
random = np.random.default_rng(1)
a, b = random.standard_normal((257, 311), np.float32), random.standard_normal((311, 65), np.float32)


def close(name, have, want, tolerance=1e-4):
    want = np.asarray(want)
    worst = np.abs(np.asarray(have) - want).max() / max(np.abs(want).max(), 1e-6)
    check(name, worst < tolerance, f"off by {worst:.2e}")


close("product", jnp.asarray(a) @ b, a @ b)
close("reduction", jnp.asarray(a).sum(1), a.sum(1))
close("sort", jnp.sort(a, 1), np.sort(a, 1))
close("fourier transform", jnp.abs(jnp.fft.fft(a)), np.abs(np.fft.fft(a)), 1e-3)
square = a[:64, :64] @ a[:64, :64].T + 64 * np.eye(64, dtype=np.float32)
close("cholesky", jnp.linalg.cholesky(square), np.linalg.cholesky(square), 1e-3)
close("compiled", jax.jit(lambda x: jnp.tanh(x) * 2 + x.mean())(a), np.tanh(a) * 2 + a.mean())
close("gradient", jax.grad(lambda x: (jnp.sin(x) ** 2).sum())(a), np.sin(2 * a), 1e-3)
close("mapped", jax.vmap(lambda row: row / jnp.linalg.norm(row))(a), a / np.linalg.norm(a, axis=1, keepdims=True))
halved = a
for i in range(10):
    halved = halved * np.float32(0.5) + np.float32(i)
close("loop", jax.lax.fori_loop(0, 10, lambda i, x: x * 0.5 + i, jnp.asarray(a)), halved)
image, kernel = random.standard_normal((2, 3, 17, 19), np.float32), random.standard_normal((5, 3, 3, 3), np.float32)
have = jax.lax.conv(image, kernel, (1, 1), "VALID")
want = sum(np.einsum("nihw,oi->nohw", image[:, :, y:y + 15, x:x + 17], kernel[:, :, y, x])
           for y in range(3) for x in range(3))
close("convolution", have, want, 1e-3)
draw = jax.random.normal(jax.random.PRNGKey(0), (1000,))
result("random numbers", float(draw.mean()), float(draw.std()))

weights = jnp.zeros(311)
target = a @ random.standard_normal(311, np.float32)


@jax.jit
def step(w):
    loss, gradient = jax.value_and_grad(lambda v: ((a @ v - target) ** 2).mean())(w)
    return w - 0.05 * gradient, loss


losses = []
for _ in range(50):
    weights, loss = step(weights)
    losses.append(float(loss))
check("descent", losses[-1] < losses[0] / 4, f"{losses[0]} {losses[-1]}")
result("losses", *losses[::10])
timed("step", lambda: step(weights)[0].block_until_ready(), 50, lambda: None)
steady("step of JAX", lambda: step(weights), 50, lambda: step(weights)[0].block_until_ready())
end()
