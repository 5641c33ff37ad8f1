"""The contract through the Python face: one script, processes that differ in everything but data and seed.

Each process prints a digest a result; the environments force instruction set, threads, NumPy's own dispatch and the
C library's choice of mathematics, and the caller's floating-point mode, none of which may show in a bit.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from steelyard import _core

from .test_reference import MODES

WATCHDOG = 120  # seconds until a process counts as hung

SCRIPT = r"""
import hashlib, json, os, tempfile
from pathlib import Path
import numpy as np
import steelyard as sy
from steelyard import _core, records, report
from steelyard._registries import names

rng = np.random.Generator(np.random.Philox(7))
whole = lambda n, top: rng.integers(0, top, n)

def say(name, *parts):
    digest = hashlib.sha256()
    for part in parts:
        for item in part if isinstance(part, (list, tuple)) else [part]:
            digest.update(item.tobytes() if isinstance(item, np.ndarray) else repr(item).encode())
    print(name, digest.hexdigest()[:24])

def bits(estimate):
    return repr(estimate.to_dict()), str(estimate), f"{estimate:.1%}", estimate._repr_html_()

# Inputs are made in the standard mode; what rounds on the way (to float32, say) stands here.
n = 70_001                                     # several chunks, and a tail
x = whole(n, 1 << 40) / 2.0**37 - 3.0          # exact quotients: the same values everywhere
y = whole(n, 1 << 40) / 2.0**37 - 3.0
single = {"x": x.astype(np.float32), "y": y.astype(np.float32)}
tiny = x * 1e-310
right, base = whole(n, 100) < 73, whole(n, 100) < 72
users = whole(n, 900)
logits = (whole(40 * 5003, 1 << 20) / 2.0**16).reshape(4, 10, 5003)
logits = {dtype: logits.astype(dtype) for dtype in ("float64", "float32", "float16")}
targets = whole(40, 5003).reshape(4, 10)
probs = np.minimum(whole(n, 1 << 24) / 2.0**24, 1.0).astype(np.float32)
came = whole(n, 1 << 24) / 2.0**24 < probs
rows = 1.0 + whole(n * 4, 256).reshape(n, 4)
rows = rows / rows.sum(1, keepdims=True)
grads = {dtype: [((y * (k + 1)).astype(dtype), x[:13].astype(dtype)) for k in range(6)] for dtype in ("float32", "float64")}
starts = {dtype: (x.astype(dtype), y[:13].astype(dtype)) for dtype in grads}
os.chdir(tempfile.mkdtemp())                   # the report names its files
Path("records.jsonl").write_text("".join(json.dumps({
    "id": i // 2, "model": "ab"[i % 2], "correct": i % 3 > 0, "confidence": i % 7 / 7, "loglikelihood": -i / 9,
    "n_tokens": i % 4 + 1,
}) + "\n" for i in range(300)))

_core.set_mode_for_tests(*MODE)
say("estimate", bits(sy.estimate(x)), bits(sy.estimate(single["x"], clusters=users)))
say("estimate of subnormals", str(sy.estimate(tiny)), np.array([sy.estimate(tiny).value]))
say("estimate of 0/1", bits(sy.estimate(right)), bits(sy.estimate(right, clusters=users, alternative="less")))
for method in [name for name in names("proportion.method") if name != "wald"]:  # which warns
    say(f"proportion {method}", bits(sy.proportion(whole(50, 40), 40, method=method, confidence_level=0.9)))
    say(f"proportion {method}, tested", sy.proportion(whole(50, 40), 40, method=method, test=0.3).detail["p_value"])
pairs = sy.compare({"x": right, "y": base}, baseline=whole(n, 100) < 70)
say("compare, Tango and mid-p", repr(pairs.to_dict()), str(pairs), pairs.verdict(0.01))
say("compare, t and sign-flip", repr(sy.compare(x[:3000], baseline=y[:3000]).to_dict()))
say("compare, clusters", repr(sy.compare(right, baseline=base, clusters=users).to_dict()))
for method in names("bootstrap.method"):
    boot = sy.bootstrap(x[:501 if method == "double" else 5001], method=method, n_resamples=499, seed=11)
    say(f"bootstrap {method}", bits(boot), *([] if boot.replicates is None else [boot.replicates]))
boot = sy.bootstrap(x, clusters=users, n_resamples=499, seed=2**63)
say("bootstrap, clusters", bits(boot), boot.replicates)

for dtype, values in logits.items():
    t = sy.token_scores(values, targets, columns="all")
    say(f"token_scores {dtype}", t.nll, t.log_z, t.entropy, t.sequence_logprob, repr(t))
say("perplexity", bits(sy.perplexity(t)), bits(sy.perplexity(t, clusters=[1, 1, 2, 3], per=[4, 5, 6, 7], unit="bits")))
state = sum([sy.tokens.PerplexityState().update(t.nll[i:i + 1]) for i in range(4)])
values = sum([sy.uncertainty.EstimateState().update(x[i::3], clusters=users[i::3]) for i in range(3)])
means = sy.tokens.TokenState(("nll", "correct", "entropy"))
means.update((values, targets, np.arange(4)) for values in logits.values())
say("TokenState", means.to_bytes(), *(bits(one) for one in means.compute()))
say("EstimateState", values.to_bytes(), bits(values.compute()))
say("PerplexityState", state.to_bytes(), bits(state.compute()))

say("reliability", repr(sy.reliability(probs, came).to_dict()))
rel = sy.reliability(rows, whole(n, 4), n_bins=10, confidence_level=0.99)
say("reliability of rows", repr(rel.to_dict()), str(rel))

