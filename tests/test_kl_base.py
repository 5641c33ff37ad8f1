"""llama.cpp's base files: written, mapped, compared with; what is damaged is refused; its figures are reproduced."""

from __future__ import annotations

import math
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard.reference import tokens as reference
from steelyard.tokens import KLBase

from .cases import as_dtype, normalish, words

WIDTH, N_CTX, CHUNKS = 101, 34, 12
SCORED = N_CTX - 1 - N_CTX // 2
HALF = slice(N_CTX // 2, N_CTX - 1)


def model(noise: float = 0.0, dtype: str = "float32", chunks: int = CHUNKS) -> np.ndarray:
    """Logits [chunks, n_ctx, V], peaked enough that classes lie more than 16 nats below the largest."""
    x = 5.0 * normalish(chunks * N_CTX * WIDTH, 1) + noise * normalish(chunks * N_CTX * WIDTH, 2)
    return as_dtype(x.reshape(chunks, N_CTX, WIDTH), dtype)


def text(chunks: int = CHUNKS) -> np.ndarray:
    return (words(chunks * N_CTX, 3) % np.uint64(WIDTH)).astype(np.int64).reshape(chunks, N_CTX)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> KLBase:
    return KLBase.write(tmp_path_factory.mktemp("base") / "base.kld", model(), text())


def by_hand(path: Path, n_ctx: int, n_vocab: int, tokens: np.ndarray, rows: np.ndarray) -> None:
    """Write the format field by field, as ``perplexity.cpp`` does."""
    with path.open("wb") as out:
        out.write(b"_logits_")
        for number in (n_ctx, n_vocab, len(tokens)):
            out.write(np.int32(number).tobytes())
        out.write(tokens.astype(np.int32).tobytes())
        out.write(rows.tobytes())


# -- the format ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_a_file_has_every_byte_where_llama_cpp_looks(dtype: str, tmp_path: Path) -> None:
    logits, tokens = model(dtype=dtype, chunks=2), text(2)
    written = KLBase.write(tmp_path / "ours", logits, tokens)
    rows = reference.coded_rows(logits[:, HALF])
    by_hand(tmp_path / "theirs", N_CTX, WIDTH, tokens, rows)
    ours, theirs = (np.frombuffer((tmp_path / name).read_bytes()[20:], np.uint16) for name in ("ours", "theirs"))
    assert (tmp_path / "ours").read_bytes()[:20] == (tmp_path / "theirs").read_bytes()[:20]
    found = ours[2 * tokens.size :].reshape(rows.shape)
    # The logarithm of the sum may differ by float32 roundings, as that of two C libraries does.
    assert (found[..., :2] == rows[..., :2]).all()
    assert (found[..., 4:] == rows[..., 4:]).all()
    assert ours.size == theirs.size
    least = written.least - reference.decoded_rows(rows, WIDTH).min(-1)
    assert np.abs(least).max() <= 2e-6
    assert written.shape == (2, SCORED, WIDTH)
    assert written.targets.tolist() == tokens[:, N_CTX // 2 + 1 :].tolist()
    assert (written.tokens == tokens).all()


def test_scored_rows_alone_chunks_and_memory_maps_write_the_same_file(base: KLBase, tmp_path: Path) -> None:
    want = Path(base.path).read_bytes()
    np.save(tmp_path / "logits.npy", model())
    for k, logits in enumerate((model()[:, HALF], iter(model()), np.load(tmp_path / "logits.npy", mmap_mode="r"))):
        steps: list[Any] = []
        KLBase.write(tmp_path / str(k), logits, text(), progress=lambda *step, to=steps: to.append(step))
        assert (tmp_path / str(k)).read_bytes() == want
        assert steps[-1] == (CHUNKS, CHUNKS)


def test_decoding_is_the_line_of_the_docstring(base: KLBase) -> None:
    found = base.steps[..., None] * base.codes.astype(np.float32) + base.least[..., None]
    assert found.dtype == np.float32
    exact = model()[:, HALF].astype(np.float64)
    exact -= np.log(np.exp(exact).sum(-1, keepdims=True))
    top = exact.max(-1, keepdims=True)
    assert np.abs(found - np.maximum(exact, top - 16.0)).max() <= 16 / 65535 / 2 + 4e-6
    assert (exact < top - 16).any()  # there is something that is cut off
    assert base.steps.max() <= np.float32(16 / 65535)


# -- compared --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_scores_are_those_of_the_decoded_rows(base: KLBase, dtype: str) -> None:
    new = model(0.3, dtype)[:, HALF]
    decoded = base.steps[..., None] * base.codes.astype(np.float32) + base.least[..., None]
    got = sy.token_scores(new, base.targets, baseline=base, columns="all")
    want = sy.token_scores(new, base.targets, baseline=decoded, columns="all")
    for name in ("kl", "kl_reverse", "js", "tv", "delta_p", "same_top", "flips", "nll_difference", "entropy", "nll"):
        assert getattr(got, name).tobytes() == getattr(want, name).tobytes(), name
    assert got.baseline == want.baseline
    assert want.kl_llama_cpp is None
    flat = sy.token_scores(new.reshape(-1, WIDTH), base.targets.reshape(-1), baseline=base, columns="all")
    assert flat.kl_llama_cpp.tobytes() == got.kl_llama_cpp.tobytes()


def test_parts_of_a_file_are_parts_of_the_scores(base: KLBase) -> None:
    new = model(0.3)[:, HALF]
    whole = sy.token_scores(new, base.targets, baseline=base)
    part = base[3:7]
    found = sy.token_scores(new[3:7], part.targets, baseline=part)
    assert (len(part), found.kl_llama_cpp.tobytes()) == (4, whole.kl_llama_cpp[3:7].tobytes())
    assert found.kl.tobytes() == whole.kl[3:7].tobytes()
    again = pickle.loads(pickle.dumps(part))
    assert (again.tokens == part.tokens).all()
    assert (again.codes == part.codes).all()
    assert repr(again) == repr(part)


def test_defaults_masks_and_candidates(base: KLBase) -> None:
    new = model(0.3)[:, HALF]
    q = sy.token_scores(new, base.targets, baseline=base, where=np.arange(SCORED) + np.zeros((CHUNKS, 1)) > 3)
    assert q.kl is not None
    assert q.js is None
    assert np.isnan(q.kl_llama_cpp[:, :4]).all()
    assert np.isfinite(q.kl_llama_cpp[:, 4:]).all()
    several = sy.token_scores(new, np.stack([base.targets] * 2, -1), baseline=base)
    assert several.kl_llama_cpp.shape == (CHUNKS, SCORED)
    assert several.nll.shape == (CHUNKS, SCORED, 2)


def test_llama_cpp_is_not_0_for_a_model_against_itself_and_we_are_near(base: KLBase) -> None:
    """llama.cpp's defect: its divergence of a model from itself is not 0, and below 0 in places."""
    q = sy.token_scores(model()[:, HALF], base.targets, baseline=base)
    assert q.kl_llama_cpp.min() < 0
    assert q.kl.min() >= 0
    assert q.kl.max() < 1e-4  # what is cut off at 16 nats
    figures = base.figures(q)
    assert figures.log_totals[0] < 0 or figures.log_totals[1] > 0
    assert figures["Minimum KLD"][0] < 0


# -- llama.cpp's figures ---------------------------------------------------------------------------------------


def their_loop(base: KLBase, logits: np.ndarray) -> dict[str, list[float]]:
    """What llama.cpp finds for each token, in its types: float32 terms, a float64 sum."""
    f = np.float32
    found: dict[str, list[float]] = {name: [] for name in ("nll", "nll_base", "kld", "p_diff", "same")}
    rows, targets = logits.reshape(-1, WIDTH), base.targets.reshape(-1)
    heads = zip(base.steps.reshape(-1), base.least.reshape(-1), base.codes.reshape(-1, WIDTH), strict=True)
    for x, target, (step, least, codes) in zip(rows, targets, heads, strict=True):
        top = x.max()
        log_sum = f(math.log(np.exp(x - top).astype(np.float64).sum()))
        stored = step * codes.astype(f) + least
        nll, nll_base = top + log_sum - x[target], -stored[target]
        keep = stored > f(-16)
        terms = np.exp(stored[keep]) * (stored[keep] - x[keep] + (top + log_sum))
        found["nll"].append(float(nll))
        found["nll_base"].append(float(nll_base))
        found["kld"].append(float(terms.astype(np.float64).sum()))
        found["p_diff"].append(float(np.exp(-nll) - np.exp(-nll_base)))
        found["same"].append(float(x.argmax() == stored.argmax()))
    return found


def their_mean(x: Any) -> tuple[float, float]:
    mean = sum(x) / len(x)
    return mean, math.sqrt((sum(v * v for v in x) / len(x) - mean * mean) / (len(x) - 1))


def their_percentile(x: Any, share: float) -> float:
    values, f = np.sort(np.array(x, np.float32)), np.float32
    place = f(share) * f(len(values) - 1)
    below = int(place)
    rest = place - f(below)
    return float((f(1) - rest) * values[below] + rest * values[min(below + 1, len(values) - 1)])


def test_the_figures_that_llama_cpp_prints(base: KLBase) -> None:
    new = model(0.3)[:, HALF]
    figures = base.figures(sy.token_scores(new, base.targets, baseline=base))
    found = their_loop(base, new)
    n = len(found["nll"])
    assert figures.n == n == CHUNKS * SCORED

    def same(name: str, value: float, error: float | None = None, places: int = 5) -> None:
        got = figures[name]
        assert abs(got[0] - value) < 0.6 * 10.0**-places, (name, got, value)
        assert (got[1] is None) == (error is None)
        assert error is None or abs(got[1] - error) < 0.6 * 10.0**-places, (name, got, error)

    (m, e), (b, eb) = their_mean(found["nll"]), their_mean(found["nll_base"])
    cov = (sum(x * y for x, y in zip(found["nll"], found["nll_base"], strict=True)) / n - m * b) / (n - 1)
    ppl, ppl_base = math.exp(m), math.exp(b)
    ratio_error = math.sqrt(e * e + eb * eb - 2 * cov)
    relative = max(ppl, ppl_base)  # of perplexities, which are large here, so many digits are printed
    for name, value, error in (
        ("Mean PPL(Q)", ppl, ppl * e),
        ("Mean PPL(base)", ppl_base, ppl_base * eb),
        ("Mean PPL(Q)-PPL(base)", ppl - ppl_base,
         math.sqrt((ppl * e) ** 2 + (ppl_base * eb) ** 2 - 2 * ppl * ppl_base * cov)),
    ):  # fmt: skip
        assert abs(figures[name][0] - value) < 2e-6 * relative, name
        assert abs((figures[name][1] or 0) - error) < 2e-6 * relative, name
    same("Cor(ln(PPL(Q)), ln(PPL(base)))", 100 * cov / (e * eb), places=2)
    same("Mean ln(PPL(Q)/PPL(base))", m - b, ratio_error)
    same("Mean PPL(Q)/PPL(base)", math.exp(m - b), math.exp(m - b) * ratio_error)
    same("Mean KLD", *their_mean(found["kld"]))
    same("Maximum KLD", max(found["kld"]))
    same("Minimum KLD", min(found["kld"]))
    same("Median KLD", float(np.median(np.array(found["kld"], np.float32))))
    for share in (0.999, 0.99, 0.95, 0.9, 0.1, 0.05, 0.01, 0.001):
        same(f"{100 * share:.1f}% KLD", their_percentile(found["kld"], share))
    for share in (0.999, 0.99, 0.95, 0.9, 0.75, 0.25, 0.1, 0.05, 0.01, 0.001):
        same(f"{100 * share:.1f}% Δp", 100 * their_percentile(found["p_diff"], share), places=3)
    mean, error = their_mean(found["p_diff"])
    same("Mean Δp", 100 * mean, 100 * error, places=3)
    same("Median Δp", 100 * float(np.median(np.array(found["p_diff"], np.float32))), places=3)
    square, of_square = their_mean([x * x for x in found["p_diff"]])
    same("RMS Δp", 100 * math.sqrt(square), 100 * 0.5 / math.sqrt(square) * of_square, places=3)
    share = sum(found["same"]) / n
    same("Same top p", 100 * share, 100 * math.sqrt(share * (1 - share) / (n - 1)), places=3)
    printed = str(figures)
    assert all(part in printed for part in ("Mean KLD", "16 bits", "sum to"))


def test_figures_refuse_other_scores(base: KLBase) -> None:
    new = model(0.3)[:, HALF]
    with pytest.raises(TypeError, match="scores: expected token_scores"):
        base.figures(sy.token_scores(new, base.targets))
    with pytest.raises(ValueError, match="kl_llama_cpp"):
        base.figures(sy.token_scores(new, base.targets, baseline=base, columns="kl"))
    with pytest.raises(ValueError, match=f"one target for each of {4 * SCORED} rows"):
        base[:4].figures(sy.token_scores(new, base.targets, baseline=base))
    alone = np.zeros((CHUNKS, SCORED), bool)
    alone[0, 0] = True
    with pytest.raises(ValueError, match="at least two tokens"):
        base.figures(sy.token_scores(new, base.targets, baseline=base, where=alone))
    with pytest.raises(ValueError, match="name: expected one of Mean PPL"):
        base.figures(sy.token_scores(new, base.targets, baseline=base))["KLD"]


# -- what is refused -------------------------------------------------------------------------------------------


def changed(base: KLBase, to: Path, at: int, data: bytes) -> Path:
    content = bytearray(Path(base.path).read_bytes())
    content[at : at + len(data)] = data
    to.write_bytes(content)
    return to


def test_truncated_and_foreign_files_are_refused_with_the_offset(base: KLBase, tmp_path: Path) -> None:
    content = Path(base.path).read_bytes()
    row = 2 * (2 * ((WIDTH + 1) // 2) + 4)
    rows = 20 + 4 * N_CTX * CHUNKS
    for size, said in (
        (0, "'_logits_'; got b'' at offset 0"),
        (5, "b'_logi' at offset 0"),
        (13, "offset 13"),
        (20, "at offset 20, in its tokens"),
        (rows - 1, f"at offset {rows - 1}, in its tokens"),
        (rows + 3 * SCORED * row + 1, f"at offset {rows + 3 * SCORED * row + 1}, in chunk 3"),
        (len(content) - 1, f"expected {len(content)} bytes for {CHUNKS} chunks"),
    ):
        (tmp_path / "cut").write_bytes(content[:size])
        with pytest.raises(ValueError, match="path: expected ") as refused:
            KLBase(tmp_path / "cut")
        assert said in str(refused.value), refused.value
        assert "cut" in str(refused.value)
    (tmp_path / "long").write_bytes(content + b"more")
    with pytest.raises(ValueError, match=f"4 bytes more, from offset {len(content)}"):
        KLBase(tmp_path / "long")
    np.save(tmp_path / "other.npy", model())
    with pytest.raises(ValueError, match="NUMPY"):
        KLBase(tmp_path / "other.npy")
    with pytest.raises(ValueError, match="n_vocab of at least 1; got -1 at offset 12"):
        KLBase(changed(base, tmp_path / "v", 12, np.int32(-1).tobytes()))
    with pytest.raises(ValueError, match="n_ctx of at least 3; got 2 at offset 8"):
        KLBase(changed(base, tmp_path / "c", 8, np.int32(2).tobytes()))
    last = rows - 4
    with pytest.raises(ValueError, match=f"n_vocab = {WIDTH}; got 101 at offset {last}"):
        KLBase(changed(base, tmp_path / "t", last, np.int32(WIDTH).tobytes()))
    with pytest.raises(FileNotFoundError):
        KLBase(tmp_path / "none")


@pytest.mark.parametrize(
    ("step", "least"), [(np.nan, -3.0), (-1e-4, -3.0), (1e-4, np.inf), (1e-4, -np.inf), (1.0, -3.0)]
)
def test_damaged_rows_are_refused_when_they_are_read(base: KLBase, tmp_path: Path, step: float, least: float) -> None:
    row = 2 * (2 * ((WIDTH + 1) // 2) + 4)
    at = 20 + 4 * N_CTX * CHUNKS + (2 * SCORED + 1) * row
    damaged = KLBase(changed(base, tmp_path / "bad", at, np.array([step, least], np.float32).tobytes()))
    new = model(0.3)[:, HALF]
    with pytest.raises(ValueError, match=r"baseline: expected a row of 16-bit .* in row \[2, 1\]"):
        sy.token_scores(new, damaged.targets, baseline=damaged)
    skipped = damaged.targets
    skipped[2, 1] = -100
    assert sy.token_scores(new, skipped, baseline=damaged).n_counted == CHUNKS * SCORED - 1


def test_what_cannot_be_asked_is_refused(base: KLBase) -> None:
    new = model(0.3)[:, HALF]
    with pytest.raises(ValueError, match=r"logits: expected logits of shape \(12, 16, 101\)"):
        sy.token_scores(new[1:], base.targets[1:], baseline=base)
    with pytest.raises(ValueError, match="temperature: expected None where baseline is a file"):
        sy.token_scores(new, base.targets, baseline=base, temperature=2.0)
    with pytest.raises(ValueError, match="baseline is no base file; got 'kl_llama_cpp'"):
        sy.token_scores(new, base.targets, baseline=new, columns="kl_llama_cpp")
    with pytest.raises(TypeError, match="chunks: expected a slice"):
        base[3]  # type: ignore[index]
    for wrong in (slice(3, 3), slice(0, 4, 2)):
        with pytest.raises(ValueError, match="at least one chunk, without a step"):
            base[wrong]


def test_nothing_is_written_where_logits_do_not_fit(tmp_path: Path) -> None:
    logits, tokens = model(chunks=2), text(2)
    nan, wide = logits.copy(), tokens.copy()
    nan[1, -2, 5] = np.nan
    wide[1, 3] = WIDTH
    target = tmp_path / "base"
    target.write_bytes(b"old")
    for given, of, said in (
        (nan, tokens, r"logits: expected finite numbers, or -inf .* nan"),
        (logits, wide, r"V = 101; got 101 at index \[1, 3\]"),
        (logits[:1], tokens, "expected 2 chunks, as tokens has; got 1"),
        (iter([*logits, logits[0]]), tokens, "expected 2 chunks, as tokens has; got more"),
        (logits[:, 1:], tokens, r"chunks of shape \[34, V\], or \[16, V\]"),
        ([logits[0], logits[1, :, :50]], tokens, "101 classes in every chunk; got 50 in chunk 1"),
        (logits, tokens[:, :2], "at least one chunk of at least 3 tokens"),
    ):
        with pytest.raises(ValueError, match=said):
            KLBase.write(target, given, of)
    with pytest.raises(TypeError, match="logits: expected"):
        KLBase.write(target, 5, tokens)
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["base"]
