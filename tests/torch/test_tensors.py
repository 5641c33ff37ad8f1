"""torch CPU tensors as parameters, gradients and logits; torch's own defects, which are not ours."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import steelyard as sy


def test_parameters_are_updated_in_place_and_autograd_is_told() -> None:
    w = torch.nn.Parameter(torch.ones(3))
    loss = (w * w).sum()
    opt = sy.AdamW({"w": w}, lr=0.1)
    opt.step({"w": torch.ones(3)})
    assert w.detach().numpy()[0] < 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()  # it needed the old value


def test_adamw_function_tells_autograd_too() -> None:
    w = torch.ones(3, requires_grad=True)
    loss = (w * w).sum()
    m, v = torch.zeros(3), torch.zeros(3)
    version = m._version
    sy.optim.adamw_(w, torch.ones(3), m, v, step=1)
    assert m._version > version
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_clipping_tensors() -> None:
    grads = [torch.full((4,), 1e20), torch.zeros(3)]
    assert sy.clip_by_global_norm_(grads, max_norm=1.0) == pytest.approx(2e20, rel=1e-7)
    assert grads[0].tolist() == pytest.approx([0.5] * 4)
    assert grads[0]._version > 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bit_tensors_are_clipped_as_torch_would_or_nearer(dtype: torch.dtype) -> None:
    """torch multiplies in float32 and rounds twice: where that differs, its product lay beside a tie."""
    start = (torch.randn(400_000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)).to(dtype)
    norm = sy.global_norm(start)
    differ = 0
    for factor in (0.5, 1 / 3, 0.123456789, 1e-3):
        ours, theirs = start.clone(), start.clone()
        assert sy.clip_by_global_norm_([ours], norm * factor) == norm
        theirs.mul_(norm * factor / norm)
        exact = start.double() * (norm * factor / norm)
        assert bool(((ours.double() - exact).abs() <= (theirs.double() - exact).abs()).all())
        differ += int((ours != theirs).sum())
        assert ours._version > 0
    assert differ < 200


def test_torch_clips_bfloat16_by_a_factor_of_eight_bits() -> None:
    """Its norm and its factor are bfloat16, which moves the norm after clipping by up to 0.4 %; ours stays at the limit."""
    start = torch.randn(100_000, generator=torch.Generator().manual_seed(2)).bfloat16()
    norm = sy.global_norm(start)
    off: dict[str, list[float]] = {"ours": [], "torch": []}
    for limit in norm * np.linspace(0.5, 1, 20, endpoint=False):
        ours, theirs = start.clone(), torch.nn.Parameter(start.clone())
        theirs.grad = start.clone()
        torch.nn.utils.clip_grad_norm_([theirs], limit)
        sy.clip_by_global_norm_(ours, limit)
        off["ours"].append(abs(sy.global_norm(ours) / limit - 1))
        off["torch"].append(abs(sy.global_norm(theirs.grad) / limit - 1))
    assert max(off["ours"]) < 2e-4
    assert max(off["torch"]) > 1e-3


def test_a_skipped_step_leaves_the_version_alone() -> None:
    w = torch.ones(2)
    opt = sy.AdamW(w, nonfinite="skip")
    before = w._version
    info = opt.step(torch.tensor([1.0, math.nan]))
    assert (info.skipped, info.step, w._version) == (True, 0, before)


def test_bfloat16_gradients_have_a_norm() -> None:
    g = torch.full((1000,), 0.1, dtype=torch.bfloat16)
    assert sy.global_norm(g) == pytest.approx(float(g.double().norm()), rel=1e-12)


def test_expanded_and_overlapping_tensors_are_refused() -> None:
    with pytest.raises(ValueError, match="params: expected a C-contiguous array"):
        sy.AdamW(torch.zeros(1).expand(5))
    base = torch.zeros(10)
    with pytest.raises(ValueError, match=r"params\[0\]: expected memory of its own; it overlaps params\[1\]"):
        sy.AdamW([base[:6], base[4:]])
    tied = torch.zeros(3)
    with pytest.raises(ValueError, match="tied arrays"):
        sy.AdamW({"embed": tied, "head": tied})


def test_torchs_transposed_gradient_defect_is_not_ours() -> None:
    """torch's fused step walks raw memory: a gradient of another layout meets the wrong elements."""
    grad = torch.arange(20.0).reshape(4, 5).t()
    ours, plain = torch.zeros(5, 4), torch.zeros(5, 4)
    sy.AdamW(ours).step(grad)
    sy.AdamW(plain).step(grad.contiguous())
    assert torch.equal(ours, plain)


def test_torchs_norm_of_many_values_is_short_and_ours_is_not() -> None:
    x = torch.full((100_000_000,), 1e-3)
    exact = math.sqrt(1e8) * float(np.float32(1e-3))
    assert sy.global_norm(x) == pytest.approx(exact, rel=1e-12)


