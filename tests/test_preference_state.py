"""PreferenceState: the means of preference pairs over batches."""

from __future__ import annotations

import json
import pickle
import struct
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard._registries import REGISTRIES, names
from steelyard.errors import SteelyardWarning
from steelyard.preference import PreferenceState
from steelyard.uncertainty import EstimateState

from .cases import normalish
from .cases.preference import tokens
from .states import body_of, options_of, sealed

N = 90
IDS = (np.arange(N) // 3).tolist()


def columns() -> list[np.ndarray]:
    """With ties, and pairs of both kinds."""
    found = [np.round(normalish(N, 60 + i) * 3 - 20, 1) for i in range(4)]
    found[1][::9], found[3][::9] = found[0][::9], found[2][::9]
    return found


def state(**options: Any) -> PreferenceState:
    return PreferenceState(**options).update(*columns(), clusters=IDS)


def test_the_accuracy_of_three_pairs_is_two_thirds_at_any_batch_size() -> None:
    """OpenRLHF #1336: 2 right and 1 wrong gave .5 as a mean of means of batches of two, and 1.2201 for a loss of .9178."""
    chosen, rejected, zero = np.array([-1.0, -2.0, -4.0]), np.array([-3.0, -2.5, -1.0]), np.full(3, -2.0)
    whole = sy.preference_loss(chosen, rejected, zero, zero, beta=1.0)
    for size in (1, 2, 3):
        made = PreferenceState(beta=1.0)
        for i in range(0, 3, size):
            made.update(*(column[i : i + size] for column in (chosen, rejected, zero, zero)))
        found = made.compute()
        assert found["reward_accuracy"].value == 2 / 3
        assert found["loss"].value == pytest.approx(float(whole.loss), rel=1e-15)
        assert found["reward_accuracy"] == whole.reward_accuracy
    halves = [whole.losses[:2].mean(), whole.losses[2:].mean()]
    assert abs(np.mean(halves) - float(whole.loss)) > 0.1  # what the mean of means would be


@pytest.mark.parametrize("clusters", [None, IDS])
@pytest.mark.parametrize("size", [1, 7, 89])
def test_every_split_has_the_same_bits(size: int, clusters: Any) -> None:
    whole = PreferenceState().update(*columns(), clusters=clusters)
    parts = [
        PreferenceState().update(
            *(column[i : i + size] for column in columns()), clusters=None if clusters is None else clusters[i : i + size]
        )
        for i in range(0, N, size)
    ]  # fmt: skip
    assert sum(parts) == whole == sum(parts[::-1])
    assert sum(parts).to_bytes() == whole.to_bytes()
    assert sum(parts).compute() == whole.compute()


ALONE = [name for name in names("preference.loss") if "batch" not in REGISTRIES["preference.loss"][name].columns]


def test_a_loss_of_a_batch_and_a_mixture() -> None:
    with pytest.raises(ValueError, match="loss: expected a loss of each pair by itself, since a state has no batches"):
        PreferenceState(loss="aot")
    mixture: Any = {"dpo": 0.8, "bco_pair": 0.2}
    found = PreferenceState(loss=mixture, sft=0.5).update(*columns())
    again = PreferenceState.from_bytes(found.to_bytes())
    want = sy.preference_loss(*columns(), loss=mixture, sft=0.5)
    assert float(again.compute()["loss"]) == pytest.approx(float(want.loss), rel=1e-14)
    assert again.compute() == found.compute()


@pytest.mark.parametrize("loss", ALONE)
@pytest.mark.parametrize("clusters", [None, IDS])
def test_the_state_is_the_function(loss: Any, clusters: Any) -> None:
    reads = REGISTRIES["preference.loss"][loss].columns
    read = columns()[: 4 if "reference" in reads else 2]
    lengths = tokens(N) if "lengths" in reads else None
    options = {"loss": loss, "confidence_level": 0.9}
    found = PreferenceState(**options).update(*read, lengths=lengths, clusters=clusters).compute()
    want = sy.preference_loss(*read, lengths=lengths, clusters=clusters, **options)
    assert len(found.names or ()) == (6 if "reference" in reads else 3)
    for name in found.names or ():
        one, other = found[name], getattr(want, name)
        assert (one.method, one.reason, one.n, one.n_clusters) == (
            other.method,
            other.reason,
            other.n,
            other.n_clusters,
        )
        got = (one.value, one.standard_error, one.low, one.high)
        assert got == pytest.approx((other.value, other.standard_error, other.low, other.high), rel=1e-11)


def test_pairs_that_do_not_count() -> None:
    read = columns()
    read[1][5] = np.nan
    keep = np.arange(N) % 4 > 0
    made = PreferenceState(nan_policy="omit").update(*read, where=keep)
    made.update(*(column[:2] for column in read), where=[False, False])  # a batch of which nothing counts
    made.update(*([np.nan],) * 4)
    made.update(*([],) * 4)
    found, want = made.compute(), sy.preference_loss(*read, where=keep, nan_policy="omit")
    assert found["loss"].value == pytest.approx(float(want.loss), rel=1e-14)
    assert found.left_out == {"where": want.left_out["where"] + 2, "nan": want.left_out["nan"] + 1}
    with pytest.raises(ValueError, match="policy_rejected: expected finite"):
        PreferenceState().update(*read)
    with pytest.raises(ValueError, match="policy_chosen: expected at least one pair that counts; got none"):
        PreferenceState().compute()


def test_where_a_batch_is_refused_nothing_is_added() -> None:
    made = state()
    before = made.to_bytes()
    bad = columns()
    bad[2][17] = np.inf
    for change in (
        lambda: made.update(*bad, clusters=IDS),
        lambda: made.update(*columns()),  # no clusters
        lambda: made.update(*columns(), clusters=IDS[:5]),
        lambda: made.update(*columns()[:2], clusters=IDS),
        lambda: made.update(*columns(), clusters=IDS, lengths=tokens(N)),
        lambda: made.update([5.0], [7.0], [5.0], [6.0], clusters=[1]),  # negative log-likelihoods
    ):
        with pytest.raises((TypeError, ValueError), match=": expected "):
            change()
    assert made.to_bytes() == before


def test_it_saves_merges_and_resets() -> None:
    made = state(loss="robust", label_smoothing=0.2)
    again = PreferenceState.from_bytes(made.to_bytes())
    assert again == made == pickle.loads(pickle.dumps(made)) == made.copy()
    assert again.compute() == made.compute()
    assert repr(made) == "<PreferenceState of robust: 90 pairs in 30 clusters>"
    assert made.copy().reset() == PreferenceState(loss="robust", label_smoothing=0.2)
    assert (made + PreferenceState(loss="robust", label_smoothing=0.2)) == made
    with pytest.raises(ValueError, match=r"other: expected a state with label_smoothing = 0\.2; got 0\.1"):
        made.merge(PreferenceState(loss="robust", label_smoothing=0.1))
    with pytest.raises(TypeError, match="other: expected a PreferenceState"):
        made.merge(EstimateState())  # type: ignore[arg-type]


def test_a_convention_is_kept_and_warned_of_once() -> None:
    with pytest.warns(SteelyardWarning, match="label_smoothing: TRL ignores it for 'sigmoid'"):
        made = PreferenceState(loss="sigmoid", convention="trl", label_smoothing=0.1)
    made.update(*columns(), clusters=IDS)  # warnings are errors
    assert PreferenceState.from_bytes(made.to_bytes()) == made
    assert made.compute()["loss"].value == state().compute()["loss"].value
    ipo = PreferenceState(loss="ipo", convention="trl").update(*columns(), lengths=tokens(N)).compute()
    want = sy.preference_loss(*columns(), loss="ipo", convention="trl", lengths=tokens(N))
    assert ipo["loss"].value == pytest.approx(float(want.loss), rel=1e-14)
    assert ipo["reward_margin"].value == pytest.approx(float(want.reward_margin), rel=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "simpo", "convention": "trl"}, "sft: expected 0 with loss='simpo', since a state has no batches; got a"),
        ({"loss": "orpo", "convention": "liger"}, "sft: expected 0 with loss='orpo', since a state has no batches; got a"),
        ({"beta": [0.1, 0.2]}, "beta: expected a number; got list [0.1, 0.2]"),
        ({"beta": 0.0}, "beta: expected a number that is above 0 and finite; got 0.0"),
        ({"loss": "hinge", "label_smoothing": 0.1}, "label_smoothing: expected nothing: the loss 'hinge' does not use"),
        ({"loss": "dop"}, "loss: expected one of dpo, robust"),
        ({"nan_policy": "drop"}, "nan_policy: expected one of raise, omit; got 'drop'"),
        ({"convention": "hf"}, "convention: expected one of steelyard, reference"),
    ],
)  # fmt: skip
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        PreferenceState(**options)
    assert str(caught.value).startswith(message)


