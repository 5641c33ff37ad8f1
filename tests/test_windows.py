"""Windows over long texts: each tool's protocol on a toy model, every token once, context as promised, bad numbers."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

import steelyard as sy
from steelyard.tokens import Windows, windows
from steelyard.tokens._protocols import PROTOCOLS

V, BOS = 13, 12
TABLE = np.random.default_rng(5).normal(0.0, 2.0, (97, V))


def model(prompt: NDArray[np.int64]) -> NDArray[np.float64]:
    """A row of logits after each token, by all tokens before it and their places: other windows give other numbers."""
    state, rows = 0, []
    for place, token in enumerate(prompt.tolist()):
        state = (31 * state + token + 7 * place + 1) % len(TABLE)
        rows.append(state)
    return TABLE[rows]


def text(n: int) -> NDArray[np.int64]:
    return np.random.default_rng(n).integers(0, BOS, n)


def losses(prompt: NDArray[np.int64]) -> NDArray[np.float64]:
    """The loss of each token of a prompt but the first, as tools compute it that shift the labels themselves."""
    x = model(prompt)[:-1]
    top = x.max(1, keepdims=True)
    z = top[:, 0] + np.log(np.exp(x - top).sum(1))
    return z - x[np.arange(len(x)), prompt[1:]]


def scored(plan: Windows, ids: NDArray[np.int64], bos_id: int | None = None) -> NDArray[np.float64]:
    """What the docstring's loop fills: the NLL of each token, NaN where none is scored."""
    nll = np.full(len(ids), np.nan)
    for w in plan:
        logits = model(w.prompt(ids, bos_id=bos_id))
        assert np.isnan(nll[w.targets]).all(), "scored twice"
        nll[w.targets] = sy.token_scores(logits[w.score], ids[w.targets]).nll
    return nll


def ppl(nll: NDArray[np.float64]) -> float:
    return math.exp(nll[~np.isnan(nll)].mean())


# -- each tool's own loop ---------------------------------------------------------------------------------------


def of_transformers(ids: NDArray[np.int64], context: int, stride: int) -> list[NDArray[np.float64]]:
    """The losses of each window of the page: labels before the new tokens are masked, the model shifts them by one."""
    n, before, found = len(ids), 0, []
    for begin in range(0, n, stride):
        end = min(begin + context, n)
        new = end - before
        of_window = losses(ids[begin:end])
        found.append(of_window[max(end - begin - new - 1, 0) :])
        before = end
        if end == n:
            break
    return found


def of_lm_eval(ids: NDArray[np.int64], context: int) -> NDArray[np.float64]:
    """Requests of (tokens before, tokens to predict), made disjoint; the model takes both but the very last token."""
    tokens, requests, done = ids.tolist(), [], min(context, len(ids))
    requests.append(([BOS, *tokens[: done - 1]], tokens[:done]))
    while done < len(tokens):
        new = min(len(tokens) - done, context)
        requests.append((tokens[done + new - context - 1 : done + new - 1], tokens[done : done + new]))
        done += new
    found = []
    for whole, predicted in requests:
        before = whole[: len(whole) - (len(predicted) - 1)]
        prompt = np.array((before + predicted)[-(context + 1) :])
        found.append(losses(prompt)[-len(predicted) :])
    return np.concatenate(found)


