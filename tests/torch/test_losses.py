"""Cross-entropies of ``steelyard.torch`` against torch's own, in value, gradient, shapes and options."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from steelyard.torch import cross_entropy, linear_cross_entropy

ROWS, CLASSES, LENGTH = 23, 301, 40


def batch(dtype: torch.dtype = torch.float64, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(ROWS, CLASSES, generator=generator, dtype=torch.float64)
    target = torch.randint(0, CLASSES, (ROWS,), generator=generator)
    target[::5] = -100
    return logits.to(dtype).requires_grad_(), target


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
@pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.float64, 1e-10), (torch.float32, 3e-6), (torch.bfloat16, 3e-6), (torch.float16, 3e-6)]
)
def test_equals_torch_in_float64(dtype: torch.dtype, bound: float, label_smoothing: float, reduction: Any) -> None:
    logits, target = batch(dtype)
    options: Any = {"reduction": reduction, "label_smoothing": label_smoothing}
    got = cross_entropy(logits, target, **options)
    exact = logits.detach().double().requires_grad_()
    want = functional.cross_entropy(exact, target, **options)
    assert got.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(got.double(), want, rtol=bound, atol=bound)
    slope = torch.linspace(0.5, 2.0, want.numel(), dtype=torch.float64).reshape(want.shape)
    got.backward(slope.to(got.dtype))
    want.backward(slope)
    assert logits.grad is not None
    assert exact.grad is not None
    assert logits.grad.dtype == dtype
    # Gradients of 16 bits are rounded once; below the normal numbers of float16 that is an absolute error.
    step = {torch.bfloat16: 2.0**-8, torch.float16: 2.0**-11}.get(dtype, bound)
    torch.testing.assert_close(logits.grad.double(), exact.grad, rtol=step + 1e-5, atol=max(bound * 1e-2, 3e-8))


def test_the_gradient_is_the_slope_of_the_loss() -> None:
    logits, target = batch()
    some = logits.detach()[:6, :9].clone().requires_grad_()
    options: Any = {"label_smoothing": 0.1, "z_loss": 0.01, "softcap": 5.0, "reduction": "none"}
    classes = target[:6] % 9
    assert torch.autograd.gradcheck(lambda x: cross_entropy(x, classes, **options), (some,))


def test_the_options_that_torch_has_not() -> None:
    logits, target = batch()
    y = 6.0 * torch.tanh(logits / 6.0)
    z = torch.logsumexp(y, -1)[target != -100]
    want = functional.cross_entropy(y, target) + 0.02 * (z * z).mean()
    got = cross_entropy(logits, target, softcap=6.0, z_loss=0.02)
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("shape", [(7,), (4, 7), (2, 7, 5), (2, 7, 3, 4)])
def test_classes_are_the_second_axis_as_in_torch(shape: tuple[int, ...]) -> None:
    logits = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, 7, shape[:1] + shape[2:] if len(shape) > 1 else ())
    for reduction in ("mean", "none"):
        got = cross_entropy(logits, target, reduction=reduction)
        want = functional.cross_entropy(logits, target, reduction=reduction)
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)
        slopes = [torch.autograd.grad(x.sum(), logits)[0] for x in (got, want)]
        torch.testing.assert_close(*slopes, rtol=1e-10, atol=1e-10)


def test_backward_twice_gives_the_same_again() -> None:
    logits, target = batch(torch.float32)
    loss = cross_entropy(logits, target)
    first, second = (torch.autograd.grad(loss, logits, retain_graph=True)[0] for _ in range(2))
    first.mul_(0)
    assert second.abs().sum() > 0
    torch.testing.assert_close(torch.autograd.grad(loss, logits)[0], second, rtol=0, atol=0)


def test_logits_that_were_overwritten_are_noticed() -> None:
    x, target = batch(torch.float32)
    logits = x * 1.0
    loss = cross_entropy(logits, target)
    logits.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_nothing_that_counts_is_nan_as_in_torch() -> None:
    logits, _ = batch()
    nothing = torch.full((ROWS,), -100)
    assert cross_entropy(logits, nothing).isnan()
    assert functional.cross_entropy(logits, nothing).isnan()
    assert cross_entropy(logits, nothing, reduction="sum") == 0


@pytest.mark.parametrize(
    ("dtype", "bound"), [(torch.float64, 1e-9), (torch.float32, 2e-5), (torch.bfloat16, 2e-5), (torch.float16, 2e-5)]
)
@pytest.mark.parametrize("with_bias", [False, True])
def test_linear_equals_the_product_and_torch(dtype: torch.dtype, bound: float, with_bias: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    draw = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)  # noqa: E731
    inputs = [draw(2, 12, LENGTH), 0.3 * draw(5000, LENGTH), draw(5000)][: 2 + with_bias]
    ours = [x.clone().requires_grad_() for x in inputs]
    exact = [x.double().requires_grad_() for x in inputs]
    target = torch.randint(0, 5000, (2, 12), generator=generator)
    target[1, 3:5] = -100
    got = linear_cross_entropy(ours[0], ours[1], target, *ours[2:], label_smoothing=0.1)
    logits = functional.linear(*exact).flatten(0, 1)
    want = functional.cross_entropy(logits, target.flatten(), label_smoothing=0.1)
    torch.testing.assert_close(got.double(), want, rtol=bound, atol=bound)
    got.backward()
    want.backward()
    step = {torch.bfloat16: 2.0**-8, torch.float16: 2.0**-10}.get(dtype, 0.0)
    for x, y in zip(ours, exact, strict=True):
        assert x.grad is not None
        assert y.grad is not None
        assert x.grad.dtype == dtype
        torch.testing.assert_close(x.grad.double(), y.grad, rtol=step + bound, atol=bound * 1e-2 + 6e-8 * (step > 0))


def test_linear_gradients_of_many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    from steelyard.torch import linear_losses

    generator = torch.Generator().manual_seed(4)
    hidden, weight = (torch.randn(n, 8, generator=generator, dtype=torch.float64) for n in (30, 50))
    target = torch.randint(0, 50, (30,), generator=generator)
    gradients = []
    for at_once, classes in [(1 << 22, 1 << 12), (64, 16)]:
        monkeypatch.setattr(linear_losses, "AT_ONCE", at_once)
        monkeypatch.setattr(linear_losses, "CLASSES", classes)
        leaves = [hidden.clone().requires_grad_(), weight.clone().requires_grad_()]
        linear_cross_entropy(*leaves, target, z_loss=0.1).backward()
        gradients.append([leaf.grad for leaf in leaves])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)


def test_only_the_gradients_that_are_asked_for() -> None:
    hidden, weight = torch.randn(4, 8, requires_grad=True), torch.randn(9, 8)
    linear_cross_entropy(hidden, weight, torch.zeros(4, dtype=torch.int64)).backward()
    assert hidden.grad is not None
    assert weight.grad is None


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x, t: cross_entropy(x, t.double()), TypeError, "target: expected a tensor of class indices"),
        (lambda x, t: cross_entropy(x, t > 0), TypeError, "target: expected a tensor of class indices"),
        (lambda x, t: cross_entropy(x, t.to("meta")), TypeError, "target: expected a dense CPU tensor"),
        (lambda x, t: cross_entropy(x[:, :0], t), ValueError, "input: expected classes"),
        (lambda x, t: linear_cross_entropy(x[:, :0], x[:, :0], t), ValueError, "weight: expected shape"),
        (lambda x, t: cross_entropy(x, t[:3]), ValueError, "target: expected shape"),
        (lambda x, t: cross_entropy(x.to("meta"), t), TypeError, "input: expected a dense CPU tensor"),
        (lambda x, t: cross_entropy(x.long(), t), TypeError, "input: expected a dense CPU tensor"),
        (lambda x, t: cross_entropy([1.0], t), TypeError, "input: expected a tensor"),
        (lambda x, t: cross_entropy(x, t + CLASSES), ValueError, "target: expected class indices"),
        (lambda x, t: cross_entropy(x, t, reduction="max"), ValueError, "reduction"),
        (lambda x, t: cross_entropy(x, t, z_loss=-1.0), ValueError, "z_loss: expected a finite number of at least 0"),
        (lambda x, t: cross_entropy(x, t, softcap=0.0), ValueError, "softcap"),
        (lambda x, t: linear_cross_entropy(x, x[:, :5], t), ValueError, "weight: expected shape"),
        (lambda x, t: linear_cross_entropy(x, x, t[:1]), ValueError, "target: expected shape"),
        (lambda x, t: linear_cross_entropy(x, x, t % ROWS, x[0]), ValueError, "bias: expected shape"),
    ],
)
def test_what_is_refused(call: Any, error: type[Exception], words: str) -> None:
    logits, target = batch(torch.float32)
    with pytest.raises(error, match=words):
        call(logits.detach(), target)


def penalty(loss: torch.Tensor, x: torch.Tensor) -> None:
    (slope,) = torch.autograd.grad(loss, x, create_graph=True)
    (loss + slope.pow(2).sum()).backward()


def test_a_gradient_that_is_differentiated_again_is_refused() -> None:
    logits, target = batch(torch.float32)
    with pytest.raises(RuntimeError, match="create_graph"):
        penalty(cross_entropy(logits, target), logits)
    hidden, weight = torch.randn(4, 8, requires_grad=True), torch.randn(9, 8)
    with pytest.raises(RuntimeError, match="create_graph"):
        penalty(linear_cross_entropy(hidden, weight, torch.zeros(4, dtype=torch.int64)), hidden)


def test_linear_under_autocast() -> None:
    generator = torch.Generator().manual_seed(5)
    hidden, weight = (torch.randn(n, 8, generator=generator) for n in (5, 11))
    target = torch.arange(5)
    gradients = []
    for enabled in (False, True):
        leaves = [hidden.clone().requires_grad_(), weight.clone().requires_grad_()]
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            linear_cross_entropy(*leaves, target).backward()
        gradients.append([leaf.grad for leaf in leaves])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_rows_that_do_not_count_leave_no_trace_in_the_gradient_of_the_weights() -> None:
    hidden, weight = torch.randn(4, 8), torch.randn(9, 8, requires_grad=True)
    hidden[1] = torch.nan
    hidden.requires_grad_()
    linear_cross_entropy(hidden, weight, torch.tensor([0, -100, 2, 3])).backward()
    assert weight.grad is not None
    assert hidden.grad is not None
    assert weight.grad.isfinite().all()
    assert hidden.grad[1].tolist() == [0.0] * 8


def test_the_probabilities_of_a_linear_gradient_sum_to_one() -> None:
    generator = torch.Generator().manual_seed(6)
    hidden, weight = (torch.randn(n, 4096, generator=generator) for n in (6, 300))
    leaves = [(100 * hidden).requires_grad_(), weight.requires_grad_(), torch.zeros(300, requires_grad=True)]
    linear_cross_entropy(leaves[0], leaves[1], torch.arange(6), leaves[2], reduction="sum").backward()
    assert leaves[2].grad is not None
    assert abs(leaves[2].grad.sum().item()) < 1e-5


def test_rows_with_gaps_are_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    from steelyard.torch import losses

    whole = torch.randn(2, 5, 7)
    seen: list[int] = []
    scores = losses.token_scores

    def spy(logits: torch.Tensor, *args: Any, **options: Any) -> Any:
        seen.append(logits.data_ptr())
        return scores(logits, *args, **options)

    monkeypatch.setattr(losses, "token_scores", spy)
    cross_entropy(whole[:, :-1].transpose(1, 2), torch.zeros(2, 4, dtype=torch.int64))
    assert seen == [whole.data_ptr()]