# -- bytes -----------------------------------------------------------------------------------------------------


def refused(data: bytes) -> str:
    with pytest.raises(ValueError, match=r"^data: expected ") as caught:
        PreferenceState.from_bytes(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_bytes_that_nobody_wrote() -> None:
    whole = state().to_bytes()
    written, rest = options_of(whole)
    assert sealed(PreferenceState, body_of(whole)) == whole
    for length in range(0, len(whole), 97):
        refused(whole[:length])
    for changed in (body_of(whole) + b"\0", body_of(whole)[:-1], b"", b"\xff" * 8):
        refused(sealed(PreferenceState, changed))
    assert refused(sealed(5, body_of(whole))) == "data: expected a PreferenceState; got a TokenState"
    assert refused(EstimateState().update([1.0]).to_bytes()) == "data: expected a PreferenceState; got a EstimateState"
    assert "layout" in refused(sealed(PreferenceState, body_of(whole), layout=9))
    assert "numerics" in refused(sealed(PreferenceState, body_of(whole), numerics=9))
    options = json.loads(written)
    for changed_options in (
        {**options, "loss": "simpo"},
        {**options, "beta": -1.0},
        {"loss": "dpo"},
        {**options, "x": 1},
    ):
        text = json.dumps(changed_options, sort_keys=True, separators=(",", ":")).encode()
        refused(sealed(PreferenceState, struct.pack("<I", len(text)) + text + rest))


def test_columns_of_other_pairs_are_refused() -> None:
    whole, other = state().to_bytes(), PreferenceState().update(*columns()).to_bytes()
    (written, rest), (_, foreign) = options_of(whole), options_of(other)
    head = struct.pack("<I", len(written)) + written
    (length,) = struct.unpack_from("<Q", rest, 4)
    (alien,) = struct.unpack_from("<Q", foreign, 4)
    mixed = rest[:4] + foreign[4 : 12 + alien] + rest[12 + length :]
    assert "columns of the same rows" in refused(sealed(PreferenceState, head + mixed))
