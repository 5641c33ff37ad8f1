"""What a preference set is worth, from its texts, scores and log-probabilities: the call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._mode import standard_mode
from .._options import confidence_of, number, whole
from .._progress import OnProgress, Progress, reporter
from ..errors import value_error
from .auditing import parts, unpaired
from .auditing.answers import Pair
from .auditing.copies import copies_of, copies_of_answers
from .auditing.doubts import Doubt, Listed, contradictions_of, doubts_of
from .auditing.given import given
from .auditing.measured import Measured
from .auditing.pairing import NO_NAME, Pairs, pairs_of
from .auditing.results import Audit, Rewards, Texts
from .auditing.sweep import Sweep, sweep

__all__ = ["audit"]


@standard_mode
def audit(
    chosen: Sequence[Any] | None = None,
    rejected: Sequence[Any] | None = None,
    *,
    prompts: Sequence[Any] | None = None,
    labels: Sequence[Any] | None = None,
    policy_chosen: ArrayLike | None = None,
    policy_rejected: ArrayLike | None = None,
    reference_chosen: ArrayLike | None = None,
    reference_rejected: ArrayLike | None = None,
    score_chosen: ArrayLike | None = None,
    score_rejected: ArrayLike | None = None,
    score_margin: ArrayLike | None = None,
    length_chosen: ArrayLike | None = None,
    length_rejected: ArrayLike | None = None,
    sources: Sequence[Any] | None = None,
    ids: Sequence[Any] | None = None,
    where: Any = None,
    clusters: Any = None,
    beta: float = 0.1,
    folds: int = 5,
    seed: int = 0,
    most: int = 20,
    confidence_level: float = 0.95,
    progress: Progress = False,
) -> Audit:
    r"""Audit preference data: copies, contradictions, length, scores, and what log-probabilities say of the labels.

    With x and y the log-ratios of policy and reference (of the policy alone without a reference) of the chosen and the
    rejected answer, ``u = x - y`` and the logistic function s, among others::

        accuracy           share of u > 0, ties half
        length-controlled  the same where the longer answer is chosen as often as the shorter one:
                           :func:`steelyard.preference.length_controlled_accuracy`
        displaced          share of x < 0 < u
        fitted beta        argmax over b of  sum log s(b u)
        label noise        argmax over e (and b) of  sum log((1 - e) s(b u) + e s(-b u))
        overconfidence     mean of s(beta |u|)  -  accuracy

    Every label says "chosen", so that calibration needs another question: the answer with the higher reward is taken
    first, its probability is ``s(beta |u|)``, and the outcome is whether the label agrees. That is the same for either
    order in which a pair is written, and needs no random orientation.

    The sweep reads the log-probabilities as each loss that is a likelihood of the label does, ``s`` of a difference of
    scores ("dpo", its divergences, "sigmoid_norm", "cpo", "simpo" and "orpo" where their columns are given, and "length
    alone"), at every scale and share of noise, and compares them by the likelihood of labels that were held out, all
    pairs of a prompt together. Nothing is trained: it says which reading of this policy's log-probabilities predicts
    labels, not which loss would train a better policy; and where the policy was trained on these pairs, nothing was
    held out from it. Losses that are no likelihoods ("hinge", "ipo", ...) are not among them.

    Parameters
    ----------
    chosen, rejected : list of n texts, or of n conversations, optional
        A conversation is a list of messages, ``{"role": ..., "content": ...}``. Without ``prompts`` the prompt is what
        both answers begin with: whole messages; of texts up to the last turn of an assistant (``"\n\nAssistant:"``, or
        a chat template's mark), or up to a word, from five words on. With ``labels``, ``chosen`` are single answers.
    prompts : list of n texts or conversations, optional
        None in places where it is not known.
    labels : list of n bools, optional
        Whether each of ``chosen`` is desirable; the desirable and undesirable answers of one prompt make pairs, at most
        64 a prompt.
    policy_chosen, policy_rejected, reference_chosen, reference_rejected : array of float [n], optional
        Log-probabilities of the answers in nats; NaN where there is none. Pairs with an infinite one enter no estimate
        of them, and are counted in ``rewards.left_out``.
    score_chosen, score_rejected, score_margin : array of float [n], optional
        Scores of the answers, such as ratings; or their difference, chosen less rejected.
    length_chosen, length_rejected : array [n], optional
        Their lengths in tokens, whole numbers; characters of the texts are counted otherwise.
    sources : list of n texts, optional
        Where each row comes from: an answer for each.
    ids : list of n ids, optional
        What rows are called in ``doubts``; by default their places.
    where : array of bool [n], optional
        The rows that count.
    clusters : array of ids [n], optional
        What belongs together; by default the pairs of one prompt.
    beta : float
        The scale of the rewards, above 0.
    folds, seed : int
        Of the cross-fitting: folds (at least 2) that the seed deals out.
    most : int
        How many pairs of each kind ``doubts`` has.
    confidence_level : float
        Of all intervals.
    progress : bool or callable
        Of the sweep.

    Returns
    -------
    Audit
        Counts and Estimates; parts that the data do not have are None, and ``notes`` say why.

    Raises
    ------
    TypeError, ValueError
        For columns of different lengths, a column without the one that belongs to it, log-probabilities that cannot be
        any (above 0, as in :func:`steelyard.preference_loss`), and data without one pair of two different answers.

    Examples
    --------
    >>> import steelyard as sy
    >>> chosen = ["\n\nHuman: Is it far?\n\nAssistant: No, a mile.", "\n\nHuman: Why?\n\nAssistant: I can't say."]
    >>> rejected = ["\n\nHuman: Is it far?\n\nAssistant: Yes.", "\n\nHuman: Why?\n\nAssistant: Why not, my friend?"]
    >>> found = sy.preference.audit(chosen, rejected)
    >>> found.texts.implicit_prompts, found.lengths.longer.value
    (2, 0.5)
    >>> u = [4.0, 9.0, -3.0, 2.0, 7.0, -1.0, 5.0, 12.0]
    >>> found = sy.preference.audit(policy_chosen=[x - 50 for x in u], policy_rejected=[-50.0] * 8)
    >>> print(found.rewards.fitted_beta)
    0.38 [-0.07, 0.84] (95 %, sandwich t, n = 8)

    References
    ----------
    Rafailov et al., "Direct Preference Optimization", 2023 (rewards). Mitchell, "A note on DPO with noisy preferences",
    2023, and Chowdhury et al., "Provably Robust DPO", 2024 (noise). Dubois et al., "Length-Controlled AlpacaEval", 2024
    (which fits a regression where this reweighs). Razin et al., "Unintentional Unalignment", 2024 (displacement).
    """
    scale = number(beta, "beta")
    if not 0.0 < scale < float("inf"):
        raise value_error("beta", "a finite number above 0", repr(beta))
    folds, seed = whole(folds, "folds", 2), whole(seed, "seed", 0, 2**64 - 1)
    most = whole(most, "most", 0)
    confidence = confidence_of(confidence_level, "two-sided")
    texts = {
        "chosen": chosen, "rejected": rejected, "prompts": prompts, "labels": labels, "sources": sources, "ids": ids,
    }  # fmt: skip
    numbers = {
        "policy_chosen": policy_chosen, "policy_rejected": policy_rejected, "reference_chosen": reference_chosen,
        "reference_rejected": reference_rejected, "score_chosen": score_chosen, "score_rejected": score_rejected,
        "score_margin": score_margin, "length_chosen": length_chosen, "length_rejected": length_rejected,
    }  # fmt: skip
    of = given(texts, numbers, where, clusters)
    single = None if labels is None else unpaired.read(of)
    pairs = pairs_of(of, single)
    by = Measured(confidence, pairs.codes)
    columns = parts.Columns(pairs.lengths(), pairs.unit, pairs.scores(), by.of(pairs.used))
    rewards, compared, margins, notes = _rewards(
        pairs, columns, scale, folds=folds, seed=seed, progress=reporter(progress)
    )
    clusters_used = columns.by.clusters
    some = bool(pairs.used.any())
    of_texts, contradicting = _texts(pairs, single, by, most)
    doubts = doubts_of(
        Listed(pairs.rows, of.names("ids"), pairs.texts or None), None if rewards is None else pairs.spread(margins),
        None if columns.scores is None else pairs.spread(columns.scores), most,
    )  # fmt: skip
    return Audit(
        rows=of.n, pairs=int(np.count_nonzero(pairs.used)), left_out=pairs.left_out,
        desirable=None if single is None else unpaired.desirable(single, confidence),
        desirable_longer=None if single is None else unpaired.longer(of, single, confidence),
        texts=of_texts,
        lengths=parts.lengths(columns) if some else None, scores=parts.scores(columns) if some else None,
        rewards=rewards, sweep=compared, groups=tuple(parts.groups(_sources(pairs), columns, margins)),
        doubts=(*contradicting, *doubts), n_clusters=None if clusters_used is None else clusters_used.total,
        confidence_level=confidence.level, notes=tuple(notes), margins=None if rewards is None else margins,
        margin_clusters=None if rewards is None else columns.by.codes,
    )  # fmt: skip


def _texts(pairs: Pairs, single: unpaired.Labelled | None, by: Measured, most: int) -> tuple[Texts | None, list[Doubt]]:
    """What the texts show, and the rows that contradict each other; of single answers those that were given."""
    ids = pairs.of.names("ids")
    if single is not None:
        found = copies_of_answers(single.prompts, single.texts, single.labels)
        answers = [Pair(prompt, text, "", False) for prompt, text in zip(single.prompts, single.texts, strict=True)]
        listed = Listed(single.rows, ids, answers)
        shown = parts.texts_of_answers(single, found, Measured(by.confidence, unpaired.clusters(single)))
    elif pairs.texts:
        found, listed = copies_of(pairs.texts), Listed(pairs.rows, ids, pairs.texts)
        shown = parts.texts(pairs.texts, found, by)
    else:
        return None, []
    return shown, list(contradictions_of(listed, found.contradicting, most))


def _rewards(
    pairs: Pairs, columns: parts.Columns, beta: float, *, folds: int, seed: int, progress: OnProgress
) -> tuple[Rewards | None, Sweep | None, parts.Floats, list[str]]:
    """What the log-probabilities say; the margins of the pairs that are used, NaN where they are not known; notes."""
    margins = np.full(int(np.count_nonzero(pairs.used)), np.nan)
    if not pairs.of.logprobs:
        return None, None, margins, []
    known, left_out = pairs.known()
    if not known.any():
        return None, None, margins, ["no rewards: no pair that counts has all of its log-probabilities"]
    rows, inner = pairs.marked(known), known[pairs.used]
    some = columns.narrowed(inner)
    found, margins[inner], notes = parts.rewards(pairs.of.logprobs, rows, some, beta, left_out)
    readings = parts.readings(pairs.of.logprobs, rows, margins[inner], pairs.tokens(rows), some)
    compared = sweep(readings, some.by, folds=folds, seed=seed, progress=progress)
    if compared is None:
        notes.append("no sweep: all pairs belong to one cluster, and none can be held out")
    return found, compared, margins, notes


def _sources(pairs: Pairs) -> list[str]:
    """The source of each pair that is used; nothing where none are given."""
    names = pairs.of.names("sources")
    if names is None:
        return []
    return [names[pairs.rows[place]] or NO_NAME for place in np.flatnonzero(pairs.used).tolist()]
