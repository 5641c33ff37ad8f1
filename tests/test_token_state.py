"""TokenState: the means of columns of token scores, from batches, in exact sums."""

from __future__ import annotations

import json
import pickle
import struct
import sys
import threading
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import _core
from steelyard._column_totals import OF_CORE
from steelyard._registries import names
from steelyard.tokens import PerplexityState, TokenState
from steelyard.tokens._asked import OF_BASE

from .cases import normalish, words
from .states import KINDS, OF_SEVERAL, body_of, options_of, sealed

KIND = OF_SEVERAL[TokenState]
ROWS, LENGTH, WIDTH = 12, 7, 23
X = (3.0 * normalish(ROWS * LENGTH * WIDTH, 3)).reshape(ROWS, LENGTH, WIDTH).astype(np.float32)
BASE = (X + 0.3 * normalish(X.size, 5).reshape(X.shape)).astype(np.float32)
T = (words(ROWS * LENGTH, 4) % np.uint64(WIDTH)).astype(np.int64).reshape(ROWS, LENGTH)
T[1, 3:] = -100
T[4] = -100
DOCUMENTS = np.array(["a", "b", "c", "a", "b", "c", "d", "d", "e", "f", "e", "g"])
WHERE = words(ROWS * LENGTH, 6).reshape(ROWS, LENGTH) % np.uint64(5) > 0
PAIRS = tuple(name for name in names("tokens.pair_columns") if name not in OF_BASE)
COLUMNS = tuple(name for name in (*names("tokens.columns"), *PAIRS) if name != "top")
EVERY = {"logits": X, "targets": T, "baseline": BASE, "where": WHERE, "clusters": DOCUMENTS}


def part(rows: Any) -> dict[str, Any]:
    return {name: values[rows] for name, values in EVERY.items()}


def of_nll(*rows: Any, **options: Any) -> TokenState:
    """The state of the NLL of some rows."""
    state = TokenState("nll", **options)
    for at in rows:
        state.update(X[at], T[at], clusters=DOCUMENTS[at])
    return state


def test_every_column_has_the_mean_that_estimate_finds() -> None:
    t = sy.token_scores(X, T, baseline=BASE, where=WHERE, columns="all")
    means = TokenState(COLUMNS).update(**EVERY).compute()
    assert means.names == COLUMNS
    of_tokens = np.repeat(DOCUMENTS, LENGTH)
    for name in COLUMNS:
        column = getattr(t, name)
        want = sy.estimate(column.reshape(-1), where=t.counted.reshape(-1), clusters=of_tokens)
        got = means[name]
        for figure in ("value", "standard_error", "low", "high"):
            assert getattr(got, figure) == pytest.approx(getattr(want, figure), rel=1e-11, abs=1e-300), (name, figure)
        assert (got.n, got.n_clusters, got.method, got.reason) == (want.n, want.n_clusters, want.method, want.reason)
    assert means.left_out == {
        "ignored": int((T == -100).sum()), "where": int((~WHERE & (T != -100)).sum()),
    }  # fmt: skip
    assert means["correct"].method == "clustered Wilson"


def test_a_name_is_one_estimate_and_a_sequence_many() -> None:
    one = TokenState("entropy").update(X, T, clusters=DOCUMENTS).compute()
    many = TokenState(["entropy"]).update(X, T, clusters=DOCUMENTS).compute()
    assert one.names is None
    assert many.names == ("entropy",)
    assert many["entropy"] == one


def test_every_split_and_order_gives_the_same_bits() -> None:
    whole = TokenState(COLUMNS).update(**EVERY)
    answer = whole.compute()
    rng = np.random.default_rng(1)
    for batches in (1, 2, 5, ROWS):
        rows = np.array_split(rng.permutation(ROWS), batches)
        one_by_one = TokenState(COLUMNS)
        for at in rows:
            one_by_one.update(**part(at))
        merged = sum(TokenState(COLUMNS).update(**part(at)) for at in rows)
        assert one_by_one.to_bytes() == merged.to_bytes() == whole.to_bytes()
        assert one_by_one.compute() == answer
    of_tokens = {name: values.reshape(-1, *values.shape[2:]) for name, values in EVERY.items() if name != "clusters"}
    state = TokenState(COLUMNS)
    for first in range(0, ROWS * LENGTH, 10):  # splits inside rows and documents
        at = slice(first, first + 10)
        state.update(**{name: v[at] for name, v in of_tokens.items()}, clusters=np.repeat(DOCUMENTS, LENGTH)[at])
    assert state == whole


