"""The caller's floating-point mode: it affects no result, and every call restores it."""

from __future__ import annotations

import copy
import inspect
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import _core, records, report
from steelyard._mode import standard_mode

from .test_reference import MODES
from .test_surface import _public

# What tells the mode of this thread: quotients of either sign that round up or down, a subnormal that vanishes.
ONE, TWO, THREE, FIVE, TINY = (
    np.array([x]) for x in (1.0, 2.0, 3.0, 5.0, 1e-323)
)  # arrays: Python folds its constants
# What sets threads and prints versions: no number of a result.
NO_NUMBERS = {"steelyard.show_config", "steelyard.threads"}


def mode() -> tuple[bytes, ...]:
    return tuple(x.tobytes() for x in (ONE / THREE, ONE / FIVE, -ONE / THREE, TINY / TWO))


@pytest.fixture(params=MODES, ids=lambda mode: f"{'flush' if mode[0] else 'gradual'}-{mode[1]}")
def callers(request: pytest.FixtureRequest) -> Callable[[], None]:
    """What puts the thread into the caller's mode, once inputs are made; conftest puts it back."""
    return lambda: _core.set_mode_for_tests(*request.param)


def test_modes_differ_where_they_should() -> None:
    seen = set()
    for flush, rounding in MODES:
        _core.set_mode_for_tests(flush, rounding)
        seen.add(mode())
    assert len(seen) == len(MODES)
    with pytest.raises(ValueError, match="rounding"):
        _core.set_mode_for_tests(rounding="sideways")


def test_a_guarded_call_has_the_standard_mode_and_gives_the_callers_back(callers: Callable[[], None]) -> None:
    want = mode()
    callers()
    before = mode()
    assert standard_mode(mode)() == want
    assert mode() == before

    def fails() -> None:
        raise KeyboardInterrupt(mode() == want)

    with pytest.raises(KeyboardInterrupt, match="True"):
        standard_mode(fails)()
    assert mode() == before

    @standard_mode
    def changes() -> None:
        _core.set_mode_for_tests(True, "up")

    changes()
    assert mode() == before, "what is set inside ends there"


def test_a_core_call_gives_the_callers_mode_back(callers: Callable[[], None]) -> None:
    callers()
    before = mode()
    _core.normal_cdf(0.3)
    _core.column_moments(ONE)
    with pytest.raises(RuntimeError):
        _core.panic_for_tests(True)
    with pytest.raises(RuntimeError):
        _core.panic_for_tests(False)
    assert mode() == before


def test_progress_of_a_core_call_runs_in_the_callers_mode(callers: Callable[[], None]) -> None:
    seen, x = [], np.arange(30_000.0)
    callers()
    before = mode()
    _core.bootstrap(
        [x], "mean", method="percentile", n_resamples=3000, seed=0, confidence_level=0.9, alternative="two-sided",
        progress=lambda done, total: seen.append((done < total, mode())),
    )  # fmt: skip
    assert {found for _, found in seen} == {before}
    assert any(inside for inside, _ in seen), "asked while it works, and not only at the end"


def test_unmasked_exceptions_do_not_trap() -> None:
    """As after ``feenableexcept``: without the guard the process would die of SIGFPE."""
    x, rows = np.array([[0.0, np.inf]]), np.array([[1.0, -np.inf, 1e300, 3.0]])
    _core.set_mode_for_tests(trap=True)
    norm = sy.global_norm([np.array([1e308, 1e308]), np.array([1e-310])])
    scores = sy.token_scores(rows, [0])
    p = _core.beta_quantile(0.5, 0.5, 0.0)
    with pytest.raises(ValueError, match="finite"):
        sy.global_norm(list(x))
    _core.set_mode_for_tests()
    assert norm == pytest.approx(1.4142135623730951e308)
    assert scores.nll.shape == (1,)
    assert p == 0.0


RIGHT, BASE = np.arange(300) % 7 > 1, np.arange(300) % 5 > 1
GRADED = np.arange(300) * 0.37 % 1.0


