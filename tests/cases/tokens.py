"""Rows of the tokens room."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from steelyard import _core, token_scores, token_scores_from_hidden
from steelyard._arrays import floats
from steelyard._registries import names
from steelyard.reference import tokens as reference
from steelyard.tokens import PerplexityState, sketch
from steelyard.tokens._asked import OF_BASE

from . import Case, Inputs, Outputs, as_dtype, normalish, uniform, words

IGNORED = -100
COLUMNS = names("tokens.columns")
PAIR_COLUMNS = [name for name in names("tokens.pair_columns") if name not in OF_BASE]
SMOOTHING = 0.125


def _logits(dtype: str, width: int, rows: int) -> Inputs:
    """Rows with gaps between them in memory, with masked classes, and targets of which some are ignored."""
    x = as_dtype(5.0 * normalish(rows * (width + 3), width), dtype).reshape(rows, width + 3)
    if width > 2:
        x[:, width // 3] = -np.inf
    targets = (words(rows, width + 1) % np.uint64(width)).astype(np.int64)
    targets[3::4] = IGNORED
    return {"logits": x[::-1, :width], "targets": targets}


def _candidates(dtype: str, width: int) -> Inputs:
    """Three candidates a row, some of which do not count, and logits that are still to be transformed."""
    inputs = _logits(dtype, width, 5)
    targets = (words(15, width + 2) % np.uint64(width)).astype(np.int64).reshape(5, 3)
    where = np.arange(15).reshape(5, 3) % 4 != 1
    where[2] = False
    return {
        "logits": inputs["logits"][:5], "targets": targets, "where": where, "bias": normalish(width, 3),
        "scale": 0.75, "softcap": 20.0, "temperature": 1.5,
    }  # fmt: skip


def _hidden(dtype: str, length: int) -> Inputs:
    """Hidden states and weights of 70 classes, in rows with gaps between them, some of which do not count."""
    hidden = as_dtype(normalish(40 * (length + 3), length + 5), dtype).reshape(40, length + 3)
    weight = as_dtype(2.0 / math.sqrt(length) * normalish(70 * length, length + 6), dtype).reshape(70, length)
    targets = (words(40, length + 7) % np.uint64(70)).astype(np.int64)
    targets[2::5] = IGNORED
    return {"hidden": hidden[::-1, :length], "weight": weight, "targets": targets, "bias": normalish(70, 4)}


def _run_hidden(inputs: Inputs) -> Outputs:
    scores = token_scores_from_hidden(**inputs, ignore_index=IGNORED, columns="all", label_smoothing=SMOOTHING)
    return {name: getattr(scores, name) for name in (*COLUMNS, "counted")}


def _reference_hidden(inputs: Inputs) -> Outputs:
    found = reference.token_scores_from_hidden(**inputs, ignore_index=IGNORED, label_smoothing=SMOOTHING)
    return {**found, "top": np.where(np.isnan(found["top"]), -1.0, found["top"]).astype(np.int64)}


def _run(inputs: Inputs) -> Outputs:
    scores = token_scores(**inputs, ignore_index=IGNORED, columns="all", label_smoothing=SMOOTHING)
    return {name: getattr(scores, name) for name in (*COLUMNS, "counted")}


def _reference(inputs: Inputs) -> Outputs:
    found = reference.token_scores(**inputs, ignore_index=IGNORED, label_smoothing=SMOOTHING)
    return {**found, "top": np.where(np.isnan(found["top"]), -1.0, found["top"]).astype(np.int64)}


UNRANKED = [name for name in COLUMNS if name not in ("rank", "rank_ties", "top_k")]


def _run_shards(inputs: Inputs) -> Outputs:
    """The columns of logits that are read in two or three shards."""
    x, targets = inputs["logits"], inputs["targets"]
    ends = sorted({x.shape[-1] // 3, x.shape[-1] // 2, x.shape[-1]} - {0})
    parts = [
        token_scores(
            x[..., a:b], targets, vocabulary=range(a, b), ignore_index=IGNORED, columns="all",
            label_smoothing=SMOOTHING,
        )
        for a, b in zip([0, *ends[:-1]], ends, strict=True)
    ]  # fmt: skip
    scores = sum(parts[1:], parts[0]).compute(x.shape[-1])
    return {name: getattr(scores, name) for name in (*UNRANKED, "counted")}


def _reference_shards(inputs: Inputs) -> Outputs:
    found = _reference(inputs)
    return {name: found[name] for name in (*UNRANKED, "counted")}


def _of_f64(single: float, double: float) -> Callable[[Inputs], float]:
    """The bound for logits or hidden states of float64, and the one for all others."""
    return lambda inputs: double if next(iter(inputs.values())).dtype == np.float64 else single


# Ranks, tops and hits are exact; log Z is at most 40 here.
BOUNDS = {
    **dict.fromkeys(("nll", "log_z", "confidence", "probability", "label_smoothed"), _of_f64(1e-6, 1e-11)),
    "entropy": _of_f64(1e-5, 1e-11),
    "varentropy": _of_f64(1e-4, 1e-10),
    "collision": _of_f64(3e-6, 3e-11),
    "z_loss": _of_f64(8e-5, 8e-10),
    "mean_logit": 1e-13,
    "margin": 1e-13,
}
# Sums of products in float32 move logits of up to 10 by up to 4e-6.
HIDDEN = {
    **dict.fromkeys(
        ("nll", "log_z", "margin", "label_smoothed", "mean_logit", "confidence", "probability", "collision"),
        _of_f64(5e-6, 1e-11),
    ),
    "entropy": _of_f64(2e-5, 1e-11),
    "varentropy": _of_f64(1e-4, 1e-10),
    "z_loss": _of_f64(1e-4, 1e-10),
}
# The roundings of a transformation move float32 logits, at most 20 in magnitude, by up to 4e-6.
TRANSFORMED = {
    **dict.fromkeys(("nll", "log_z", "margin", "label_smoothed", "mean_logit"), _of_f64(5e-6, 1e-11)),
    **dict.fromkeys(("confidence", "probability", "collision"), _of_f64(5e-6, 1e-11)),
    "entropy": _of_f64(2e-5, 1e-11),
    "varentropy": _of_f64(1e-4, 1e-10),
    "z_loss": _of_f64(2e-4, 1e-10),
}


LOSS = {"softcap": 9.0, "label_smoothing": 0.25, "z_loss": 0.01}


def _slopes(dtype: str, width: int) -> Inputs:
    return {**_logits(dtype, width, 9), "factors": 0.5 + uniform(9, 12)}


def _gradients(inputs: Inputs) -> Outputs:
    x, t, factors = inputs["logits"], inputs["targets"], inputs["factors"]
    log_z = token_scores(x, t, ignore_index=IGNORED, softcap=LOSS["softcap"]).log_z
    # Copied as words: NumPy's copy of strided bfloat16 itself calls a null pointer where an allocation fails.
    bits = np.ascontiguousarray(x.view(np.uint16) if x.dtype.kind == "V" or x.dtype.name == "bfloat16" else x)
    words = _core.token_gradients(bits, t, log_z=log_z, factors=factors, ignore_index=IGNORED, **LOSS)
    found: Any = words.view(np.uint8)[: bits.nbytes].view(x.dtype).reshape(x.shape)
    return {"gradient": np.asarray(found, np.float64)}


def _gradients_by_formula(inputs: Inputs) -> Outputs:
    x, t, factors = (inputs[name] for name in ("logits", "targets", "factors"))
    return {"gradient": reference.token_gradients(x, t, factors, ignore_index=IGNORED, **LOSS)}


def _hidden_gradients(inputs: Inputs) -> Outputs:
    options = {"ignore_index": IGNORED, "label_smoothing": 0.25, "softcap": 9.0, "scale": 0.75, "gradients": True}
    found = token_scores_from_hidden(**inputs, **options).gradients
    assert found is not None
    return {name: getattr(found, name) for name in ("hidden", "weight", "bias")}


def _hidden_gradients_by_formula(inputs: Inputs) -> Outputs:
    return reference.hidden_gradients(**inputs, ignore_index=IGNORED, label_smoothing=0.25, softcap=9.0, scale=0.75)


# One rounding to the type of the logits, of numbers up to 1.6 in magnitude.
HIDDEN_GRADIENTS = {"float64": 1e-12, "float32": 2e-4}


def _real(inputs: Inputs) -> str:
    """The type in which products of these are summed."""
    return "float64" if inputs["hidden"].dtype == np.float64 else "float32"


GRADIENTS = {"float64": 1e-13, "float32": 2e-6, "float16": 1e-3, "bfloat16": 8e-3}


def _two_models(dtype: str, width: int) -> Inputs:
    """A model and a baseline that differ little, in rows with gaps between them; the last row of both is the same."""
    inputs = dict(_logits(dtype, width, 5))
    base = np.array(inputs["logits"].astype(np.float64))
    base[:4] += 0.25 * normalish(4 * width, 11).reshape(4, width)
    return {**inputs, "baseline": as_dtype(base, dtype)}


def _compared(inputs: Inputs) -> Outputs:
    scores = token_scores(**inputs, ignore_index=IGNORED, columns=PAIR_COLUMNS)
    return {name: getattr(scores, name) for name in PAIR_COLUMNS}


def _pairs_by_formula(inputs: Inputs) -> Outputs:
    found = reference.token_pairs(inputs["logits"], inputs["baseline"], inputs["targets"], IGNORED)
    return {name: found[name] for name in PAIR_COLUMNS}


# Divergences are below 1 here.
PAIR_BOUNDS = {
    **dict.fromkeys(("kl", "kl_reverse", "js", "tv"), _of_f64(1.2e-5, 2e-12)),
    **dict.fromkeys(("delta_p", "nll_difference"), _of_f64(2e-6, 2e-11)),
}


def _coded(inputs: Inputs) -> Outputs:
    """The codes, the steps and the least log-probabilities of rows in 16 bits."""
    x = _for_core(inputs["logits"])
    return _parts_of(_core.coded_rows(x).reshape(len(x), -1))


def _for_core(logits: Any) -> np.ndarray:
    """Logits as the core takes them: bfloat16 as its bits."""
    return floats(logits, "logits", contiguous=False, table=True)


def _parts_of(rows: np.ndarray) -> Outputs:
    numbers = np.ascontiguousarray(rows[:, :4]).view(np.float32)
    return {"codes": rows[:, 4:], "step": numbers[:, 0], "least": numbers[:, 1].astype(np.float64)}


def _against_codes(dtype: str, width: int) -> Inputs:
    """A model, and the rows of a base in 16 bits."""
    inputs = _two_models(dtype, width)
    return {**inputs, "baseline": reference.coded_rows(np.asarray(inputs["baseline"], np.float32))}


CODED_COLUMNS = ("kl", "tv", "kl_llama_cpp", "same_top", "delta_p")


def _compared_with_codes(inputs: Inputs) -> Outputs:
    options: Any = {"ignore_index": IGNORED, "columns": ["nll"], "pairs": CODED_COLUMNS, "coded": True}
    counted, (_, base, apart) = _core.token_pairs(
        _for_core(inputs["logits"]), inputs["baseline"], inputs["targets"], **options
    )
    return dict(zip(CODED_COLUMNS, apart, strict=True)) | {"counted": counted, "nll": base[0]}


def _codes_by_formula(inputs: Inputs) -> Outputs:
    x, targets = inputs["logits"], inputs["targets"]
    decoded = reference.decoded_rows(inputs["baseline"], x.shape[-1])
    found = reference.token_pairs(x, decoded, targets, IGNORED)
    nll = reference.token_scores(decoded, targets, IGNORED)
    return {name: found[name] for name in CODED_COLUMNS} | {"counted": nll["counted"], "nll": nll["nll"]}


def _sketched(inputs: Inputs) -> Outputs:
    """Sketches of the baseline where a target counts, and the bounds of the model against them."""
    base = sketch(inputs["baseline"], KEPT, where=inputs["targets"] != IGNORED)
    return {name: getattr(base, name) for name in SKETCH} | {"kl": base.kl(inputs["logits"])}


def _sketched_by_formula(inputs: Inputs) -> Outputs:
    new, base = (inputs[name].astype(np.float64) for name in ("logits", "baseline"))
    k = min(KEPT, base.shape[-1])
    found: dict[str, Any] = {name: np.full(len(base), np.nan) for name in ("log_z", "tail", "entropy", "kl")}
    kept = np.float64 if inputs["baseline"].dtype == np.float64 else np.float32
    found |= {"ids": np.full((len(base), k), -1, np.int32), "logits": np.full((len(base), k), np.nan, kept)}
    for row in np.flatnonzero(inputs["targets"] != IGNORED):
        for name, value in reference.sketch(base[row], k).items():
            found[name][row] = value
        found["kl"][row] = reference.sketch_kl(new[row], base[row], k)
    return found


SKETCH = ("ids", "logits", "log_z", "tail", "entropy")
KEPT = 7
SKETCH_BOUNDS = {
    **dict.fromkeys(("log_z", "tail"), _of_f64(3e-6, 3e-11)),
    "entropy": _of_f64(1e-5, 1e-11),
    "kl": _of_f64(1.2e-5, 5e-11),
}


def _many_rows(dtype: str, rows: int) -> Inputs:
    return _logits(dtype, 17, rows)


def _nll(dtype: str, rows: int) -> Inputs:
    x = np.abs(normalish(rows * 7, rows)).reshape(rows, 7)
    counted = (words(rows * 7, 3) % np.uint64(3) != 0).reshape(rows, 7)
    x[~counted] = np.nan
    return {"nll": x, "counted": counted}


def _sums(inputs: Inputs) -> Outputs:
    nll: Any = inputs["nll"]
    return {"sums": _core.sequence_nll(nll, inputs["counted"], rows=len(nll))}


def _documents(dtype: str, tokens: int) -> Inputs:
    """NLL of tokens that lie in documents without order, counted in words."""
    return {
        "nll": as_dtype(8.0 * uniform(tokens, 21), dtype),
        "clusters": (words(tokens, 22) % np.uint64(max(2, tokens // 5))).astype(np.int64),
        "per": (words(tokens, 23) % np.uint64(4)).astype(np.float64) + 0.5,
    }


def _estimated(state: PerplexityState) -> Outputs:
    e = state.compute()
    numbers = {"value": e.value, "standard_error": e.standard_error, "low": e.low, "df": e.detail.get("df")}
    return {name: np.nan if x is None else x for name, x in numbers.items()} | {"bytes": state.to_bytes()}


def _state(inputs: Inputs, rows: slice = slice(None)) -> PerplexityState:
    clusters, per = inputs["clusters"][rows], inputs["per"][rows]
    return PerplexityState(unit="bits").update(inputs["nll"][rows], clusters=clusters, per=per)


def _in_two(inputs: Inputs, cut: float) -> Outputs:
    at = int(cut * len(inputs["nll"]))
    return _estimated(_state(inputs, slice(at, None)) + _state(inputs, slice(at)))


def _by_formula(inputs: Inputs) -> Outputs:
    """In bits, by the reference; the state's bytes by the state fed one token at a time."""
    nll = inputs["nll"].astype(np.float64)
    state = PerplexityState(unit="bits")
    for i in range(len(nll)):
        state.update(inputs["nll"][i : i + 1], clusters=inputs["clusters"][i : i + 1], per=inputs["per"][i : i + 1])
    nats, variance, df, t = reference.mean_nll(nll, inputs["per"], inputs["clusters"])
    error = math.sqrt(variance)
    numbers = {"value": nats, "standard_error": error, "low": nats - t * error}
    return {k: x / math.log(2) for k, x in numbers.items()} | {"df": df, "bytes": state.to_bytes()}