def test_scores_are_taken_as_logits_are() -> None:
    t = sy.token_scores(X, T, baseline=BASE, where=WHERE, columns=COLUMNS)
    of_scores = TokenState(COLUMNS).update(t, clusters=DOCUMENTS)
    assert of_scores.compute().value.tobytes() == TokenState(COLUMNS).update(**EVERY).compute().value.tobytes()
    # A TokenScores does not say why a position does not count.
    assert of_scores.compute().left_out == {"ignored": int((~t.counted).sum())}
    every = sy.token_scores(X, T)
    masked = TokenState("nll").update(every, where=WHERE, clusters=DOCUMENTS)
    assert masked == TokenState("nll").update(X, T, where=WHERE, clusters=DOCUMENTS)


def test_options_are_those_of_token_scores() -> None:
    options: dict[str, Any] = {
        "ignore_index": 3, "temperature": 0.5, "scale": 2.0, "softcap": 20.0, "label_smoothing": 0.25,
    }  # fmt: skip
    targets = np.where(T < 0, 0, T)
    t = sy.token_scores(X, targets, columns=("label_smoothed",), **options)
    state = TokenState(("nll", "label_smoothed"), **options).update(X, targets, clusters=DOCUMENTS)
    assert state == TokenState(("nll", "label_smoothed"), **options).update(t, clusters=DOCUMENTS)
    for other in ({"temperature": 0.25}, {"ignore_index": None}, {"label_smoothing": 0.0}, {"confidence_level": 0.9}):
        with pytest.raises(ValueError, match=f"^other: expected a state with {next(iter(other))} = "):
            state.merge(TokenState(("nll", "label_smoothed"), **(options | other)))


def test_a_document_may_be_one_id_and_rows_may_be_single_sequences() -> None:
    state = TokenState("nll")
    for row, document in enumerate(DOCUMENTS.tolist()):
        state.update(X[row], T[row], clusters=document)
    assert state == of_nll(slice(None))
    assert state.compute().n_clusters == len(set(DOCUMENTS.tolist()) - {"b"}) + 1


def test_positions_say_where_to_go_on() -> None:
    state = TokenState("nll").update(X[:5], T[:5], where=WHERE[:5], clusters=DOCUMENTS[:5])
    assert state.n_positions == 5 * LENGTH
    saved = TokenState.from_bytes(state.to_bytes())
    rows = saved.n_positions // LENGTH
    saved.update(X[rows:], T[rows:], where=WHERE[rows:], clusters=DOCUMENTS[rows:])
    assert saved == TokenState("nll").update(X, T, where=WHERE, clusters=DOCUMENTS)
    of_perplexity = PerplexityState().update(X[:5], T[:5], where=WHERE[:5])
    assert of_perplexity.n_positions == 5 * LENGTH


def test_what_has_no_spread_is_not_certain() -> None:
    same = TokenState(("kl", "same_top", "tv", "delta_p")).update(X, T, baseline=X, clusters=DOCUMENTS).compute()
    assert same.value.tolist() == [0.0, 1.0, 0.0, 0.0]
    assert np.isnan(same.low[0]), "a divergence has no upper bound"
    assert np.isnan(same.high[0])
    assert 0.5 < same["same_top"].low < 1.0 == same["same_top"].high
    assert same["tv"].low == 0.0 < same["tv"].high < 0.5
    assert same["delta_p"].low == -same["delta_p"].high < 0.0
    assert "no spread" in same["delta_p"].method


def test_no_tokens_and_no_columns() -> None:
    with pytest.raises(ValueError, match=r"^logits: expected at least one token that counts; got none"):
        TokenState().compute()
    state = TokenState().update(X[4:5], T[4:5], clusters=["b"])
    assert state.n_positions == LENGTH
    with pytest.raises(ValueError, match=f"left out: {LENGTH} ignored"):
        state.compute()
    assert TokenState().update(X[:0], T[:0], clusters=[]) == TokenState()
    for columns in ((), ("nll", "nll")):
        with pytest.raises(ValueError, match=r"^columns: expected at least one name, each once"):
            TokenState(columns)
    with pytest.raises(ValueError, match=r"^columns: expected one of nll, .*; got 'top'"):
        TokenState("top")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^columns: expected names"):
        TokenState(3)  # type: ignore[arg-type]


REFUSED: dict[str, tuple[TokenState, dict[str, Any], str]] = {
    "clusters: expected the document of each": (TokenState(), {"clusters": None}, ""),
    "targets: expected the tokens": (TokenState(), {"targets": None}, ""),
    "baseline: expected logits": (TokenState("kl"), {}, ""),
    "baseline: expected None": (TokenState("nll"), {"baseline": BASE}, ""),
    "targets: expected None beside logits": (TokenState(), {"logits": sy.token_scores(X, T)}, ""),
    "logits: expected scores with the column 'kl'": (
        TokenState(("nll", "kl")), {"logits": sy.token_scores(X, T), "targets": None}, "columns=('nll', 'kl')",
    ),
    "x: expected one target a position": (TokenState(), {"targets": T[..., None]}, ""),
    "x: expected a token axis": (TokenState(), {"logits": X[0, 0], "targets": T[0, 0], "clusters": "a"}, ""),
    "clusters: expected one id per token": (TokenState(), {"clusters": ["a"]}, ""),
}  # fmt: skip