def of_llama_cpp(ids: NDArray[np.int64], context: int, bos: bool) -> NDArray[np.float64]:
    """Whole chunks, BOS for the first token of each, rows from the half to the last but one."""
    found = []
    for chunk in range(len(ids) // context):
        prompt = ids[chunk * context : (chunk + 1) * context].copy()
        if bos:
            prompt[0] = BOS
        found.append(losses(prompt)[context // 2 : context - 1])
    return np.concatenate(found)


def of_gptq(ids: NDArray[np.int64], context: int) -> float:
    """The mean loss of each whole window, weighted alike."""
    n = len(ids) // context
    total = sum(losses(ids[k * context : (k + 1) * context]).mean() * context for k in range(n))
    return math.exp(total / (n * context))


@pytest.mark.parametrize("n", [2, 15, 16, 17, 31, 32, 33, 100, 301])
@pytest.mark.parametrize("stride", [1, 5, 8, 15])
def test_transformers_slides_a_window(n: int, stride: int) -> None:
    want = np.concatenate(of_transformers(text(n), 16, stride))
    for plan in (
        windows(n, context=16, stride=stride, convention="transformers"),
        windows(n, context=16, stride=stride),
    ):
        got = scored(plan, text(n))
        np.testing.assert_allclose(got[1:], want, rtol=1e-12)
        assert plan.left_out == {"no token before it": 1}


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 32, 33, 47, 100, 301])
def test_lm_eval_rolls_and_makes_disjoint(n: int) -> None:
    plan = windows(n, context=16, convention="lm_eval_rolling")
    np.testing.assert_allclose(scored(plan, text(n), BOS), of_lm_eval(text(n), 16), rtol=1e-12)
    assert plan.left_out == {}
    assert plan.least_context == 1


@pytest.mark.parametrize("n", [32, 33, 47, 100, 301])
@pytest.mark.parametrize("context", [3, 5, 16])
def test_llama_cpp_scores_the_second_half(n: int, context: int) -> None:
    for bos, bos_id in (("replace", BOS), ("none", None)):
        plan = windows(n, context=context, bos=bos, convention="llama_cpp")  # type: ignore[arg-type]
        want = of_llama_cpp(text(n), context, bos == "replace")
        got = scored(plan, text(n), bos_id)
        np.testing.assert_allclose(got[~np.isnan(got)], want, rtol=1e-12)
        assert plan.n_scored == n // context * (context - context // 2 - 1)


def test_llama_cpp_has_512_tokens_and_scores_255_of_them() -> None:
    plan = windows(1100, convention="llama_cpp")
    assert [(w.score, w.targets) for w in plan] == [
        (slice(256, 511), slice(257, 512)),
        (slice(256, 511), slice(769, 1024)),
    ]
    assert plan.left_out == {"too little context": 514, "behind the last whole window": 76}
    assert (plan.bos, plan.least_context, plan[0].bos) == ("replace", 256, "instead")


@pytest.mark.parametrize("n", [16, 33, 100, 301])
def test_gptq_scores_all_but_the_first(n: int) -> None:
    plan = windows(n, context=16, convention="gptq")
    assert ppl(scored(plan, text(n))) == pytest.approx(of_gptq(text(n), 16), rel=1e-12)
    assert plan.n_scored == n // 16 * 15
    assert windows(5000, convention="gptq").to_dict()["context"] == 2048


@pytest.mark.parametrize("bos", ["none", "every"])
def test_stride_1_gives_every_token_all_the_context_there_is(bos: Any) -> None:
    ids = text(60)
    plan = windows(60, context=16, bos=bos, convention="stride_1")
    begin = [BOS] if bos == "every" else []
    for token, nll in enumerate(scored(plan, ids, BOS if begin else None)):
        before = ids[max(token - 15 + len(begin), 0) : token + 1].tolist()
        assert (
            nll == pytest.approx(losses(np.array(begin + before))[-1], rel=1e-12)
            if begin + before[1:]
            else np.isnan(nll)
        )
    assert plan.least_context == 15 - len(begin)


# -- defects of the page of transformers ------------------------------------------------------------------------


def test_transformers_18887_the_first_window_is_whole() -> None:
    """Windows once ended at multiples of the stride, so that the first had half a context only."""
    plan = windows(4096, context=1024, stride=512, convention="transformers")
    assert [w.input for w in plan][:2] == [slice(0, 1024), slice(512, 1536)]
    assert plan[1].targets == slice(1024, 1536)


def test_transformers_30975_no_token_between_two_windows_is_lost() -> None:
    """With a stride of the whole context the page loses the first token of each window, and says nothing."""
    n = 160
    theirs = np.concatenate(of_transformers(text(n), 16, 16))
    assert len(theirs) == n - 10
    with pytest.raises(
        ValueError, match=r"^stride: expected at most 15, below context, .*; got 16; score=1 leaves out"
    ):
        windows(n, context=16, stride=16)
    assert windows(n, context=16, stride=15).n_scored == n - 1
    asked = windows(n, context=16, stride=16, score=1)
    np.testing.assert_allclose(scored(asked, text(n))[~np.isnan(scored(asked, text(n)))], theirs, rtol=1e-12)
    assert asked.left_out == {"no token before it": 10}


def test_transformers_34138_every_token_has_the_same_weight() -> None:
    """The page counts one token too few in every window but the first; with a stride of 1 that is none at all."""
    for stride in (1, 4):
        of_windows = of_transformers(text(100), 16, stride)
        counts = [len(of_windows[0])] + [len(window) - 1 for window in of_windows[1:]]
        theirs = math.exp(sum(c * w.mean() for c, w in zip(counts, of_windows, strict=True)) / sum(counts))
        ours = ppl(scored(windows(100, context=16, stride=stride, convention="transformers"), text(100)))
        assert ours == pytest.approx(ppl(np.concatenate(of_windows)), rel=1e-12)
        assert theirs != pytest.approx(ours, rel=1e-3)
        if stride == 1:
            assert theirs == pytest.approx(ppl(of_windows[0]), rel=1e-12)


def test_transformers_40524_every_window_can_have_a_bos() -> None:
    """Where the tokenizer adds a BOS, only the first window of the page has it."""
    ids = text(50)
    plan = windows(50, context=16, stride=8, bos="every")
    assert {w.prompt(ids, bos_id=BOS)[0] for w in plan} == {BOS}
    assert {len(w.prompt(ids, bos_id=BOS)) for w in plan[:-1]} == {16}
    assert plan.left_out == {}
    first = windows(50, context=16, stride=8, bos="first")
    assert [w.prompt(ids, bos_id=BOS)[0] == BOS for w in first] == [True] + [False] * (len(first) - 1)


# -- laws -------------------------------------------------------------------------------------------------------

LENGTHS = st.integers(0, 70)


@st.composite
def plans(draw: st.DrawFn) -> Windows:
    n, context = draw(LENGTHS), draw(st.integers(3, 20))
    convention = draw(st.sampled_from([None, *PROTOCOLS]))
    if convention is not None:
        return windows(n, context=context, convention=convention)
    bos = draw(st.sampled_from(["none", "first", "every", "replace"]))
    score: Any = draw(st.one_of(st.just("all"), st.integers(0, context - 1 - (bos != "none"))))
    stride = draw(st.integers(1, context - 1 if score == "all" else context - (bos == "every")))
    return windows(n, context=context, stride=stride, bos=bos, score=score)


@given(plans())
def test_a_token_is_scored_once_after_the_promised_context(plan: Windows) -> None:
    n = plan.n_tokens
    ids = np.arange(n)
    times = np.zeros(n, int)
    for w in plan:
        prompt = w.prompt(ids, bos_id=None if plan.bos == "none" else 10**6)
        rows, targets = np.arange(len(prompt))[w.score], ids[w.targets]
        assert 0 < len(rows) == len(targets)
        assert len(prompt) <= plan.context
        times[w.targets] += 1
        for row, target in zip(rows.tolist(), targets.tolist(), strict=True):
            before = prompt[: row + 1]
            real = before[before < 10**6]
            # What the model has read are the tokens right before the target, and nothing of it or behind it.
            assert real.tolist() == list(range(target - len(real), target))
            assert len(real) >= min(plan.least_context, target - (plan.bos == "replace"))
            assert len(real) or w.bos != "none"
    assert times.max(initial=0) <= 1
    assert times.sum() == plan.n_scored == n - sum(plan.left_out.values())
    if plan.score == "all":
        assert plan.n_scored == max(n - (plan.bos in ("none", "replace")), 0)


@given(plans())
def test_the_promised_context_is_the_least_there_is(plan: Windows) -> None:
    """Two whole windows later it is reached, so that the promise cannot be too low."""
    assume(plan.n_tokens > 2 * plan.context + 1 and len(plan) > 2)
    begins = [w.targets.start - w.input.start - (w.bos == "instead") for w in plan][1:-1]
    assert min(begins) == plan.least_context


@given(plans())
def test_plans_are_results(plan: Windows) -> None:
    d = plan.to_dict()
    assert json.loads(json.dumps(d)) == d
    assert d["n_windows"] == len(plan) == len(list(plan))
    assert d["n_scored"] + sum(d["left_out"].values()) == d["n_tokens"]
    assert [plan[k] for k in range(len(plan))] == list(plan) == plan[:]
    assert plan[1::2] == list(plan)[1::2], "a share for one of two processes"
    if plan:
        assert plan[-1] == list(plan)[-1]
        assert hash(plan[0]) == hash(next(iter(plan)))
        assert repr(plan[0]).startswith("<Window: given ")
    with pytest.raises(IndexError, match=f"a plan that has {len(plan)}"):
        plan[len(plan)]


def test_a_huge_plan_is_made_of_numbers() -> None:
    plan = windows(10**12, context=4096, convention="stride_1")
    assert len(plan) == 10**12 - 4095
    assert plan.n_scored == 10**12 - 1
    assert plan[-1].targets == slice(10**12 - 1, 10**12)


def test_a_plan_shows_itself_in_a_notebook() -> None:
    assert "<td>least context</td><td>8</td>" in windows(100, context=16)._repr_html_()


# -- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_tokens": -1, "context": 4}, "n_tokens: expected a whole number from 0 to"),
        ({"n_tokens": 9}, "context: expected the most tokens that the model is given at once; got None"),
        ({"n_tokens": 9, "context": 1}, "context: expected a whole number from 2 to"),
        ({"n_tokens": 9, "context": 2, "convention": "llama_cpp"}, "context: expected a whole number from 3 to"),
        ({"n_tokens": 9, "context": 4, "stride": 0}, "stride: expected a whole number from 1 to"),
        (
            {"n_tokens": 9, "context": 4, "stride": 5, "score": 1},
            "stride: expected at most 4, so that every token is in",
        ),
        ({"n_tokens": 9, "context": 4, "stride": 4, "score": 0, "bos": "every"}, "stride: expected at most 3"),
        (
            {"n_tokens": 9, "context": 4, "bos": "before"},
            "bos: expected one of none, first, every, replace; got 'before'",
        ),
        ({"n_tokens": 9, "context": 4, "score": 4}, "score: expected 'all' or a whole number from 0 to 3; got 4"),
        ({"n_tokens": 9, "context": 4, "score": "half"}, "score: expected 'all' or a whole number; got 'half'"),
        (
            {"n_tokens": 9, "context": 4, "convention": "hf"},
            "convention: expected one of transformers, lm_eval_rolling",
        ),
        (
            {"n_tokens": 9, "context": 4, "stride": 2, "convention": "gptq"},
            "stride: expected 4 or nothing with convention='gptq'; got 2; without the convention it is free",
        ),
        (
            {"n_tokens": 9, "context": 4, "score": 1, "convention": "transformers"},
            "score: expected 'all' or nothing with convention='transformers'; got 1",
        ),
        (
            {"n_tokens": 9, "context": 4, "bos": "every", "convention": "llama_cpp"},
            "bos: expected 'replace' or 'none' with convention='llama_cpp'; got 'every'",
        ),
    ],
)
def test_bad_numbers_are_refused_in_one_sentence(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError)) as raised:
        windows(**arguments)
    assert str(raised.value).startswith(message)


def test_a_prompt_is_of_the_text_of_the_plan() -> None:
    plain, begun = windows(9, context=4)[0], windows(9, context=4, bos="first")[1]
    with pytest.raises(ValueError, match=r"^ids: expected the 9 tokens of the whole text; got 8"):
        plain.prompt(np.arange(8))
    with pytest.raises(
        ValueError, match=r"^bos_id: expected None, since the plan has no BOS; got 1; make the plan with"
    ):
        plain.prompt(np.arange(9), bos_id=1)
    with pytest.raises(ValueError, match=r"^bos_id: expected the id of the BOS token, since the plan has bos='first'"):
        begun.prompt(np.arange(9))
    ids = np.arange(9)
    windows(9, context=4, bos="replace")[0].prompt(ids, bos_id=7)
    assert ids.tolist() == list(range(9)), "the caller's ids stay as they are"