CASES = [
    Case(
        name="tokens.token_scores",
        covers=("token_scores",),
        make=lambda dtype, width: _logits(dtype, width, 4 if width > 20_000 else 9),
        run=_run,
        reference=_reference,
        lengths=(1, 2, 15, 16, 17, 31, 32, 33, 1023, 1024, 1025, 4095, 4096, 4097, 50_257),
        bound=BOUNDS,
    ),
    Case(
        name="tokens.token_scores_rows",
        covers=("token_scores",),
        make=_many_rows,
        run=_run,
        reference=_reference,
        lengths=(0, 1, 3, 40_000),
        dtypes=("float32", "float64"),
        bound=BOUNDS,
    ),
    Case(
        name="tokens.token_scores_candidates",
        covers=("token_scores",),
        make=_candidates,
        run=_run,
        reference=_reference,
        lengths=(1, 2, 33, 1025, 4099),
        bound=TRANSFORMED,
    ),
    Case(
        name="tokens.token_shards",
        covers=("token_scores", "join_shards"),
        make=lambda dtype, width: _logits(dtype, width, 9),
        run=_run_shards,
        reference=_reference_shards,
        lengths=(1, 2, 33, 1025, 4099),
        bound={name: bound for name, bound in BOUNDS.items() if name in UNRANKED},
    ),
    Case(
        name="tokens.token_scores_from_hidden",
        covers=("token_scores_from_hidden",),
        make=_hidden,
        run=_run_hidden,
        reference=_reference_hidden,
        lengths=(1, 2, 33, 255, 256, 257, 1025),
        bound=HIDDEN,
    ),
    Case(
        name="tokens.hidden_gradients",
        covers=("token_scores_from_hidden", "row_products", "token_gradients"),
        make=_hidden,
        run=_hidden_gradients,
        reference=_hidden_gradients_by_formula,
        lengths=(1, 2, 33, 255, 257, 1025),
        bound=dict.fromkeys(("hidden", "weight", "bias"), lambda inputs: HIDDEN_GRADIENTS[_real(inputs)]),
    ),
    Case(
        name="tokens.token_gradients",
        covers=("token_gradients",),
        make=_slopes,
        run=_gradients,
        reference=_gradients_by_formula,
        lengths=(1, 2, 33, 1025, 4099),
        bound={"gradient": lambda inputs: GRADIENTS[inputs["logits"].dtype.name]},
    ),
    Case(
        name="tokens.token_pairs",
        covers=("token_pairs",),
        make=_two_models,
        run=_compared,
        reference=_pairs_by_formula,
        lengths=(1, 2, 33, 1025, 4099),
        bound=PAIR_BOUNDS,
    ),
    Case(
        name="tokens.coded_rows",
        covers=("coded_rows",),
        make=lambda dtype, width: _logits(dtype, width, 5),
        run=_coded,
        reference=lambda inputs: _parts_of(reference.coded_rows(inputs["logits"])),
        dtypes=("float32", "bfloat16", "float16"),
        lengths=(1, 2, 33, 1025, 4099),
        bound={"least": 4e-6},
    ),
    Case(
        name="tokens.coded_pairs",
        covers=("token_pairs",),
        make=_against_codes,
        run=_compared_with_codes,
        reference=_codes_by_formula,
        lengths=(1, 2, 33, 1025, 4099),
        bound={
            **dict.fromkeys(("kl", "tv", "kl_llama_cpp"), _of_f64(1.2e-5, 2e-6)),
            **dict.fromkeys(("delta_p", "nll"), _of_f64(2e-6, 2e-11)),
        },
    ),
    Case(
        name="tokens.sketch",
        covers=("token_sketch", "sketch_kl"),
        make=_two_models,
        run=_sketched,
        reference=_sketched_by_formula,
        lengths=(1, 2, 33, 1025, 4099),
        bound=SKETCH_BOUNDS,
    ),
    Case(
        name="tokens.sequence_nll",
        covers=("sequence_nll",),
        make=_nll,
        run=_sums,
        reference=lambda inputs: {"sums": reference.sequence_nll(**inputs)},
        dtypes=("",),
        lengths=(0, 1, 2, 30_000),
        bound={"sums": 1e-15},
    ),
    Case(
        name="tokens.perplexity",
        covers=("PerplexityTotals",),
        make=_documents,
        run=lambda inputs: _estimated(_state(inputs)),
        reference=_by_formula,
        lengths=(7, 100, 2000),
        bound={"value": 1e-13, "standard_error": 1e-12, "low": 1e-10, "df": 1e-9},
        split=_in_two,
    ),
]
