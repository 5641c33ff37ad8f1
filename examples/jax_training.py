"""Train with JAX's gradients and this package's AdamW: parameters are writable NumPy arrays, updated in place.

    python examples/jax_training.py

JAX's arrays are immutable, so the parameters live in NumPy and JAX reads them; its gradients are only read here.
On the CPU a jitted function may still be reading a NumPy buffer when its call returns: wait for the result with
``jax.block_until_ready`` before the step that writes the parameters.
"""

import jax
import jax.numpy as jnp
import numpy as np

import steelyard as sy

STEPS = 300


def loss(params: dict, x: jax.Array, y: jax.Array) -> jax.Array:
    """Mean squared error of a network with one hidden layer."""
    h = jnp.tanh(x @ params["hidden"]["w"] + params["hidden"]["b"])
    return jnp.mean((h @ params["out"]["w"] + params["out"]["b"] - y) ** 2)


def main() -> tuple[float, float]:
    """Train; return the first and the last loss."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (256, 1)).astype(np.float32)
    y = np.sin(3 * x)
    params = {
        "hidden": {"w": rng.standard_normal((1, 32), dtype=np.float32), "b": np.zeros(32, np.float32)},
        "out": {"w": rng.standard_normal((32, 1), dtype=np.float32) / 6, "b": np.zeros(1, np.float32)},
    }
    optimizer = sy.AdamW(params, lr=sy.schedules.cosine(0.02, total_steps=STEPS, warmup_steps=20), max_norm=1.0)
    value_and_grad = jax.jit(jax.value_and_grad(loss))

    losses = []
    for step in range(STEPS):
        value, grads = jax.block_until_ready(value_and_grad(params, x, y))  # before the parameters are written
        losses.append(float(value))
        info = optimizer.step(grads)
        if step % 100 == 0 or step == STEPS - 1:
            print(f"step {info.step:3d}  loss {losses[-1]:.5f}  lr {info.lr:.5f}  gradient norm {info.grad_norm:.4f}")

    assert losses[-1] < losses[0] / 50, "the loss did not fall"
    return losses[0], losses[-1]


if __name__ == "__main__":
    main()
