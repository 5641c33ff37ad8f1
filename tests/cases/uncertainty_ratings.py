"""Rows of ratings from battles: the fit, its covariance, its replicates, and the tests of all pairs."""

from __future__ import annotations

import itertools

import numpy as np

from steelyard import _core, reference

from . import Case, Inputs, Outputs, uniform

MODELS = 5
LAWS = {"half": (False, 0.0), "davidson": (True, 0.0), "prior": (True, 1.5)}
RESAMPLES, DRAWS, DF = 6, 400, 4


def _battles(dtype: str, n: int) -> Inputs:
    """A circle of wins in both directions and a tie, and n battles more."""
    first, second = np.arange(MODELS), (np.arange(MODELS) + 1) % MODELS
    circle = np.concatenate([first * MODELS + second, second * MODELS + first, [MODELS * MODELS + 2]])
    i, gap = (uniform(n, 41) * MODELS).astype(int), 1 + (uniform(n, 42) * (MODELS - 1)).astype(int)
    j, tie = (i + gap) % MODELS, uniform(n, 43) < 0.25
    turned = uniform(n, 44) * (1 + i) > 1 + j
    i, j = np.where(turned, j, i), np.where(turned, i, j)
    places = np.concatenate([np.repeat(circle, 3), (tie * MODELS + i) * MODELS + j])
    codes = (uniform(len(places), 45) * 12).astype(np.int64)
    codes[:12] = np.arange(12)
    # Eighths: their sums and squares are exact in every mode of the caller.
    weights = 0.5 + np.floor(8 * uniform(len(places), 46)) / 8
    return {"places": places.astype(np.int64), "codes": codes, "weights": weights}


def _table(inputs: Inputs, power: int = 0) -> np.ndarray:
    found = np.bincount(inputs["places"], inputs["weights"] ** power, 2 * MODELS * MODELS)
    return found.reshape(2, MODELS, MODELS)


def _law(law: str) -> dict:
    davidson, prior = LAWS[law]
    return {"davidson": davidson, "prior": prior}


def _fitted(table: np.ndarray, law: str) -> dict:
    return _core.ratings_fit(table.ravel(), models=MODELS, **_law(law))


def _fit(law: str):
    def run(inputs: Inputs) -> Outputs:
        found = _fitted(_table(inputs), law)
        assert not found["refused"]
        return {"ratings": found["ratings"], "log nu": max(found["log_nu"], -99.0)}

    def compare(inputs: Inputs) -> Outputs:
        x, log_nu = reference.ratings.fit(_table(inputs), **_law(law))
        return {"ratings": x, "log nu": max(log_nu, -99.0)}

    return run, compare


def _covariance(law: str):
    def run(inputs: Inputs) -> Outputs:
        out = {}
        for power, kind in itertools.product((0, 1), ("rows", "clusters")):
            found = _fitted(table := _table(inputs, power), law)
            of: dict = {"squares": _table(inputs, 2).ravel()} if power else {}
            if kind == "clusters":
                weights = inputs["weights"] if power else None
                of = {"places": inputs["places"], "codes": inputs["codes"], "clusters": 12, "weights": weights}
            how = {"log_nu": found["log_nu"], "models": MODELS, **_law(law)}
            out[f"{kind} {power}"] = _core.ratings_covariance(table.ravel(), found["ratings"], **how, **of)
        return out

    def compare(inputs: Inputs) -> Outputs:
        out = {}
        for power, kind in itertools.product((0, 1), ("rows", "clusters")):
            table = _table(inputs, power)
            found = reference.ratings.fit(table, **_law(law))
            of: dict = {"squares": _table(inputs, 2)} if power else {}
            if kind == "clusters":
                of = {"rows": (inputs["places"], inputs["codes"], inputs["weights"] ** power)}
            out[f"{kind} {power}"] = reference.ratings.covariance(table, found, **_law(law), **of).ravel()
        return out

    return run, compare