@pytest.mark.parametrize("said", REFUSED)
def test_what_is_refused(said: str) -> None:
    state, changed, also = REFUSED[said]
    state = state.copy()
    arguments = {"logits": X, "targets": T, "clusters": DOCUMENTS} | changed
    with pytest.raises((TypeError, ValueError), match=f"^{said}") as caught:
        state.update(**arguments)
    assert also in str(caught.value)
    assert state == TokenState.from_bytes(state.to_bytes())
    assert state.n_positions == 0


def test_an_infinite_value_names_its_column_and_place() -> None:
    x = X.copy()
    x[6, 2, T[6, 2]] = -np.inf
    state = of_nll(slice(0, 3))
    before = state.to_bytes()
    with pytest.raises(
        ValueError, match=r"^nll: expected finite values where a token counts; got inf at index \[6, 2\]"
    ):
        state.update(x, T, clusters=DOCUMENTS)
    assert state.to_bytes() == before


def test_an_exception_of_progress_is_the_callers_and_changes_nothing() -> None:
    def stop(done: int, total: int) -> None:
        raise KeyError("mine")

    state = of_nll(slice(0, 3))
    before = state.to_bytes()
    for data in ((X, T), (sy.token_scores(X, T),)):
        with pytest.raises(KeyError, match="mine"):
            state.update(*data, clusters=DOCUMENTS, progress=stop)
        assert state.to_bytes() == before
    seen: list[tuple[int, int]] = []
    TokenState(("nll", "log_z")).update(sy.token_scores(X, T), clusters=DOCUMENTS,
                                        progress=lambda *at: seen.append(at))  # fmt: skip
    assert seen
    assert all(done <= total for done, total in seen)


# -- bytes -------------------------------------------------------------------------------------------------------


def test_it_travels_and_damaged_bytes_are_refused() -> None:
    state = TokenState(("nll", "kl"), temperature=2.0).update(X[:3], T[:3], baseline=BASE[:3], clusters=DOCUMENTS[:3])
    data = state.to_bytes()
    again = TokenState.from_bytes(memoryview(data))
    assert (again, again.compute()) == (state, state.compute())
    assert pickle.loads(pickle.dumps(state)) == state == state.copy()
    assert sealed(KIND, body_of(data)) == data
    damaged = [data[:end] for end in range(len(data))] + [data + b"\0"]
    for bit in range(0, 8 * len(data), 7):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(changed))
    for found in damaged:
        with pytest.raises(ValueError, match=r"^data: expected "):
            TokenState.from_bytes(found)
    with pytest.raises(TypeError, match=r"^data: expected bytes"):
        TokenState.from_bytes([1])  # type: ignore[arg-type]


def test_other_kinds_and_versions_are_named() -> None:
    whole = of_nll(slice(0, 3)).to_bytes()
    for other in (PerplexityState().update([1.0]), sy.uncertainty.EstimateState().update([1.0])):
        with pytest.raises(ValueError, match=f"^data: expected a TokenState; got a {type(other).__name__}$"):
            TokenState.from_bytes(other.to_bytes())
        with pytest.raises(ValueError, match=f"^data: expected a {type(other).__name__}; got an unknown kind \\(5\\)"):
            type(other).from_bytes(whole)
    with pytest.raises(ValueError, match=r"^data: expected layout 1"):
        TokenState.from_bytes(sealed(KIND, body_of(whole), layout=2))
    with pytest.raises(ValueError, match=r"^data: expected numerics 1 of a TokenState; got 9"):
        TokenState.from_bytes(sealed(KIND, body_of(whole), numerics=9))
    assert {of.__name__: n for of, n in KINDS.items()}.items() <= {
        name: n for n, name in reversed(OF_CORE.items())
    }.items()
    assert {name for name in _core.state_numerics() if name.endswith("State")} == set(OF_CORE.values())
    assert KIND not in OF_CORE


def rows_of(state: TokenState) -> list[bytes]:
    """The bytes of each column."""
    rest = options_of(state.to_bytes())[1]
    (count,) = struct.unpack_from("<I", rest)
    at, found = 4, []
    for _ in range(count):
        (length,) = struct.unpack_from("<Q", rest, at)
        found.append(rest[at + 8 : at + 8 + length])
        at += 8 + length
    assert at == len(rest)
    return found


def made(options: bytes, *columns: bytes, count: int | None = None) -> bytes:
    rows = b"".join(struct.pack("<Q", len(column)) + column for column in columns)
    head = struct.pack("<I", len(options)) + options + struct.pack("<I", len(columns) if count is None else count)
    return sealed(KIND, head + rows)