def printed() -> Iterator[Any]:
    """What the public calls print and write."""
    for e in (sy.estimate(GRADED), sy.proportion(1, 3), sy.estimate(RIGHT, clusters=np.arange(300) // 4)):
        yield str(e), repr(e), f"{e:.1%}", f"{e:.3g}", e._repr_html_(), e.to_dict()
    pair = sy.compare(RIGHT, baseline=BASE)
    yield str(pair), pair._repr_html_(), pair.to_dict(), pair.verdict(0.01)
    graded = sy.compare(GRADED, baseline=GRADED[::-1].copy())
    yield str(graded), graded.to_dict()
    tokens = sy.token_scores(GRADED.reshape(100, 3), np.arange(100) % 3)
    yield repr(tokens), tokens.sequence_logprob.tobytes() if tokens.nll.ndim > 1 else "", str(sy.perplexity(tokens))
    rel = sy.reliability(GRADED, RIGHT)
    yield str(rel), rel.to_dict()
    loss = sy.preference_loss(-GRADED, -GRADED[::-1], -GRADED[::-1], -GRADED)
    yield str(loss), str(loss.reward_margin), str(loss.reward_accuracy), str(loss.chosen_shift), str(loss.displacement)
    yield str(sy.preference.explain("ipo")), str(sy.preference.PreferenceState().update(*[-GRADED] * 4).compute())
    yield repr(sy.schedules.cosine(0.1, total_steps=9)), sy.schedules.linear(0.3, total_steps=7)(2)
    yield repr(sy.optim.GlobalNormState().update(GRADED).update(GRADED))


def test_what_is_printed_is_the_same_in_every_mode(callers: Callable[[], None]) -> None:
    want = [repr(one) for one in printed()]
    callers()
    got = list(printed())
    _core.set_mode_for_tests()
    assert [repr(one) for one in got] == want


def test_a_bare_number_prints_the_same_in_every_mode(callers: Callable[[], None]) -> None:
    tiny = [np.array([3e-310, 4e-310])]
    schedule = sy.schedules.linear(0.1, total_steps=9, end=1e-310)
    state = sy.optim.GlobalNormState().update(tiny)
    callers()
    numbers = [sy.global_norm(tiny), sy.clip_by_global_norm_(tiny, 1.0), state.compute(), schedule(9), schedule(4)]
    said = [f"{x} {x!r} {x:.3g} {x:.1%}" for x in numbers]
    _core.set_mode_for_tests()
    assert said == [f"{float(x)} {float(x)!r} {float(x):.3g} {float(x):.1%}" for x in numbers]
    assert said[0].startswith("5e-310 ")
    assert type(numbers[0]) is not float
    for plain in (numbers[0] + 0.0, float(numbers[0]), copy.copy(numbers[0]), pickle.loads(pickle.dumps(numbers[0]))):
        assert type(plain) is float
        assert plain == numbers[0]


def test_files_are_read_and_reports_written_the_same_in_every_mode(callers: Callable[[], None], tmp_path: Path) -> None:
    """Python's own ``float(text)`` is wrong for every fourth number where rounding is directed."""
    pytest.importorskip("pyarrow")
    rows = [
        {
            "id": i // 2, "model": "ab"[i % 2], "correct": i % 3 > 0, "confidence": i % 7 / 7,
            "loglikelihood": -i / 9, "n_tokens": i % 4 + 1,
        }
        for i in range(300)
    ]  # fmt: skip
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = tmp_path / "rows.csv"
    table.write_text("id,score\n" + "".join(f"{i},{i % 7 / 7!r}\n" for i in range(300)))

    def made() -> list[Any]:
        built = [report.build(records.read(str(file))) for file in (path, table)]
        return [(str(one), one.to_markdown(), one.to_dict()) for one in built]

    want = made()
    callers()
    got = made()
    _core.set_mode_for_tests()
    assert repr(got) == repr(want)


def test_what_is_imported_late_is_compiled_in_the_standard_mode(tmp_path: Path) -> None:
    """Where no ``.pyc`` stands, Python reads literals anew: 0.999 rounded up is another number, and would be kept."""
    script = """
import steelyard as sy
from steelyard import _core
_core.set_mode_for_tests(False, "up")
sy.AdamW, sy.preference_loss, sy.reference
_core.set_mode_for_tests()
import inspect
print(inspect.signature(sy.AdamW).parameters["betas"].default)
"""
    fresh = os.environ | {"PYTHONPYCACHEPREFIX": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=fresh, capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout.strip() == "(0.9, 0.999)"


# What Python calls by itself for an operator, a text or a length; dataclasses and tuples bring some that are not ours.
PYTHONS_OWN = {
    "__str__", "__format__", "__float__", "__add__", "__radd__", "__getitem__", "__iter__", "__call__", "__reduce__",
    "__bool__", "__getstate__", "__setstate__",
}  # fmt: skip


def test_every_public_call_is_guarded() -> None:
    bare = []
    for name, value in [*_public(sy, "steelyard"), *_public(records, "records"), *_public(report, "report")]:
        if name in NO_NUMBERS or not callable(value):
            continue
        if inspect.isclass(value) and issubclass(value, BaseException | tuple):
            continue
        if inspect.isclass(value):
            of_callers = [
                (n, m) for n, m in vars(value).items() if n[0] != "_" or (n in PYTHONS_OWN and n.endswith("_"))
            ]
            own = [(n, getattr(m, "compute", getattr(m, "fget", m))) for n, m in of_callers]
            own = [(n, getattr(m, "__func__", m)) for n, m in own]
            bare += [f"{name}.{n}" for n, m in own if inspect.isfunction(m) and not hasattr(m, "__wrapped__")]
        elif not hasattr(value, "__wrapped__"):
            bare.append(name)
    assert bare == [], "decorate these with steelyard._mode"
