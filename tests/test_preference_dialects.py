"""``convention=``: the names and numbers of other libraries, from the libraries' expressions.

The functions of the libraries themselves are called in ``tests/torch/test_preference_dialects.py``.
"""

from __future__ import annotations

import inspect
from typing import Any, get_args

import numpy as np
import pytest

import steelyard as sy
from steelyard._registries import REGISTRIES, names
from steelyard.errors import SteelyardWarning
from steelyard.preference.dialects import DIALECTS, LACKING, LIBRARIES, Convention, Dialect, Spelt

from .cases import normalish

LENGTHS = (1 + np.arange(60) % 7, 1 + np.arange(60) % 5)
NEEDED = {"label_smoothing": 0.1, "gamma": 0.5, "alpha": 0.25}
ROWS = [(library, name, row) for library, rows in DIALECTS.items() for name, row in rows.items()]
IDS = [f"{library} {name}" for library, name, _ in ROWS]


@pytest.mark.parametrize(("loss", "gamma"), [("simpo", None), ("simpo", [0.5, 0.25, 0.0]), ("cpo", None)])
def test_the_weight_of_an_added_likelihood_can_be_a_sweep(loss: str, gamma: Any) -> None:
    pairs = [-5.0, -6.0, -7.5], [-6.0, -5.0, -9.0]
    weights = [0.0, 0.5, 2.0]
    options = {"loss": loss, "convention": "trl", "beta": 0.3, "lengths": ([3, 4, 5], [2, 4, 6])}
    swept = sy.preference_loss(*pairs, sft=weights, gamma=gamma, **options)  # type: ignore[arg-type]
    assert swept.losses is not None
    assert swept.grad_chosen is not None
    for k, weight in enumerate(weights):
        margin = None if gamma is None else gamma[k]
        one = sy.preference_loss(*pairs, sft=weight, gamma=margin, **options)  # type: ignore[arg-type]
        assert one.losses is not None
        assert swept.losses[:, k].tobytes() == one.losses.tobytes()
        assert swept.grad_chosen[:, k].tolist() == one.grad_chosen.tolist()  # type: ignore[union-attr]
        assert swept.loss.value[k] == one.loss.value
    for bad, message in (
        ([0.5, -1.0], "sft: expected a number that is at least 0; got -1"),
        ([], "sft: expected at least one"),
    ):
        with pytest.raises(ValueError, match=message):
            sy.preference_loss(*pairs, sft=bad, **options)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sft: expected 2 values, as many as beta; got 3"):
        sy.preference_loss(*pairs, sft=weights, **options | {"beta": [0.1, 0.2]})  # type: ignore[arg-type]


def columns() -> list[np.ndarray]:
    return [normalish(60, 90 + i) * 5 - 30 for i in range(4)]


def given(row: Dialect, **options: Any) -> tuple[list[np.ndarray], dict[str, Any]]:
    """The columns that a row reads, and what it needs beside them."""
    reads = REGISTRIES["preference.loss"][row.loss].columns
    if "lengths" in reads or (row.likelihood and options.get("sft") != 0):
        options["lengths"] = LENGTHS
    return columns()[: 4 if "reference" in reads else 2], {need: NEEDED[need] for need in row.needs} | options


def logsigmoid(t: Any) -> Any:
    return -np.logaddexp(0, -t)


# -- the table -------------------------------------------------------------------------------------------------


def test_the_literals_are_the_table() -> None:
    assert get_args(Convention) == ("steelyard", *LIBRARIES)
    assert set(DIALECTS) == set(LIBRARIES)
    spelt = {name for _, name, _ in ROWS} - set(names("preference.loss"))
    assert set(get_args(Spelt)) == spelt


@pytest.mark.parametrize(("library", "name", "row"), ROWS, ids=IDS)
def test_a_row_speaks_of_what_there_is(library: str, name: str, row: Dialect) -> None:
    keywords = set(inspect.signature(sy.preference_loss).parameters)
    own = set(REGISTRIES["preference.loss"][row.loss].parameters) | {"divergence", "alpha", "sft"}
    assert set(row.takes) <= own
    assert {*row.takes, *row.ignores, *row.beyond, *row.spelt} <= keywords
    assert set(row.needs) <= set(row.takes)
    assert not set(row.takes) & {*row.ignores, *row.beyond}
    assert name not in LACKING.get(library, {})