def test_columns_that_do_not_belong_together_are_refused() -> None:
    state = TokenState(("nll", "entropy")).update(X, T, clusters=DOCUMENTS)
    options, (nll, entropy) = options_of(state.to_bytes())[0], rows_of(state)
    assert TokenState.from_bytes(made(options, nll, entropy)) == state
    values = sy.token_scores(X, T, where=WHERE).nll.reshape(-1)
    counted = ~np.isnan(values)
    of_tokens = np.repeat(DOCUMENTS, LENGTH)
    totals = sy.uncertainty.EstimateState()

    def column(ids: Any, **more: int) -> bytes:
        part = _core.EstimateTotals()
        unique, codes = np.unique(ids, return_inverse=True)
        part.update(values[counted], codes=codes, names=unique.tolist(), **more)
        return part.to_bytes(b"")

    same = column(of_tokens[counted])
    two = TokenState(("nll", "entropy"))
    assert TokenState.from_bytes(made(options, same, same)).compute()["nll"].n == counted.sum()
    renamed = np.char.add(of_tokens[counted], "'")
    free = totals.update(values[counted])._totals.to_bytes(b"")
    for others in (
        (same, column(renamed)), (same, column(of_tokens[counted], excluded=1)), (same, column(of_tokens[counted], nan=2)),
        (same, nll), (free, free), (same, free), (same,), (same, same, same), (),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"^data: expected "):
            TokenState.from_bytes(made(options, *others))
    with_config = _core.EstimateTotals.from_bytes(same)[0].to_bytes(b"{}")
    hostile = [
        made(options, same, with_config), made(options, same, same, count=3), made(options, same, same, count=2**32 - 1),
        made(b"{}", same, same), made(options.replace(b"entropy", b"log_zzz"), same, same), made(options, b"", b""),
        sealed(KIND, struct.pack("<I", 2**32 - 1) + options), sealed(KIND, b""),
        sealed(KIND, body_of(two.to_bytes())[:-1]), sealed(KIND, body_of(two.to_bytes()) + b"\0"),
    ]  # fmt: skip
    for data in hostile:
        with pytest.raises(ValueError, match=r"^data: expected "):
            TokenState.from_bytes(data)


def test_options_that_nobody_wrote() -> None:
    state = of_nll(slice(0, 3))
    rows, options = rows_of(state), json.loads(options_of(state.to_bytes())[0])

    def spelt(changed: dict[str, Any]) -> bytes:
        return json.dumps(changed, sort_keys=True, separators=(",", ":")).encode()

    assert TokenState.from_bytes(made(spelt(options), *rows)) == state
    for option in options:
        without = {key: value for key, value in options.items() if key != option}
        strange = (True, "x", [[]], {"a": 1}, 2**70, *(() if option == "scale" else (-1.5,)))
        for changed in (without, *({**options, option: value} for value in strange)):
            with pytest.raises(ValueError, match=r"^data: expected "):
                TokenState.from_bytes(made(spelt(changed), *rows))
    for text in (b"[]", b"null", b'{"columns":"nll"}', b"{" * 10_000, json.dumps(options).encode()):
        with pytest.raises(ValueError, match=r"^data: expected "):
            TokenState.from_bytes(made(text, *rows))


# -- threads -------------------------------------------------------------------------------------------


def test_threads_that_change_one_state_lose_nothing() -> None:
    state, want = TokenState(("nll", "log_z")), TokenState(("nll", "log_z"))
    scores = [sy.token_scores(X[i : i + 1], T[i : i + 1]) for i in range(ROWS)]

    def work(first: int) -> None:
        for i in range(first, ROWS, 3):
            for _ in range(20):
                state.update(scores[i], clusters=DOCUMENTS[i : i + 1])

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    workers = [threading.Thread(target=work, args=(first,)) for first in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    sys.setswitchinterval(interval)
    for i in range(ROWS):
        for _ in range(20):
            want.update(scores[i], clusters=DOCUMENTS[i : i + 1])
    assert state == want


def test_a_change_made_while_another_is_made_is_kept() -> None:
    """By another thread, or by a signal handler."""
    state, more = of_nll(slice(0, 3)), of_nll(slice(3, 6))
    other = of_nll(slice(6, ROWS))

    class Handler:
        """The totals of a column that change the state while they are merged into it."""

        def __init__(self, part: Any) -> None:
            self.part, self.done = part, False

        def copy(self) -> Any:
            if not self.done:
                self.done = True
                state.merge(more)
            return self.part.copy()

    state._totals._parts = tuple(Handler(part) for part in state._totals.parts)
    state.merge(other)
    assert state == of_nll(slice(None))
