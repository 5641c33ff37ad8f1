"""TokenScores.by: what each document's tokens have in sum, and its least likely tokens."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import steelyard as sy

from .cases import normalish, words


def scored(
    rows: int = 6, length: int = 40, width: int = 60, columns: Any = ("entropy", "varentropy")
) -> sy.tokens.TokenScores:
    x = (3.0 * normalish(rows * length * width, 3)).reshape(rows, length, width).astype(np.float32)
    t = (words(rows * length, 4) % np.uint64(width)).astype(np.int64).reshape(rows, length)
    t[1, 25:] = -100
    t[4] = -100
    return sy.token_scores(x, t, columns=columns)


def test_each_document_by_definition() -> None:
    t = scored()
    ids = np.array([7, 7, 2, 9, 9, 2])
    table = t.by(ids, n_bytes=np.full(6, 100.0), share=0.1)
    assert table["id"].tolist() == [2, 7, 9]
    for i, name in enumerate(table["id"]):
        keep = (ids == name)[:, None] & t.counted
        nll, n = t.nll[keep], np.count_nonzero(keep)
        rows = np.count_nonzero(keep.any(1))
        assert table["tokens"][i] == n
        assert table["nll"][i] == math.fsum(nll)
        assert table["perplexity"][i] == pytest.approx(math.exp(nll.mean()), rel=1e-13)
        assert table["bits_per_byte"][i] == pytest.approx(nll.sum() / math.log(2) / (100 * rows), rel=1e-13)
        k = int(n * 0.1)
        assert table["min_k"][i] == pytest.approx(-np.sort(nll)[::-1][:k].mean(), rel=1e-13)
        z = (t.entropy[keep] - nll) / np.sqrt(t.varentropy[keep])
        assert table["min_k_plus"][i] == pytest.approx(np.sort(z)[:k].mean(), rel=1e-12)
    assert float(sy.perplexity(t, clusters=ids)) == pytest.approx(
        math.exp(table["nll"].sum() / table["tokens"].sum()), rel=1e-14
    )


def test_sequences_are_documents_and_ids_may_be_of_tokens() -> None:
    t = scored(columns=())
    table = t.by()
    assert table["id"].tolist() == [0, 1, 2, 3, 5], "a document without a counted token is left out"
    assert "min_k_plus" not in table
    assert "bits_per_byte" not in table
    of_tokens = t.by(np.repeat(["d0", "d1", "d2", "d3", "d4", "d5"], 40).reshape(6, 40), n_bytes=np.ones((6, 40)))
    assert of_tokens["nll"].tobytes() == table["nll"].tobytes()
    np.testing.assert_allclose(of_tokens["bits_per_byte"], table["nll"] / math.log(2) / table["tokens"], rtol=1e-14)


def test_a_model_that_is_certain() -> None:
    x = np.full((1, 2, 5), -np.inf, np.float32)
    x[..., 3] = 0.0
    t = sy.token_scores(x, [[3, 1]], columns="all")
    table = t.by(share=1.0)
    assert table["min_k"].tolist() == [-math.inf]
    assert table["min_k_plus"].tolist() == [-math.inf]
    assert sy.token_scores(x[:, :1], [[3]], columns="all").by()["min_k_plus"].tolist() == [0.0]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"share": 0.0}, ValueError, "share: expected a share of the tokens above 0; got 0"),
        ({"share": 20}, ValueError, "share: expected a share from 0 to 1"),
        ({"documents": [1, 2]}, ValueError, "documents: expected one id a token"),
        ({"documents": [None] * 6}, ValueError, "documents"),
        ({"n_bytes": [-1.0] * 6}, ValueError, "n_bytes: expected finite numbers that are at least 0"),
        ({"n_bytes": [0.0] * 6}, ValueError, "n_bytes: expected numbers that sum to more than 0 in every document"),
        ({"n_bytes": [1, 2]}, ValueError, "n_bytes: expected one number per token"),
    ],
)
def test_bad_input_gets_one_sentence(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        scored(columns=()).by(**options)
    with pytest.raises(ValueError, match="by: expected scores with one target a position"):
        sy.token_scores(np.zeros((2, 3)), [[0, 1], [1, 2]]).by()
