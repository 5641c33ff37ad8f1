"""Plots stay inside the axes that they are given, and two of them on the same axes share one legend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import steelyard as sy

pytest.importorskip("matplotlib", reason="matplotlib is not installed: nothing is drawn").use("Agg")

from matplotlib import pyplot as plt  # noqa: E402 - after the backend is chosen

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=200), RNG.normal(size=200)
P = RNG.random(200)
TABLE = {"a": X, "b": Y, "$c_1$": X + 0.5}

RESULTS: dict[str, Callable[[], Any]] = {
    "Estimate of one": lambda: sy.estimate(X),
    "Estimate of many": lambda: sy.estimate(TABLE),
    "Estimate without limits": lambda: sy.estimate([0.5], nan_policy="omit"),
    "Estimate of one side": lambda: sy.estimate(TABLE, alternative="less"),
    "BootstrapEstimate": lambda: sy.bootstrap(X, n_resamples=999),
    "Comparison of one": lambda: sy.compare(X, baseline=Y),
    "Comparison of many": lambda: sy.compare(TABLE, baseline="b"),
    "Ranking": lambda: sy.compare(TABLE),
    "Ratings": lambda: sy.uncertainty.ratings([1, 2, 3] * 9, [2, 3, 1] * 9, [1, 1, 1, 0, 0.5, 1, 0, 0, 1] * 3),
    "Reliability": lambda: sy.reliability(P, RNG.random(200) < P),
    "Reliability with weights": lambda: sy.reliability(P, P > 0.4, weights=P),
    "PowerAnalysis": lambda: sy.uncertainty.sample_size(0.05, discordance=0.2),
    "SequencePath": lambda: sy.uncertainty.ConfidenceSequenceState().update(P).path(),
    "Schedule": lambda: sy.schedules.cosine(1.0, total_steps=100),
}


@pytest.fixture(params=list(RESULTS))
def result(request: pytest.FixtureRequest) -> Any:
    return RESULTS[request.param]()


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


def test_a_plot_stays_inside_its_axes(result: Any) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
    before = left.get_position().bounds, right.get_position().bounds, figure.get_size_inches().tolist()
    assert result.plot(left) is left
    figure.canvas.draw()
    assert (left.get_position().bounds, right.get_position().bounds, figure.get_size_inches().tolist()) == before
    assert len(figure.axes) == 2
    assert not figure.texts
    assert not figure.legends
    assert figure.get_suptitle() == ""
    frame = left.get_window_extent()
    for child in left.child_axes:
        box = child.get_window_extent()
        assert box.y1 <= frame.y1 + 1e-6
        assert box.y0 >= frame.y0 - 1e-6


def test_a_plot_without_axes_makes_its_own(result: Any) -> None:
    axes = result.plot()
    axes.figure.canvas.draw()
    assert axes.has_data()


def test_two_plots_share_one_legend(result: Any) -> None:
    axes = plt.figure().add_subplot()
    result.plot(axes, label="first $x_1$")
    result.plot(axes, label="second")
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert sum("first $x_1$" in text for text in texts) == sum("second" in text for text in texts) == 1
    assert len(texts) == len(set(texts))
    axes.figure.canvas.draw()  # a formula in a label would be parsed here


def test_equal_names_of_two_plots_share_a_row() -> None:
    axes = plt.figure().add_subplot()
    sy.compare({"a": X, "b": Y, "base": Y + 0.1}, baseline="base").plot(axes, label="one")
    sy.compare({"b": X, "c": Y, "base": Y + 0.1}, baseline="base").plot(axes, label="two")
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b", "c"]
    first, second = (line for line in axes.lines if line.get_gid() == "steelyard.forest")
    assert first.get_ydata().tolist() == [0, 1]
    assert second.get_ydata().round(3).tolist() == [1.2, 2.2]
    assert first.get_color() != second.get_color()
    assert sum(np.ndim(line.get_xdata()) == 1 and list(line.get_xdata()) == [0, 0] for line in axes.lines) == 1


def test_the_rows_are_the_values_and_their_limits() -> None:
    found = sy.estimate(TABLE)
    axes = found.plot()
    (points,) = (line for line in axes.lines if line.get_gid() == "steelyard.forest")
    assert np.array_equal(points.get_xdata(), found.value)
    segments = np.array([path.vertices for path in axes.collections[0].get_paths()])
    assert np.array_equal(segments[:, :, 0], np.column_stack([found.low, found.high]))
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b", "$c_1$"]


def test_a_point_without_limits_is_hollow() -> None:
    axes = sy.estimate([0.7]).plot()
    assert [line.get_markerfacecolor() for line in axes.lines][-1] == "white"


def test_the_diagonal_of_two_diagrams_is_one() -> None:
    axes = plt.figure().add_subplot()
    for name in ("new", "old"):
        sy.reliability(P, RNG.random(200) < P).plot(axes, label=name)
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts[0] == "calibrated"
    assert [text.split(":")[0] for text in texts[1:]] == ["new", "old"]
    assert len(axes.child_axes) == 1
    assert len(axes.child_axes[0].patches) == 2


@pytest.mark.parametrize(
    "made",
    [
        *[make for name, make in RESULTS.items() if name != "Schedule"],
        lambda: sy.preference_loss(-P, -P - 0.1, -P, -P),
        lambda: sy.preference_loss(-P, -P - 0.1, -P, -P, beta=[0.1, 0.2]),
        lambda: sy.token_scores(RNG.normal(size=(5, 9)), [1, 2, 3, 4, 0]),
        lambda: sy.AdamW({"w": np.ones(3)}).step({"w": np.ones(3)}),
    ],
)
def test_every_result_has_a_table_for_notebooks(made: Callable[[], Any]) -> None:
    shown = made()._repr_html_()
    assert shown.startswith("<table>")
    assert shown.count("<tr>") > 1
    assert shown.count("<table>") == shown.count("</table>")


@pytest.mark.parametrize("name", ["Comparison of one", "Comparison of many", "Ranking", "Reliability"])
def test_tables_are_ready_for_frames(name: str) -> None:
    table = RESULTS[name]().table
    assert {column.dtype.kind for column in table.values()} <= set("Uifb")
    assert len({column.shape for column in table.values()}) == 1
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(table)
    assert list(frame) == list(table)
    assert [c for c in frame if frame[c].dtype == object and c != "name"] == []
