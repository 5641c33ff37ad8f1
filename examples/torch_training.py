"""Train a torch module on the CPU with this package's AdamW in place of torch's.

    python examples/torch_training.py

The optimizer takes a tree of parameters and, at each step, a tree of gradients of the same form. It writes the
parameters where they are and tells autograd so: a backward pass that still needed an old value raises instead of
computing with the new one.
"""

import torch

import steelyard as sy

STEPS = 300


def main() -> tuple[float, float]:
    """Train; return the first and the last loss."""
    torch.manual_seed(0)
    x = torch.rand(256, 1) * 2 - 1
    y = torch.sin(3 * x)
    model = torch.nn.Sequential(torch.nn.Linear(1, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1))
    params = dict(model.named_parameters())
    optimizer = sy.AdamW(params, lr=sy.schedules.cosine(0.02, total_steps=STEPS, warmup_steps=20), max_norm=1.0)

    losses = []
    for step in range(STEPS):
        loss = torch.nn.functional.mse_loss(model(x), y)
        model.zero_grad()
        loss.backward()
        losses.append(loss.item())
        info = optimizer.step({name: parameter.grad for name, parameter in params.items()})
        if step % 100 == 0 or step == STEPS - 1:
            print(f"step {info.step:3d}  loss {losses[-1]:.5f}  lr {info.lr:.5f}  gradient norm {info.grad_norm:.4f}")

    assert losses[-1] < losses[0] / 50, "the loss did not fall"
    return losses[0], losses[-1]


if __name__ == "__main__":
    main()
