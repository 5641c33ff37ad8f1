"""Train a small network in NumPy: AdamW with clipping and a cosine schedule, updated in place.

    python examples/numpy_training.py

The network learns sin(3 x) on [-1, 1]: y = tanh(x W1 + b1) W2 + b2, its gradients written out.
"""

import numpy as np

import steelyard as sy

STEPS = 400


def main() -> tuple[float, float]:
    """Train; return the first and the last loss."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (256, 1)).astype(np.float32)
    y = np.sin(3 * x)
    params = {
        "hidden": {"w": rng.standard_normal((1, 32), dtype=np.float32), "b": np.zeros(32, np.float32)},
        "out": {"w": rng.standard_normal((32, 1), dtype=np.float32) / 6, "b": np.zeros(1, np.float32)},
    }
    schedule = sy.schedules.cosine(0.02, total_steps=STEPS, warmup_steps=20)
    optimizer = sy.AdamW(params, lr=schedule, max_norm=1.0)

    losses = []
    for step in range(STEPS):
        h = np.tanh(x @ params["hidden"]["w"] + params["hidden"]["b"])
        error = h @ params["out"]["w"] + params["out"]["b"] - y
        losses.append(float(np.mean(error**2)))
        slope = 2 * error / len(x)
        inner = (slope @ params["out"]["w"].T) * (1 - h * h)
        grads = {
            "hidden": {"w": x.T @ inner, "b": inner.sum(axis=0)},
            "out": {"w": h.T @ slope, "b": slope.sum(axis=0)},
        }
        info = optimizer.step(grads)
        if step % 100 == 0 or step == STEPS - 1:
            print(f"step {info.step:3d}  loss {losses[-1]:.5f}  lr {info.lr:.5f}  gradient norm {info.grad_norm:.4f}")

    assert losses[-1] < losses[0] / 50, "the loss did not fall"
    return losses[0], losses[-1]


if __name__ == "__main__":
    main()