@pytest.mark.parametrize(("library", "name", "row"), ROWS, ids=IDS)
def test_a_row_computes_and_refuses(library: Any, name: Any, row: Dialect) -> None:
    """Each parameter of the table: taken, ignored with a warning, or refused by its name."""
    read, options = given(row)
    plain = sy.preference_loss(*read, loss=name, convention=library, **options)
    assert np.isfinite(plain.losses).all()
    for parameter in {*row.ignores, *row.beyond}:  # 0 would change nothing, and is not warned of
        zero = sy.preference_loss(*read, loss=name, convention=library, **options | {parameter: 0})
        assert zero.losses.tobytes() == plain.losses.tobytes()
    for parameter in ("label_smoothing", "shift", "temperature", "gamma", "sft"):
        changed = options | {parameter: 0.2}
        if parameter in row.takes:
            assert sy.preference_loss(*read, loss=name, convention=library, **changed).losses.shape == (60,)
        elif parameter in row.ignores:
            with pytest.warns(SteelyardWarning, match=f"{parameter}: {LIBRARIES[library]} ignores it for '{name}'"):
                found = sy.preference_loss(*read, loss=name, convention=library, **changed)
            assert found.losses.tobytes() == plain.losses.tobytes()
        else:
            with pytest.raises(ValueError, match=f"^{parameter}: expected "):
                sy.preference_loss(*read, loss=name, convention=library, **changed)
    for need in row.needs:
        with pytest.raises(ValueError, match=f"^{need}: expected a number, since {LIBRARIES[library]}'s '{name}' has"):
            sy.preference_loss(*read, loss=name, convention=library, **options | {need: None})


def test_without_a_convention_nothing_changes() -> None:
    plain = sy.preference_loss(*columns(), label_smoothing=0.1)
    assert sy.preference_loss(*columns(), label_smoothing=0.1, convention="steelyard") == plain
    for convention, name in (("reference", "dpo"), ("torchtune", "DPOLoss"), ("openrlhf", "dpo")):
        there = sy.preference_loss(*columns(), loss=name, convention=convention, label_smoothing=0.1)  # type: ignore[arg-type]
        assert there.losses.tobytes() == plain.losses.tobytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"convention": "hf"}, "convention: expected one of steelyard, reference, trl, liger, torchtune, openrlhf, axo"),
        ({"convention": "trl"}, "loss: expected one of sigmoid, hinge,"),
        ({"convention": "torchtune", "loss": 3}, "loss: expected one of DPOLoss, RSOLoss with convention='torchtune'; "),
        ({"convention": "torchtune", "loss": "ipo"}, "loss: expected one of DPOLoss, RSOLoss with convention='torchtune'"),
        ({"convention": "trl", "loss": "cpo"}, "lengths: expected (chosen, rejected), numbers of tokens, which TRL needs"),
        ({"convention": "trl", "loss": "cpo", "sft": -1.0, "lengths": LENGTHS}, "sft: expected a number that is at least"),
        ({"convention": "trl", "loss": "cpo", "sft": "much", "lengths": LENGTHS}, "sft: expected a number"),
        (
            {"convention": "trl", "loss": "ipo", "divergence": "js", "lengths": LENGTHS},
            "divergence: expected nothing: TRL's 'ipo' has no such parameter; got str 'js'",
        ),
        ({"convention": "trl", "loss": "sigmoid", "lengths": LENGTHS}, "lengths: expected nothing: the loss 'dpo' does"),
        ({"loss": "sigmoid"}, "loss: expected one of dpo, robust,"),
        (
            {"convention": "torchtune", "loss": "RSOLoss", "gamma": 0.2},
            "gamma: expected nothing: the 'gamma' of torchtune's 'RSOLoss' is 'beta' here; got float 0.2; pass beta=",
        ),
    ],
)  # fmt: skip
def test_bad_options(options: dict[str, Any], message: str) -> None:
    read = columns()[:2] if options.get("loss") == "cpo" else columns()
    with pytest.raises((TypeError, ValueError)) as caught:
        sy.preference_loss(*read, **options)
    assert str(caught.value).startswith(message)


def test_an_unknown_name_is_told_what_was_meant() -> None:
    for name, meant in (("dpo", "sigmoid"), ("sigmod", "sigmoid"), ("ipo_norm", "ipo")):
        with pytest.raises(ValueError, match=f"got '{name}'; did you mean '{meant}'\\?$"):
            sy.preference_loss(*columns(), loss=name, convention="trl")  # type: ignore[arg-type]


@pytest.mark.parametrize(("library", "name"), [(of, name) for of, lacking in LACKING.items() for name in lacking])
def test_what_cannot_be_had_is_said_why(library: Any, name: Any) -> None:
    with pytest.raises(ValueError, match=f"'{name}' cannot be had: ") as caught:
        sy.preference_loss(*columns(), loss=name, convention=library)
    assert str(caught.value).endswith(LACKING[library][name])


# -- the numbers -----------------------------------------------------------------------------------------------