def _finite(replicates: np.ndarray) -> np.ndarray:
    """Rows of ratings and log nu, which is -infinity without ties of their own."""
    return np.maximum(np.array(replicates), -99.0).reshape(-1, MODELS + 1)


def _replicates(law: str):
    def run(inputs: Inputs) -> Outputs:
        out = {}
        for kind, of in (("battles", {}), ("clusters", {"codes": inputs["codes"], "clusters": 12})):
            if of:
                of |= {"places": inputs["places"], "weights": inputs["weights"]}
            found = _fitted(table := _table(inputs, int(bool(of))), law)
            how = {"log_nu": found["log_nu"], "models": MODELS, "n_resamples": RESAMPLES, "seed": 5, **_law(law)}
            made = _core.ratings_replicates(table.ravel(), found["ratings"], **how, **of)
            out |= {kind: _finite(made["ratings"]), f"{kind} covariance": made["covariance"]}
        return out

    def compare(inputs: Inputs) -> Outputs:
        out = {}
        for kind, rows in (("battles", None), ("clusters", (inputs["places"], inputs["codes"], inputs["weights"]))):
            how = {"count": RESAMPLES, "seed": 5, **_law(law)}
            made = reference.ratings.replicates(_table(inputs, int(rows is not None)), rows=rows, **how)
            out |= {kind: _finite(made), f"{kind} covariance": np.cov(made[:, :-1].T).ravel()}
        return out

    return run, compare


def _estimates(dtype: str, n: int) -> Inputs:
    """Estimates with the covariance of n rows, or 0."""
    rows = uniform(n * MODELS, 47).reshape(n, MODELS)
    rows = rows - rows.mean(1, keepdims=True)
    return {"x": np.linspace(-0.4, 0.4, MODELS) ** 3, "cov": rows.T @ rows / n / 20, "made": rows * 0.2}


def _draws(kind: str):
    def run(inputs: Inputs) -> Outputs:
        of: dict = {"count": DRAWS, "df": DF if kind == "t" else None}
        if kind == "replicates":
            of = {"replicates": inputs["made"].ravel()}
        return {"p": _core.max_t_draws(inputs["x"], inputs["cov"].ravel(), **of)["p"]}

    def compare(inputs: Inputs) -> Outputs:
        of: dict = {"count": DRAWS, "df": DF if kind == "t" else None}
        if kind == "replicates":
            of = {"made": inputs["made"]}
        return {"p": reference.ratings.by_draws(inputs["x"], inputs["cov"], **of).ravel()}

    return run, compare


def _case(name: str, core: tuple[str, ...], made: tuple, lengths: tuple[int, ...], bound: dict) -> Case:
    run, compare = made
    make = _estimates if core == ("max_t_draws",) else _battles
    return Case(
        name=f"uncertainty.{name}", covers=core, make=make, run=run, reference=compare, dtypes=("",), lengths=lengths,
        bound=bound,
    )  # fmt: skip


KINDS = [f"{kind} {power}" for kind in ("rows", "clusters") for power in (0, 1)]
DRAWN = ["battles", "battles covariance", "clusters", "clusters covariance"]
CASES = [
    *(
        _case(f"ratings_{law}", ("ratings_fit",), _fit(law), (0, 1, 60, 3000), {"ratings": 1e-11, "log nu": 1e-11})
        for law in LAWS
    ),
    *(
        _case(
            f"ratings_covariance_{law}", ("ratings_covariance",), _covariance(law), (0, 60, 3000),
            dict.fromkeys(KINDS, 1e-10),
        )
        for law in LAWS
    ),
    *(
        _case(
            f"ratings_replicates_{law}", ("ratings_replicates",), _replicates(law), (300, 3000),
            dict.fromkeys(DRAWN, 1e-10),
        )
        for law in LAWS
    ),
    *(
        _case(f"max_t_{kind}", ("max_t_draws",), _draws(kind), (1, 7, 60), {"p": 1e-12})
        for kind in ("normal", "t", "replicates")
    ),
]  # fmt: skip