out = sy.preference_loss(-abs(x), -abs(y), -abs(y), -abs(x), beta=[0.1, 2.0], label_smoothing=0.1, clusters=users, columns=True)
swept = sy.preference_loss(-abs(x), -abs(y), -abs(y), -abs(x), beta=[0.1, 2.0], loss={"dpo": 0.5, "hinge": 2.0}, sft=0.1)
say("preference sweep", bits(swept.loss), bits(swept.reward_margin))
say("preference_loss", out.losses, out.grad_chosen, out.grad_rejected, bits(out.loss), bits(out.reward_accuracy))
pairs, tokens = (-abs(x), -abs(y), -abs(y), -abs(x)), (whole(n, 40) + 1, whole(n, 30) + 1)
out = sy.preference_loss(*pairs[:2], loss="simpo", convention="trl", lengths=tokens)
say("preference_loss, a convention", out.losses, out.grad_chosen, out.rewards_chosen)
state = sum([sy.preference.PreferenceState().update(*(c[i::3] for c in pairs), clusters=users[i::3]) for i in range(3)])
say("PreferenceState", state.to_bytes(), bits(state.compute()))
say("length control", bits(sy.preference.length_controlled_accuracy(out, tokens)), bits(sy.preference.agreement(out, x)))

table = -abs(x)[:9000].reshape(-1, 30)
out = sy.preference.policy_loss(table, table[::-1], x[:300], loss="gspo", reference_logprob=table[:, ::-1], kl_weight=0.1)
say("policy_loss", out.losses, out.gradient, repr(out))
say("advantages", sy.preference.advantages(x[:300], groups=users[:300]).advantages)

steps = np.arange(2000)
rates = [f(1e-3, total_steps=1800, warmup_steps=100, end=1e-5)(steps) for f in (sy.schedules.cosine, sy.schedules.linear)]
say("schedules", rates, repr(sy.schedules.cosine(0.1, total_steps=9)(4)))
for dtype, all_grads in grads.items():
    w, b = starts[dtype]
    params = {"w": w, "b": [b]}
    opt = sy.AdamW(params, lr=sy.schedules.cosine(0.01, total_steps=20, warmup_steps=3), max_norm=1.0, amsgrad=True)
    info = [repr(opt.step({"w": g, "b": [h]})) for g, h in all_grads]
    saved = [np.array(value) for _, value in sorted(opt.state_dict().items())]
    say(f"AdamW {dtype}", info, w, b, saved)
say("global_norm", repr(sy.global_norm([x, single["y"]])), sy.optim.GlobalNormState().update(x).to_bytes())
say("norm of subnormals", np.array([sy.global_norm([tiny])]), repr(sy.optim.GlobalNormState().update(x)))
made = report.build(records.read("records.jsonl"))
say("report", str(made), made.to_markdown(), repr(made.to_dict()))
"""

STANDARD = (False, "nearest")
NUMPY_BARE = {"NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"}
LIBC_BARE = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F"}
THREADS = ("1", "2", "7")


def _numpy_knows(features: str) -> dict[str, str]:
    """Those features that this NumPy dispatches on and this processor has; it warns of others."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    known = [name for name in features.split() if name in __cpu_dispatch__ and __cpu_features__.get(name)]
    return {"NPY_DISABLE_CPU_FEATURES": " ".join(known)} if known else {}


def _environments() -> list[dict[str, str]]:
    """Every level under every number of threads, with NumPy and the C library held back in turn."""
    numpy_bare = _numpy_knows(NUMPY_BARE["NPY_DISABLE_CPU_FEATURES"])
    held = [{}, numpy_bare, LIBC_BARE, numpy_bare | LIBC_BARE]
    levels = _core.isa_available()
    pairs = [(level, threads) for level in levels for threads in THREADS]
    return [
        {"STEELYARD_ISA": level, "STEELYARD_NUM_THREADS": threads, **held[(i + i // len(THREADS)) % len(held)]}
        for i, (level, threads) in enumerate(pairs)
    ]


def _digests(changes: dict[str, str], mode: tuple[bool, str] = STANDARD) -> dict[str, str]:
    base = {k: v for k, v in os.environ.items() if not k.startswith(("STEELYARD_", "OMP_", "NPY_", "GLIBC_"))}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"MODE = {mode!r}\n{SCRIPT}"],
        env=base | changes, capture_output=True, text=True, timeout=WATCHDOG, check=False,
    )  # fmt: skip
    assert run.returncode == 0, f"{changes}, {mode}:\n{run.stderr}"
    return dict(line.rsplit(" ", 1) for line in run.stdout.splitlines())


@pytest.fixture(scope="module")
def found() -> list[tuple[dict[str, str], dict[str, str]]]:
    environments = _environments()
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(zip(environments, pool.map(_digests, environments), strict=True))


def test_every_process_gives_the_same_bits(found: list[tuple[dict[str, str], dict[str, str]]]) -> None:
    (first, want), *others = found
    assert len(want) > 20
    assert others, "one environment compares with nothing"
    for environment, digests in others:
        differing = [name for name in want if digests[name] != want[name]]
        assert differing == [], f"{environment} differs from {first} in {differing}"


@pytest.mark.parametrize("mode", MODES[1:], ids=lambda mode: f"{'flush' if mode[0] else 'gradual'}-{mode[1]}")
def test_every_mode_of_the_caller_gives_the_same_bits(
    mode: tuple[bool, str], found: list[tuple[dict[str, str], dict[str, str]]]
) -> None:
    """Printing and text files too: what Python itself does with numbers depends on the mode."""
    environment, want = found[-1]
    digests = _digests(environment, mode)
    assert [name for name in want if digests[name] != want[name]] == []


def test_results_differ_from_each_other(found: list[tuple[dict[str, str], dict[str, str]]]) -> None:
    _, digests = found[0]
    assert len(set(digests.values())) == len(digests), "a digest that sees nothing"