def test_ipo_is_of_means_in_trl_and_its_rewards_are_of_sums() -> None:
    pc, pr, rc, rr = read = columns()
    x, y = pc - rc, pr - rr
    out = sy.preference_loss(*read, loss="ipo", convention="trl", beta=0.3, lengths=LENGTHS)
    np.testing.assert_allclose(out.losses, (x / LENGTHS[0] - y / LENGTHS[1] - 1 / 0.6) ** 2, rtol=1e-12)
    assert out.rewards_chosen.tolist() == (0.3 * x).tolist()
    assert out.rewards_rejected.tolist() == (0.3 * y).tolist()
    summed = sy.preference_loss(*read, loss="ipo", convention="openrlhf", beta=0.3)
    np.testing.assert_allclose(summed.losses, (x - y - 1 / 0.6) ** 2, rtol=1e-12)


@pytest.mark.parametrize("sft", [None, 0.0, 0.5])
@pytest.mark.parametrize(("library", "name"), [("trl", "cpo"), ("trl", "simpo"), ("liger", "cpo"), ("liger", "simpo")])
def test_the_likelihood_is_that_of_all_tokens_of_the_batch(library: Any, name: Any, sft: float | None) -> None:
    pc, pr = read = columns()[:2]
    w, l = (pc, pr) if name == "cpo" else (pc / LENGTHS[0], pr / LENGTHS[1])  # noqa: E741
    gamma = 0.0 if name == "cpo" else 0.5
    lengths = {} if (name, sft) == ("cpo", 0.0) else {"lengths": LENGTHS}
    out = sy.preference_loss(*read, loss=name, convention=library, beta=0.3, sft=sft, **lengths)
    weight = 1.0 if sft is None else sft
    want = -logsigmoid(0.3 * (w - l) - gamma).mean() + weight * -pc.sum() / LENGTHS[0].sum()
    assert float(out.loss) == pytest.approx(want, rel=1e-13)
    # A central difference of the mean over the batch is the gradient over n.
    moved = [pc.copy(), pc.copy()]
    for column, sign in zip(moved, (1, -1), strict=True):
        column[7] += sign * 1e-4
    above, below = (
        sy.preference_loss(column, pr, loss=name, convention=library, beta=0.3, sft=sft, **lengths).losses.mean()
        for column in moved
    )
    assert out.grad_chosen is not None
    assert out.grad_chosen[7] / 60 == pytest.approx((above - below) / 2e-4, rel=1e-6)


def test_orpo_of_liger() -> None:
    pc, pr = read = columns()[:2]
    w, l = pc / LENGTHS[0], pr / LENGTHS[1]  # noqa: E741
    odds = (w - l) - (np.log1p(-np.exp(w)) - np.log1p(-np.exp(l)))
    out = sy.preference_loss(*read, loss="orpo", convention="liger", beta=0.3, lengths=LENGTHS)
    want = -pc.sum() / LENGTHS[0].sum() - 0.3 * logsigmoid(odds).mean()
    assert float(out.loss) == pytest.approx(want, rel=1e-13)
    assert out.rewards_chosen.tolist() == (0.3 * w).tolist()
    own = sy.preference_loss(*read, loss="orpo", beta=0.3, lengths=LENGTHS)
    # The odds ratios are the same, so the losses differ by the likelihoods alone.
    assert float(own.loss) - want == pytest.approx(-w.mean() + pc.sum() / LENGTHS[0].sum(), rel=1e-9)


def test_pairs_that_do_not_count_have_no_part_in_the_likelihood() -> None:
    read = columns()[:2]
    keep = np.arange(60) % 3 > 0
    whole = sy.preference_loss(*read, loss="simpo", convention="trl", lengths=LENGTHS, where=keep)
    cut = sy.preference_loss(
        *(column[keep] for column in read), loss="simpo", convention="trl", lengths=tuple(n[keep] for n in LENGTHS)  # type: ignore[arg-type]
    )  # fmt: skip
    assert whole.losses[keep].tolist() == cut.losses.tolist()
    assert np.isnan(whole.losses[~keep]).all()
    assert whole.grad_chosen is not None
    assert not whole.grad_chosen[~keep].any()


def test_an_empty_answer_adds_nothing() -> None:
    lengths = ([0, 3], [2, 4])
    out = sy.preference_loss([0.0, -6.0], [-3.0, -8.0], loss="simpo", convention="liger", lengths=lengths)
    assert (out.empty, out.grad_chosen[0]) == (1, 0.0)  # type: ignore[index]
    want = -logsigmoid(np.array([0.1 * (0 + 1.5), 0.1 * (-2 + 2)]) - 0.5).mean() + 6 / 3
    assert float(out.loss) == pytest.approx(want, rel=1e-13)
    none = sy.preference_loss([0.0], [0.0], loss="simpo", convention="liger", lengths=([0], [0]))
    assert float(none.losses[0]) == pytest.approx(-logsigmoid(-0.5))


