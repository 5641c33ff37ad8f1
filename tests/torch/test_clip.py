"""Clipping with torch's signatures: torch's results where they are right, and right ones where they are not."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.nn.utils import clip_grad as theirs

import steelyard.torch as ours

F32, F64, BF16, F16 = torch.float32, torch.float64, torch.bfloat16, torch.float16


def with_grads(*grads: torch.Tensor | None) -> list[torch.Tensor]:
    """A parameter for each gradient."""
    found = []
    for grad in grads:
        parameter = torch.nn.Parameter(torch.zeros(3) if grad is None else torch.zeros_like(grad))
        parameter.grad = grad
        found.append(parameter)
    return found


def grads_of(parameters: list[torch.Tensor]) -> list[Any]:
    return [None if p.grad is None else p.grad.clone() for p in parameters]


@pytest.mark.parametrize("name", ["clip_grad_norm_", "get_total_norm", "clip_grads_with_norm_", "clip_grad_value_"])
def test_the_signatures_are_those_of_torch(name: str) -> None:
    mine = inspect.signature(getattr(ours, name)).parameters
    torchs = inspect.signature(getattr(torch.nn.utils, name)).parameters
    shared = {key: value for key, value in mine.items() if value.kind is not inspect.Parameter.KEYWORD_ONLY}
    assert list(shared) == list(torchs)
    assert [p.default for p in shared.values()] == [p.default for p in torchs.values()]


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 3.0, math.inf, "inf"])
@pytest.mark.parametrize("foreach", [None, True, False])
def test_ordinary_gradients_are_clipped_as_torch_clips_them(p: Any, foreach: bool | None) -> None:
    torch.manual_seed(0)
    draws = [torch.randn(7, 3), torch.randn(11), torch.randn(()), torch.randn(2, 3, 4, 5)]
    mine, torchs = with_grads(*(d.clone() for d in draws), None), with_grads(*(d.clone() for d in draws), None)
    got, want = (
        ours.clip_grad_norm_(mine, 0.5, p, foreach=foreach),
        theirs.clip_grad_norm_(torchs, 0.5, p, foreach=foreach),
    )
    assert got.shape == want.shape == ()
    assert got.dtype is F64
    torch.testing.assert_close(got.to(want.dtype), want, rtol=1e-5, atol=0)
    for a, b in zip(grads_of(mine)[:-1], grads_of(torchs)[:-1], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=0)
    assert mine[-1].grad is None
    torch.testing.assert_close(ours.get_total_norm(draws, p).to(F32), theirs._get_total_norm(draws, float(p)))


def test_what_is_below_the_limit_is_not_written_while_torch_scales_it() -> None:
    small = torch.tensor([3e-7, 4e-7])
    mine, torchs = with_grads(small.clone()), with_grads(small.clone())
    ours.clip_grad_norm_(mine, 6e-7)
    theirs.clip_grad_norm_(torchs, 6e-7)
    assert torch.equal(mine[0].grad, small)  # type: ignore[arg-type]
    assert torchs[0].grad.norm() < 2.1e-7  # type: ignore[union-attr]


@pytest.mark.parametrize("parameters", [[], with_grads(None), with_grads(None)[0]])
def test_without_gradients_the_norm_is_zero(parameters: Any) -> None:
    assert ours.clip_grad_norm_(parameters, 1.0) == theirs.clip_grad_norm_(parameters, 1.0) == 0.0
    assert ours.get_total_norm([]) == 0.0
    ours.clip_grad_value_(parameters, 1.0)
    ours.clip_grads_with_norm_(parameters, 1.0, torch.tensor(2.0))


def test_an_empty_generator_warns_and_others_are_read_once() -> None:
    def none() -> Iterator[torch.Tensor]:
        yield from ()

    for module in (ours, theirs):
        with pytest.warns(UserWarning, match="empty generator"):
            module.clip_grad_norm_(none(), 1.0)
    (w,) = with_grads(torch.tensor([3.0, 4.0]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ours.clip_grad_norm_((p for p in [w]), 1.0) == 5.0
    assert w.grad is not None
    assert w.grad.norm() == 1.0


def test_fifty_million_values_of_float32_where_torch_is_more_than_one_in_ten_thousand_off() -> None:
    ones = torch.full((50_000_000,), 0.1)
    exact = math.sqrt(ones.numel()) * float(ones[0])
    assert float(ours.get_total_norm(ones)) == pytest.approx(exact, rel=1e-12)
    assert abs(float(theirs._get_total_norm(ones)) / exact - 1) > 1e-4


def test_values_of_1e20_are_scaled_while_torch_sets_them_to_zero() -> None:
    mine, torchs = with_grads(torch.full((4,), 1e20)), with_grads(torch.full((4,), 1e20))
    assert float(ours.clip_grad_norm_(mine, 1.0)) == pytest.approx(2e20)
    torch.testing.assert_close(mine[0].grad, torch.full((4,), 0.5))
    assert math.isinf(theirs.clip_grad_norm_(torchs, 1.0))
    assert torch.equal(torchs[0].grad, torch.zeros(4))  # type: ignore[arg-type]


def test_values_of_1e_minus_25_have_a_norm_where_torch_sees_zero() -> None:
    tiny = torch.full((4,), 1e-25)
    assert float(ours.get_total_norm(tiny)) == pytest.approx(2e-25)
    assert theirs._get_total_norm(tiny) == 0.0


def test_float16_beyond_its_range_is_scaled_while_torch_sets_it_to_zero() -> None:
    mine, torchs = (with_grads(torch.full((4,), 40000.0, dtype=F16)) for _ in range(2))
    assert ours.clip_grad_norm_(mine, 100.0) == 80000.0
    assert torch.equal(mine[0].grad, torch.full((4,), 50.0, dtype=F16))  # type: ignore[arg-type]
    assert math.isinf(theirs.clip_grad_norm_(torchs, 100.0))
    assert torch.equal(torchs[0].grad, torch.zeros(4, dtype=F16))  # type: ignore[arg-type]


def test_norms_of_bfloat16_keep_their_digits_while_torch_rounds_them_to_eight_bits() -> None:
    torch.manual_seed(0)
    grads = [torch.randn(1000, dtype=BF16) for _ in range(100)]
    exact = math.sqrt(sum(float((g.double() ** 2).sum()) for g in grads))
    assert float(ours.get_total_norm(grads)) == pytest.approx(exact, rel=1e-12)
    assert abs(float(theirs._get_total_norm(grads)) / exact - 1) > 1e-4


def test_a_nan_is_as_in_torch_by_default_and_can_be_refused_or_passed_over() -> None:
    def fresh() -> list[torch.Tensor]:
        return with_grads(torch.tensor([3.0, 4.0]), torch.tensor([1.0, math.nan]))

    for module in (ours, theirs):
        parameters = fresh()
        assert math.isnan(module.clip_grad_norm_(parameters, 1.0))
        assert all(torch.isnan(g).all() for g in grads_of(parameters))
    parameters = fresh()
    with pytest.raises(ValueError, match=r"grads\[1\].*1 NaN or infinite, the first at element 1"):
        ours.clip_grad_norm_(parameters, 1.0, nonfinite="raise")
    assert math.isnan(ours.clip_grad_norm_(parameters, 1.0, nonfinite="skip"))
    assert torch.equal(grads_of(parameters)[0], torch.tensor([3.0, 4.0]))
    for module in (ours, theirs):
        with pytest.raises(
            RuntimeError, match=r"The total norm of order 2\.0 for gradients from `parameters` is non-fin"
        ):
            module.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
    assert torch.equal(grads_of(parameters)[0], torch.tensor([3.0, 4.0]))


def test_an_infinity_is_as_in_torch() -> None:
    results = []
    for module in (ours, theirs):
        parameters = with_grads(torch.tensor([3.0, math.inf]), torch.tensor([1.0]))
        assert math.isinf(module.clip_grad_norm_(parameters, 1.0))
        results.append(torch.cat(grads_of(parameters)))
    torch.testing.assert_close(*results, equal_nan=True)


def test_a_limit_below_zero_is_refused_while_torch_turns_gradients_around() -> None:
    mine, torchs = with_grads(torch.tensor([3.0, 4.0])), with_grads(torch.tensor([3.0, 4.0]))
    theirs.clip_grad_norm_(torchs, -1.0)
    assert (torchs[0].grad < 0).all()  # type: ignore[operator]
    for call in (ours.clip_grad_norm_, lambda p, limit: ours.clip_grads_with_norm_(p, limit, 5.0)):
        with pytest.raises(ValueError, match="max_norm: expected a number that is at least 0"):
            call(mine, -1.0)
    assert torch.equal(mine[0].grad, torch.tensor([3.0, 4.0]))  # type: ignore[arg-type]


def test_a_value_below_zero_is_refused_while_torch_sets_everything_to_it() -> None:
    mine, torchs = with_grads(torch.tensor([3.0, -4.0])), with_grads(torch.tensor([3.0, -4.0]))
    theirs.clip_grad_value_(torchs, -1.0)
    assert torchs[0].grad.tolist() == [-1.0, -1.0]  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="clip_value: expected a number that is at least 0"):
        ours.clip_grad_value_(mine, -1.0)


def test_a_parameter_that_is_listed_twice_is_refused_while_torch_scales_it_twice() -> None:
    (mine,), (torchs,) = with_grads(torch.tensor([3.0, 4.0])), with_grads(torch.tensor([3.0, 4.0]))
    theirs.clip_grad_norm_([torchs, torchs], 1.0)
    assert torchs.grad.norm() < 0.2  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="overlaps"):
        ours.clip_grad_norm_([mine, mine], 1.0)


@pytest.mark.parametrize("dtype", [F32, F64, BF16, F16])
def test_values_are_those_of_torch_to_the_bit(dtype: Any) -> None:
    torch.manual_seed(0)
    draw = torch.cat([torch.randn(5000), torch.tensor([math.inf, -math.inf, math.nan, 0.3, -0.3])]).to(dtype)
    mine, torchs = with_grads(draw.clone(), None), with_grads(draw.clone(), None)
    ours.clip_grad_value_(mine, 0.3)
    theirs.clip_grad_value_(torchs, 0.3)
    assert torch.equal(mine[0].grad.nan_to_num(7.0), torchs[0].grad.nan_to_num(7.0))  # type: ignore[union-attr]


def test_mixed_types_are_clipped_together() -> None:
    parameters = with_grads(torch.tensor([3.0]), torch.tensor([4.0], dtype=F64), torch.tensor([12.0], dtype=BF16))
    assert ours.clip_grad_norm_(parameters, 6.5) == 13.0
    assert [g.item() for g in grads_of(parameters)] == [1.5, 2.0, 6.0]


def strided() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    base = torch.randn(6, 4, 5, 3)
    return {
        "channels_last": base.contiguous(memory_format=torch.channels_last),
        "permuted": base.permute(2, 0, 3, 1),
        "transposed": torch.randn(5, 7).t(),
        "every other": torch.randn(10, 6)[:, ::2],
        "a slice": torch.randn(10, 6)[2:5, 1:4],
        "offset": torch.randn(11)[3:],
        "one element axes": torch.randn(1, 4, 1).transpose(0, 2),
    }


@pytest.mark.parametrize("kind", list(strided()))
def test_any_strides(kind: str) -> None:
    grad = strided()[kind]
    values = grad.clone()
    (w,) = with_grads(grad)
    w.grad = grad
    where = grad.data_ptr()
    exact = float(values.double().norm())
    version = grad._version
    assert float(ours.get_total_norm(grad)) == pytest.approx(exact, rel=1e-12)
    assert float(ours.clip_grad_norm_(w, 0.5)) == pytest.approx(exact, rel=1e-12)
    assert w.grad is grad
    assert grad.data_ptr() == where
    assert grad._version > version
    torch.testing.assert_close(grad, values * (0.5 / exact), rtol=1e-6, atol=0)
    ours.clip_grad_value_(w, 0.01)
    assert grad.abs().max() <= 0.01


def test_what_cannot_be_clipped_is_refused_with_a_sentence() -> None:
    w = torch.nn.Parameter(torch.zeros(3))
    w.grad = torch.ones(1).expand(3)
    assert ours.get_total_norm(w.grad) == pytest.approx(math.sqrt(3))
    with pytest.raises(ValueError, match=r"parameters\[0\].grad: expected a tensor whose elements each have memory"):
        ours.clip_grad_norm_(w, 1.0)
    for tensor, got in (
        (torch.ones(2, device="meta"), "one on meta"),
        (torch.eye(2).to_sparse(), "one of layout sparse_coo"),
        (torch.ones(2, dtype=torch.complex64), "one of complex64"),
        (torch.ones(2, dtype=torch.int32), "one of int32"),
    ):
        with pytest.raises(TypeError, match=rf"tensors\[0\]: expected a dense CPU tensor of .*; got {got}"):
            ours.get_total_norm(tensor)
    for p in (0.0, -1.0, -math.inf):
        with pytest.raises(ValueError, match="norm_type: expected a number above 0"):
            ours.get_total_norm([torch.ones(2)], p)


def test_a_norm_that_is_given_is_used() -> None:
    mine, torchs = with_grads(torch.tensor([3.0, 4.0])), with_grads(torch.tensor([3.0, 4.0]))
    for norm in (torch.tensor(10.0), 10, torch.tensor(10.0, dtype=BF16)):
        before = grads_of(mine)[0]
        ours.clip_grads_with_norm_(mine, 1.0, norm)
        torch.testing.assert_close(grads_of(mine)[0], before * 0.1)
    theirs._clip_grads_with_norm_(torchs, 1.0, torch.tensor(math.nan))
    ours.clip_grads_with_norm_(mine, 1.0, torch.tensor(math.nan))
    assert torch.isnan(grads_of(mine)[0]).all()
    assert torch.isnan(grads_of(torchs)[0]).all()
    with pytest.raises(ValueError, match="total_norm: expected a number that is at least 0"):
        ours.clip_grads_with_norm_(mine, 1.0, -1.0)
