"""The bootstrap of many columns, which share the random numbers: each has the bits of the column alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import steelyard as sy

from .cases import normalish, words


def table(n: int, columns: int) -> np.ndarray:
    return 3.0 + np.stack([normalish(n, j + 1) * (j + 1) for j in range(columns)], axis=1)


def alone(x: Any, statistic: Any, **options: Any) -> list[sy.uncertainty.BootstrapEstimate]:
    return [sy.bootstrap(x[:, j], statistic, **options) for j in range(x.shape[1])]


def same_bits(many: Any, each: Any) -> None:
    for j, one in enumerate(each):
        for name in ("value", "standard_error", "low", "high", "low_error", "high_error"):
            assert getattr(many, name)[j].tobytes() == np.float64(getattr(one, name)).tobytes(), (j, name)
        assert many.replicates[:, j].tobytes() == one.replicates.tobytes(), j


# On both sides of a leaf (1,024 rows) and of blocks of leaves; 70,001 has replicates in several chunks.
@pytest.mark.parametrize("n", [2, 5, 1000, 1023, 1024, 1025, 2048, 3000, 5120, 70_001])
@pytest.mark.parametrize("columns", [2, 17])
def test_means_have_the_bits_of_the_column_alone(n: int, columns: int) -> None:
    x = table(n, columns)
    options: Any = {"n_resamples": 99, "seed": 2**64 - 1, "method": "basic", "confidence_level": 0.5}
    same_bits(sy.bootstrap(x, **options), alone(x, "mean", **options))


@pytest.mark.parametrize("statistic", ["mean", "sum", "variance", "std", "skewness", "kurtosis", "geometric_mean"])
@pytest.mark.parametrize("clustered", [False, True])
def test_statistics_of_sums_have_the_bits_of_the_column_alone(statistic: Any, clustered: bool) -> None:
    x = np.abs(table(1500, 9)) + 0.1
    clusters = np.arange(1500) * 7 % 400 if clustered else None
    options: Any = {"n_resamples": 299, "clusters": clusters, "method": "percentile"}
    same_bits(sy.bootstrap(x, statistic, **options), alone(x, statistic, **options))


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.bool_])
def test_every_type_has_the_bits_of_the_column_alone(dtype: Any) -> None:
    x = (table(1100, 4) > 3).astype(dtype) if dtype is np.bool_ else table(1100, 4).astype(dtype)
    same_bits(sy.bootstrap(x, n_resamples=499), alone(x, "mean", n_resamples=499))


def test_more_replicates_than_are_drawn_together() -> None:
    x = table(40, 3)
    options: Any = {"n_resamples": 4001, "method": "bca"}
    same_bits(sy.bootstrap(x, **options), alone(x, "mean", **options))


def test_columns_of_which_other_rows_count_are_resampled_by_themselves() -> None:
    x = table(300, 6)
    x[words(300, 3) % 9 == 0, 2] = np.nan
    x[words(300, 4) % 9 == 0, 3:5] = np.nan
    options: Any = {"n_resamples": 499, "nan_policy": "omit"}
    many = sy.bootstrap(x, **options)
    same_bits(many, alone(x, "mean", **options))
    assert many.n.tolist() == np.isfinite(x).sum(axis=0).tolist()
    where = words(300, 5) % 3 > 0
    same_bits(
        sy.bootstrap(x[:, :2], where=where, n_resamples=499), alone(x[:, :2], "mean", where=where, n_resamples=499)
    )


def test_the_first_column_without_an_answer_is_named() -> None:
    x = table(50, 4)
    x[:, 2] = 1.0
    with pytest.raises(ValueError, match=r"x\[:, 2\]: expected values that differ"):
        sy.bootstrap(x)
    x[7, 1] = np.inf
    with pytest.raises(ValueError, match=r"x\[:, 1\]: expected finite values; got inf at index 7"):
        sy.bootstrap(x)
    with pytest.raises(ValueError, match=r'x\["b"\]: expected finite values|x\[\'b\'\]: expected finite values'):
        sy.bootstrap({"a": x[:, 0], "b": x[:, 1]}, "variance")


def test_the_same_bits_for_every_number_of_threads() -> None:
    x = table(2000, 20)
    found = sy.bootstrap(x, n_resamples=999)
    with sy.threads(1):
        assert sy.bootstrap(x, n_resamples=999) == found
