"""Tensors whose memory moves after the optimizer was made are updated at the new address, or refused with an error."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import steelyard as sy

N = 300_000  # large enough that freed memory goes back to the system: a write into it would crash


def share(p: nn.Parameter) -> Any:
    p.share_memory_()


def share_a_view(p: nn.Parameter) -> Any:
    p.detach()[3:5].share_memory_()


def share_the_storage(p: nn.Parameter) -> Any:
    p.untyped_storage().share_memory_()


def share_by_file(p: nn.Parameter) -> Any:
    before = torch.multiprocessing.get_sharing_strategy()
    torch.multiprocessing.set_sharing_strategy("file_system")
    try:
        p.share_memory_()
    finally:
        torch.multiprocessing.set_sharing_strategy(before)


def send_through_a_queue(p: nn.Parameter) -> Any:
    queue = torch.multiprocessing.get_context("spawn").Queue()
    queue.put({"w": p.detach()})
    received = queue.get()
    queue.close()
    return received


def replace_the_data(p: nn.Parameter) -> Any:
    p.data = p.data.clone()


def from_a_vector(p: nn.Parameter) -> Any:
    nn.utils.vector_to_parameters(nn.utils.parameters_to_vector([p]).detach().clone(), [p])


def set_another(p: nn.Parameter) -> Any:
    with torch.no_grad():
        p.set_(p.detach().clone())


def there_and_back(p: nn.Parameter) -> Any:
    module = nn.Module()
    module.w = p
    module.double().float()
    assert module.w is p


def to_empty(p: nn.Parameter) -> Any:
    module = nn.Module()
    module.w = p
    kept = p.detach().clone()
    module.to_empty(device="cpu")
    with torch.no_grad():
        p.copy_(kept)


MOVES = [
    share, share_a_view, share_the_storage, share_by_file, send_through_a_queue, replace_the_data, from_a_vector,
    set_another, there_and_back, to_empty,
]  # fmt: skip


@pytest.mark.parametrize("move", MOVES)
def test_a_parameter_that_moved_is_updated_where_it_is(move: Callable[[nn.Parameter], Any]) -> None:
    p, still = nn.Parameter(torch.zeros(N)), nn.Parameter(torch.zeros(7))
    opt = sy.AdamW({"p": p, "still": still}, lr=0.1, weight_decay=0.0)
    grads = {"p": torch.ones(N), "still": torch.ones(7)}
    opt.step(grads)
    for _ in range(2):  # also where it moves once more
        kept = move(p)
        gc.collect()
        opt.step(grads)
    assert p.detach()[[0, N // 2, N - 1]].tolist() == pytest.approx([-0.3] * 3, rel=1e-5)
    assert still.detach().tolist() == pytest.approx([-0.3] * 7, rel=1e-5)
    del kept


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda p: setattr(p, "data", p.data.double()),
            r"expected float32 of shape \(300000,\), as when .* got float64",
        ),
        (lambda p: setattr(p, "data", p.data[:5]), r"as when the optimizer was made.* got float32 of shape \(5,\)"),
        (lambda p: setattr(p, "data", p.data.reshape(3, -1)), r"got float32 of shape \(3, 100000\)"),
        (lambda p: setattr(p, "data", torch.zeros(2 * N)[::2]), "expected a C-contiguous array"),
        (lambda p: setattr(p, "data", torch.zeros(1).expand(N)), "expected a C-contiguous array"),
        (lambda p: setattr(p, "data", p.data.bfloat16()), r"expected float32 of .*; got bfloat16"),
    ],
)
def test_a_parameter_that_cannot_be_taken_is_refused(change: Callable[[nn.Parameter], Any], says: str) -> None:
    p, other = nn.Parameter(torch.zeros(N)), nn.Parameter(torch.zeros(3))
    opt = sy.AdamW([other, p], lr=0.1, weight_decay=0.0)
    grads = [torch.ones(3), torch.ones(N)]
    opt.step(grads)
    kept = p.data
    change(p)
    for _ in range(2):
        with pytest.raises((TypeError, ValueError), match=rf"params\[1\]: .*{says}"):
            opt.step(grads)
    assert other.detach().tolist() == pytest.approx([-0.1] * 3)
    assert opt.state_dict()["step"] == 1
    p.data = kept  # what moved away may come back
    opt.step(grads)
    assert p.detach()[0].item() == pytest.approx(-0.2, rel=1e-5)


def test_two_parameters_that_have_become_one_are_refused() -> None:
    a, b = nn.Parameter(torch.zeros(5)), nn.Parameter(torch.zeros(5))
    opt = sy.AdamW([a, b])
    b.data = a.data
    with pytest.raises(ValueError, match=r"params\[0\]: .* it overlaps params\[1\] \(tied arrays"):
        opt.step([torch.ones(5), torch.ones(5)])


def test_an_array_of_a_tensor_that_moved_is_refused() -> None:
    for move in (share, share_the_storage):
        t = torch.zeros(N)
        w = t.numpy()[10:]
        opt = sy.AdamW({"w": w}, lr=0.1, weight_decay=0.0)
        opt.step({"w": np.ones(N - 10, np.float32)})
        assert t[10].item() == pytest.approx(-0.1)
        move(t)
        with pytest.raises(ValueError, match=r'params\["w"\]: expected memory that is still there'):
            opt.step({"w": np.ones(N - 10, np.float32)})
        for call in (lambda w=w: sy.global_norm(w), lambda w=w: sy.clip_by_global_norm_(w, 1.0)):
            with pytest.raises(ValueError, match="expected memory that is still there"):
                call()


def test_a_gradient_that_moves_while_others_are_read() -> None:
    """Reading one leaf runs Python code that moves another one."""

    class Sly:
        def __init__(self, code: Callable[[], Any]) -> None:
            self.code = code

        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            self.code()
            return np.ones(3, np.float32)

    p, g, w = torch.zeros(N), torch.ones(N), torch.zeros(3)
    with pytest.raises(ValueError, match=r"grads\[0\]: expected memory that is still there"):
        sy.AdamW([p, w]).step([g, Sly(g.share_memory_)])
    g = torch.ones(N)
    opt = sy.AdamW([p, w], lr=0.1, weight_decay=0.0)
    opt.step([g, Sly(p.share_memory_)])
    assert p[0].item() == pytest.approx(-0.1)
    m, v = [torch.zeros(N), torch.zeros(3)], [torch.zeros(N), torch.zeros(3)]
    with pytest.raises(ValueError, match=r"exp_avg\[0\]: expected memory that is still there"):
        sy.optim.adamw_([p, w], [g, Sly(m[0].share_memory_)], m, v, step=1)
    # The parameter itself can be asked where it is.
    fresh, m = torch.zeros(N), [torch.zeros(N), torch.zeros(3)]
    with pytest.raises(ValueError, match=r"params\[0\]: expected memory"):
        sy.optim.adamw_([fresh, w], [g, Sly(fresh.share_memory_)], m, v, step=1)


def test_weights_are_no_gradients() -> None:
    module = nn.Linear(3, 3)
    before = [p.detach().clone() for p in module.parameters()]
    for grads in (list(module.parameters()), dict(module.named_parameters()), module.parameters()):
        with pytest.raises(TypeError, match=r"expected a gradient; got .* requires grad: a parameter; pass p.grad"):
            sy.clip_by_global_norm_(grads, 1e-3)
    with pytest.raises(TypeError, match="expected a gradient"):
        sy.global_norm(module.parameters())
    with pytest.raises(TypeError, match=r"grads: expected gradients; got Linear; pass \{name: p.grad"):
        sy.clip_by_global_norm_(module, 1.0)
    with pytest.raises(TypeError, match=r"grads: expected gradients; got Linear"):
        sy.global_norm(module)
    with pytest.raises(TypeError, match=r"grads\[0\]: expected a gradient;"):
        sy.AdamW([torch.zeros(3, 3)]).step([module.weight])
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    # The norm of the weights may be asked for, and a gradient may itself have a gradient.
    assert sy.global_norm(p.detach() for p in module.parameters()) > 0
    x = torch.ones(3, requires_grad=True)
    (gradient,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    assert gradient.requires_grad
    assert sy.global_norm(gradient) == pytest.approx(27**0.5)


def test_modules_and_what_they_hand_out() -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    for wrong in (module, nn.ParameterList(module.parameters()), nn.ParameterDict({"a": torch.zeros(2)})):
        with pytest.raises(TypeError, match=r"params: expected .*; pass dict\(module.named_parameters\(\)\)"):
            sy.AdamW(wrong)
    with pytest.raises(TypeError, match=r"params\[0\]\[0\]: expected .* pass dict\(params\)"):
        sy.AdamW(module.named_parameters())
    loss = module(torch.ones(4, 3)).sum()
    loss.backward()
    before = [p.detach().clone() for p in module.parameters()]
    opt = sy.AdamW(module.parameters(), lr=0.1)
    opt.step(p.grad for p in module.parameters())
    assert all((a != b).any() for a, b in zip(before, module.parameters(), strict=True))
    sy.AdamW(dict(module.named_parameters())).step({k: p.grad for k, p in module.named_parameters()})


def test_a_copy_follows_its_own_tensors() -> None:
    p = nn.Parameter(torch.zeros(N))
    opt = sy.AdamW({"p": p}, lr=0.1, weight_decay=0.0)
    opt.step({"p": torch.ones(N)})
    twin = copy.deepcopy(opt)
    p.share_memory_()
    opt.step({"p": torch.ones(N)})
    twin.step({"p": torch.ones(N)})
    (own,) = twin._params
    assert own is not p
    assert own.detach()[0].item() == p.detach()[0].item() == pytest.approx(-0.2, rel=1e-5)


def test_autograd_is_told_whatever_interrupts() -> None:
    """A signal handler that raises as soon as it can: an update that was made is one that autograd knows of."""
    import signal

    class Stop(BaseException):
        pass

    def stop(*_: Any) -> None:
        raise Stop

    w = torch.zeros(50)
    opt = sy.AdamW(w, lr=1.0, betas=(0.0, 0.0), eps=1e-30, weight_decay=0.0)
    grads = torch.full((50,), -1.0)
    before = signal.signal(signal.SIGALRM, stop)
    stopped = 0
    try:
        for k in range(400):
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-6 * (1 + k))
                while True:
                    opt.step(grads)
            except Stop:
                stopped += 1
            assert w[0].item() == opt.state_dict()["step"] == w._version
    finally:
        signal.signal(signal.SIGALRM, before)
    assert stopped == 400
