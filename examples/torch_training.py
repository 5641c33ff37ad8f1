"""Train a torch module on the CPU with this package's AdamW in place of torch's.

    python examples/torch_training.py

The class is imported from ``steelyard.torch`` in place of ``torch.optim``; nothing else in a training loop changes.
Here the optimizer also clips, which ``torch.nn.utils.clip_grad_norm_`` would do in a pass of its own.
"""

import torch

from steelyard import schedules
from steelyard.torch import AdamW

STEPS = 300


def main() -> tuple[float, float]:
    """Train; return the first and the last loss."""
    torch.manual_seed(0)
    x = torch.rand(256, 1) * 2 - 1
    y = torch.sin(3 * x)
    model = torch.nn.Sequential(torch.nn.Linear(1, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1))
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = AdamW(groups, lr=schedules.cosine(0.02, total_steps=STEPS, warmup_steps=20), max_norm=1.0)

    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % 100 == 0 or step == STEPS - 1:
            info = optimizer.step_info
            print(f"step {info.step:3d}  loss {losses[-1]:.5f}  lr {info.lr:.5f}  gradient norm {info.grad_norm:.4f}")

    assert losses[-1] < losses[0] / 50, "the loss did not fall"
    return losses[0], losses[-1]


if __name__ == "__main__":
    main()
