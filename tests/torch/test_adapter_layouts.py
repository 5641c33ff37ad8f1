"""Tensors of any layout: those that fill their memory are walked as they lie, others in the order of their indices."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from steelyard.torch import AdamW

SHAPE = (3, 4, 5, 6)


def channels_last(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def transposed(x: torch.Tensor) -> torch.Tensor:
    return x.permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0)


def sliced(x: torch.Tensor) -> torch.Tensor:
    wide = torch.zeros((3, 4, 5, 12))
    wide[..., ::2] = x
    return wide[..., ::2]


def reversed_axes_sliced(x: torch.Tensor) -> torch.Tensor:
    wide = torch.zeros((12, 5, 4, 3))
    view = wide[::2].permute(3, 2, 1, 0)
    return view.copy_(x)


LAYOUTS: list[Callable[[torch.Tensor], torch.Tensor]] = [
    torch.Tensor.contiguous, channels_last, transposed, sliced, reversed_axes_sliced,
]  # fmt: skip


def numbers(seed: int, shape: tuple[int, ...] = SHAPE) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def trained(param: torch.Tensor, gradients: Callable[[torch.Tensor], torch.Tensor], steps: int = 3) -> AdamW:
    weight = torch.nn.Parameter(param)
    optimizer = AdamW([weight], lr=1e-2, amsgrad=True, max_norm=3.0)
    for seed in range(steps):
        weight.grad = gradients(numbers(seed))
        optimizer.step()
    return optimizer


@pytest.mark.parametrize("gradients", LAYOUTS, ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_layouts_do_not_change_a_bit(
    layout: Callable[[torch.Tensor], torch.Tensor], gradients: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    plain, other = trained(numbers(9), torch.Tensor.contiguous), trained(layout(numbers(9)), gradients)
    (p,), (q,) = plain.param_groups[0]["params"], other.param_groups[0]["params"]
    assert torch.equal(p, q)
    assert q.stride() == layout(numbers(9)).stride()
    for name in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"):
        assert torch.equal(plain.state[p][name], other.state[q][name])
    assert plain.step_info.grad_norm == pytest.approx(other.step_info.grad_norm, rel=1e-14)


@pytest.mark.parametrize("layout", [channels_last, transposed])
def test_dense_layouts_are_walked_where_they_lie(layout: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Nothing is prepared in the second step: it is one call of the core, on the tensors themselves."""
    optimizer = trained(layout(numbers(1)), layout, steps=1)
    (weight,) = optimizer.param_groups[0]["params"]
    assert optimizer.state[weight]["exp_avg"].stride() == weight.stride()
    optimizer._prepared = None
    weight.grad = layout(numbers(2))
    optimizer.step()
    assert optimizer.state[weight]["step"].item() == 2


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_the_first_element_that_is_not_finite_is_counted_in_c_order(
    layout: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    weight = torch.nn.Parameter(layout(torch.ones(SHAPE)))
    grad = torch.ones(SHAPE)
    grad.view(-1)[17] = torch.inf
    weight.grad = layout(grad)
    own = AdamW([weight], nonfinite="skip")
    own.step()
    assert own.step_info.first_element == 17


def test_what_lies_between_the_elements_of_a_slice_is_left_alone() -> None:
    wide = torch.ones(3, 8)
    weight = torch.nn.Parameter(wide[:, ::2])
    weight.grad = torch.ones(3, 4)
    before = weight._version
    AdamW([weight]).step()
    assert (wide[:, 1::2] == 1).all()
    assert (wide[:, ::2] < 1).all()
    assert weight._version > before


def test_torchs_fused_step_pairs_elements_of_a_transposed_gradient_wrongly_and_ours_does_not() -> None:
    """torch's fused CPU step walks raw memory, whatever the strides (torch 2.13 to 2.15)."""
    grad = torch.arange(1.0, 21.0).reshape(4, 5).t()

    def after(kind: type, gradient: torch.Tensor, **options: bool) -> torch.Tensor:
        weight = torch.nn.Parameter(torch.zeros(5, 4))
        weight.grad = gradient
        optimizer = kind([weight], **options)
        optimizer.step()
        return optimizer.state[weight]["exp_avg"]

    right = after(torch.optim.AdamW, grad, foreach=False)
    assert torch.equal(after(AdamW, grad), right)
    assert torch.equal(after(AdamW, grad.contiguous()), right)
    assert not torch.equal(after(torch.optim.AdamW, grad, fused=True), right), "torch has mended this: say so"


def test_deepspeeds_step_leaves_a_channels_last_parameter_unchanged_and_ours_does_not() -> None:
    """DeepSpeedCPUAdam updates a contiguous copy and drops it (0.19)."""
    weight = torch.nn.Parameter(channels_last(torch.ones(SHAPE)))
    assert not weight.is_contiguous()
    weight.grad = torch.ones(SHAPE)
    optimizer = AdamW([weight], lr=0.1)
    optimizer.step()
    assert (weight < 0.91).all()
    assert (optimizer.state[weight]["exp_avg"] > 0.09).all()


def test_axes_of_one_element_may_have_any_stride() -> None:
    weight = torch.nn.Parameter(torch.ones(4, 1, 3))
    optimizer = AdamW([weight])
    weight.grad = torch.ones(12).as_strided((4, 1, 3), (3, 99, 1))
    optimizer.step()
    optimizer._prepared = None
    optimizer.step()
    assert optimizer.state[weight]["step"].item() == 2


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0, 3)])
def test_scalars_and_empty_tensors(shape: tuple[int, ...]) -> None:
    weight, other = torch.nn.Parameter(torch.ones(shape)), torch.nn.Parameter(torch.ones(shape))
    for p, optimizer in ((weight, AdamW([weight])), (other, torch.optim.AdamW([other], foreach=False))):
        p.grad = torch.full(shape, 2.0)
        optimizer.step()
    assert torch.equal(weight, other)