def test_a_negative_max_norm_is_refused_where_torch_flips_the_sign() -> None:
    with pytest.raises(ValueError, match="max_norm: expected a number that is at least 0"):
        sy.clip_by_global_norm_(torch.ones(3), max_norm=-1)


def test_flush_to_zero_in_the_caller_changes_nothing() -> None:
    def arrays() -> list[torch.Tensor]:
        return [torch.ones(300), torch.full((300,), 1e-39), torch.full((300,), 1e-40), torch.full((300,), 1e-42)]

    plain, flushed = arrays(), arrays()
    sy.optim.adamw_(*plain, step=2)
    torch.set_flush_denormal(True)
    try:
        sy.optim.adamw_(*flushed, step=2)
    finally:
        torch.set_flush_denormal(False)
    for a, b in zip(plain, flushed, strict=True):
        assert a.numpy().tobytes() == b.numpy().tobytes()


def test_what_is_not_a_cpu_float_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match=r"params: .*on meta; pass params.cpu\(\)"):
        sy.AdamW(torch.zeros(3, device="meta"))
    with pytest.raises(TypeError, match="params: expected float32 or float64 or float16 or bfloat16"):
        sy.AdamW(torch.zeros(3, dtype=torch.int32))
    with pytest.raises(ValueError, match="grads: expected a gradient for at least one parameter; got none"):
        sy.AdamW([torch.zeros(3)]).step([None])


def test_a_number_may_be_a_tensor_without_axes() -> None:
    params = np.ones(2)
    assert sy.AdamW(params, lr=torch.tensor(0.25)).step(np.ones(2)).lr == 0.25
    with pytest.raises(TypeError, match="lr: expected a number; got Tensor tensor"):
        sy.AdamW(params, lr=torch.tensor(True))
    with pytest.raises(TypeError, match="lr: expected a number; got"):
        sy.AdamW(params, lr=torch.zeros((), device="meta"))


def test_tensors_that_require_grad_are_refused_where_they_are_read() -> None:
    """Results are NumPy arrays: what is computed of them trains nothing."""
    x = torch.tensor([0.25, 0.5, 0.75], requires_grad=True)
    calls = {
        "policy_chosen": lambda x: sy.preference_loss(-x, -x, -x, -x),
        "logits": lambda x: sy.token_scores(x[None], [0]),
        "x": sy.estimate,
        "x ": sy.bootstrap,
        "x  ": sy.perplexity,
        "new": lambda x: sy.compare(x, baseline=[0.5, 0.5, 1.0]),
        "baseline": lambda x: sy.compare([0.5, 0.5, 1.0], baseline=x),
        "probs": lambda x: sy.reliability(x, [0, 1, 1]),
        "per": lambda x: sy.perplexity([1.0, 2.0, 3.0], per=x),
    }
    for name, call in calls.items():
        with pytest.raises(
            TypeError, match=rf"^{name.strip()}: expected a tensor that does not require grad; .*detach\(\)"
        ):
            call(x)
        call(x.detach())


def test_gradients_go_back_through_torch_by_hand() -> None:
    """What the sentence says to do instead."""
    columns = [-torch.rand(8, dtype=torch.float64) for _ in range(4)]
    policy = columns[0].clone().requires_grad_()
    out = sy.preference_loss(policy.detach(), *columns[1:])
    policy.backward(torch.tensor(out.grad_chosen))
    margin = columns[0].clone().requires_grad_()
    z = 0.1 * ((margin - columns[2]) - (columns[1] - columns[3]))
    (-torch.nn.functional.logsigmoid(z)).sum().backward()
    assert torch.allclose(policy.grad, margin.grad, rtol=1e-12)


@pytest.mark.parametrize(("dtype", "nats"), [(torch.bfloat16, "0.5"), (torch.float16, "0.062")])
def test_log_probabilities_in_16_bits_warn_with_their_rounding(dtype: torch.dtype, nats: str) -> None:
    x = torch.full((5,), -200.0, dtype=dtype)
    with pytest.warns(
        sy.errors.SteelyardWarning, match=rf"log-probabilities of about -200 are rounded by up to {nats} nats"
    ):
        out = sy.preference_loss(x, x, x, x)
    assert out.losses.dtype == out.grad_chosen.dtype == np.float32


def test_lists_of_tensors() -> None:
    scalars = [torch.tensor(0.25), torch.tensor(0.75)]
    assert sy.estimate(scalars) == sy.estimate(torch.stack(scalars))
    for bad in ([x.requires_grad_() for x in scalars], [torch.ones(2), torch.ones(3)]):
        with pytest.raises(
            TypeError, match=r"x: expected an array; got a list of tensors; pass torch.stack\(x\).detach"
        ):
            sy.estimate(bad)