def test_rewards_of_trl_are_log_ratios_whatever_the_divergence() -> None:
    read = [column / 10 for column in columns()]
    out = sy.preference_loss(*read, loss="sigmoid", convention="trl", divergence="js", beta=0.3)
    own = sy.preference_loss(*read, divergence="js", beta=0.3)
    assert out.losses.tobytes() == own.losses.tobytes()
    assert out.rewards_chosen.tolist() == (0.3 * (read[0] - read[2])).tolist()
    assert out.rewards_chosen.tolist() != own.rewards_chosen.tolist()


def test_a_sweep_by_a_convention() -> None:
    read = columns()[:2]
    betas = [0.1, 0.5]
    out = sy.preference_loss(*read, loss="simpo", convention="trl", beta=betas, lengths=LENGTHS)
    for k, beta in enumerate(betas):
        one = sy.preference_loss(*read, loss="simpo", convention="trl", beta=beta, lengths=LENGTHS)
        assert out.losses[:, k].tobytes() == one.losses.tobytes()
        assert out.grad_chosen[:, k].tobytes() == one.grad_chosen.tobytes()  # type: ignore[index,union-attr]


def test_the_docstring_names_every_library() -> None:
    document = str(sy.preference_loss.__doc__)
    assert [name for name in get_args(Convention) if f'"{name}"' not in document] == []


# -- explain ---------------------------------------------------------------------------------------------------


def test_explain_computes_its_numbers() -> None:
    found = {(row.library, row.name): row for row in sy.preference.explain("ipo").rows}
    assert found["steelyard", "ipo"].value == pytest.approx((25 + 25 + 225) / 3)
    assert found["trl", "ipo"].loss == "ipo_norm"
    assert found["trl", "ipo"].value == found["steelyard", "ipo_norm"].value
    assert found["trl", "ipo"].reward_margin == pytest.approx(1.0)
    assert found["liger", "ipo"].loss is None
    assert "label_smoothing" in found["reference", "ipo"].ignores
    smoothed = {row.library: row.smoothed for row in sy.preference.explain("sigmoid").rows}
    assert smoothed["trl"] is smoothed["liger"] is None
    assert smoothed["torchtune"] == pytest.approx(
        np.mean(-0.9 * logsigmoid(np.array([0, 1, 2.0])) - 0.1 * logsigmoid(-np.array([0, 1, 2.0])))
    )


@pytest.mark.parametrize("library", LIBRARIES)
def test_explain_a_library(library: str) -> None:
    found = sy.preference.explain(library)
    assert {row.name for row in found.rows} == {*DIALECTS[library], *LACKING.get(library, {})}
    assert {row.library for row in found.rows} == {library}
    table = str(found).splitlines()
    assert table[0].split() == ["library", "name", "loss", "here", "mean", "loss", "smoothed", "reward", "margin"]
    assert len(table) >= 1 + len(found.rows)


def test_explain_this_package() -> None:
    rows = sy.preference.explain("steelyard").rows
    assert tuple(row.name for row in rows) == tuple(row.loss for row in rows) == names("preference.loss")
    smoothed = [row.name for row in rows if row.smoothed is not None]
    assert smoothed == ["dpo", "robust", "exo_pair", "aot"]


@pytest.mark.parametrize("loss", names("preference.loss"))
def test_explain_every_loss(loss: str) -> None:
    rows = sy.preference.explain(loss).rows
    assert rows[0].library == "steelyard"
    assert all(row.value is not None or row.loss is None for row in rows)


def test_explain_refuses_what_nothing_is_called() -> None:
    with pytest.raises(ValueError, match=r"^name: expected one of reference, trl, .*did you mean 'sigmoid'"):
        sy.preference.explain("sigmod")
    with pytest.raises(TypeError, match=r"^name: expected the name of a loss or of a library; got int 3"):
        sy.preference.explain(3)  # type: ignore[arg-type]


def test_lengths_may_be_given_where_the_likelihood_has_no_weight() -> None:
    pairs = [[-3.0, -4.0], [-5.0, -2.0]]
    lengths = ([3, 4], [5, 2])
    found = sy.preference_loss(*pairs, loss="cpo", convention="trl", sft=0, lengths=lengths)
    assert found.losses.tolist() == sy.preference_loss(*pairs, loss="cpo", sft=0).losses.tolist()
    state = sy.preference.PreferenceState(loss="cpo", convention="trl", sft=0).update(*pairs, lengths=lengths)
    assert float(state.compute()["loss"]) == pytest.approx(float(found.loss), rel=1e-14)