def test_unaligned_memory_is_stepped_through_a_copy() -> None:
    bytes_ = torch.zeros(17, dtype=torch.uint8).numpy()
    weight = torch.nn.Parameter(torch.frombuffer(bytes_, dtype=torch.float32, count=4, offset=1))
    assert weight.data_ptr() % 4
    weight.grad = torch.ones(4)
    AdamW([weight], lr=0.5).step()
    assert weight.tolist() == pytest.approx([-0.5] * 4, rel=1e-6)


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: torch.zeros(1).expand(5), r"^params\[0\]: expected a tensor whose elements each have memory"),
        (lambda: torch.zeros(9).as_strided((3, 3), (2, 1)), r"^params\[0\]: expected a tensor whose elements each"),
        (lambda: torch.zeros(3, dtype=torch.complex64), r"^params\[0\]: expected a tensor of real numbers; .*view_as_real"),
        (lambda: torch.zeros(3, device="meta"), r"^params\[0\]: expected a tensor on the CPU; got one on meta.*to_empty"),
        (lambda: torch.eye(3).to_sparse(), r"^params\[0\]: expected a dense tensor; .*SparseAdam"),
        (lambda: torch.zeros(3, dtype=torch.int32), r"^params\[0\]: expected a tensor of float32, .*; got one of int32"),
    ],
)  # fmt: skip
def test_parameters_that_cannot_be_stepped_are_refused_when_they_are_given(
    made: Callable[[], torch.Tensor], sentence: str
) -> None:
    param = made()
    weight = param.requires_grad_() if param.is_floating_point() else param
    with pytest.raises((TypeError, ValueError), match=sentence):
        AdamW([weight])


def test_sparse_gradients_are_refused_with_what_takes_them() -> None:
    embedding = torch.nn.Embedding(5, 2, sparse=True)
    before = embedding.weight.detach().clone()
    optimizer = AdamW(embedding.parameters())
    embedding(torch.tensor([1, 2])).sum().backward()
    with pytest.raises(TypeError, match=r"^params\[0\].grad: expected a dense tensor; .*to_dense\(\), .*SparseAdam"):
        optimizer.step()
    assert torch.equal(embedding.weight, before)


def test_quantized_tensors_are_refused() -> None:
    with pytest.warns(UserWarning, match="quantize"):
        param = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)
    with pytest.raises(
        TypeError, match=r"^params\[0\]: expected a tensor of floats; got a quantized one; pass .*dequantize"
    ):
        AdamW([param])


def test_parameters_that_overlap_are_refused() -> None:
    base = torch.zeros(10)
    weights = [torch.nn.Parameter(base[:6]), torch.nn.Parameter(base[4:])]
    optimizer = AdamW([{"params": [weight]} for weight in weights])
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    sentence = r"param_groups\[0\]\['params'\]\[0\]: expected memory of its own; it overlaps param_groups\[1\]"
    with pytest.raises(ValueError, match=sentence):
        optimizer.step()
    assert not base.any()
    weights[1].data = torch.zeros(6)
    optimizer.step()
    assert base[:6].all()
