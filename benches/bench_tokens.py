"""Tokens: NLL from logits, and totals per document."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np

import steelyard as sy

from .harness import Call, Growth, Row, read_once, torch_with_threads

ROWS_, CLASSES = 1024, 128_256


def _inputs(torch: Any) -> tuple[Any, Any]:
    torch.manual_seed(0)
    return 3 * torch.randn(ROWS_, CLASSES), torch.randint(0, CLASSES, (ROWS_,))


def nll_f32() -> Row:
    """NLL, f32 [1024, 128256]"""
    torch = torch_with_threads()
    logits, targets = _inputs(torch)

    def agree(ours: Any, peer: Any) -> None:
        np.testing.assert_allclose(ours.nll, peer.numpy(), rtol=1e-5)

    return Row(
        work=f"NLL, f32 [{ROWS_}, {CLASSES}]",
        ours=lambda: sy.token_scores(logits, targets),
        peer=lambda: torch.nn.functional.cross_entropy(logits, targets, reduction="none"),
        against='torch `cross_entropy(reduction="none")`',
        package="torch",
        at_least=8.0,
        limit=read_once(logits.numpy()),
        limit_bytes=logits.nbytes,
        at_most_limit=1.3,
        agree=agree,
    )


def nll_bf16() -> Row:
    """NLL, bf16 [1024, 128256]"""
    torch = torch_with_threads()
    logits, targets = _inputs(torch)
    logits = logits.to(torch.bfloat16)

    def agree(ours: Any, peer: Any) -> None:
        # The peer's answer is a bfloat16: one part in 128.
        np.testing.assert_allclose(ours.nll, peer.float().numpy(), rtol=2.0**-7)

    return Row(
        work=f"NLL, bf16 [{ROWS_}, {CLASSES}]",
        ours=lambda: sy.token_scores(logits, targets),
        peer=lambda: torch.nn.functional.cross_entropy(logits, targets, reduction="none"),
        against='torch `cross_entropy(reduction="none")` in bf16',
        package="torch",
        at_least=5.0,
        limit=read_once(logits.view(torch.uint16).numpy()),
        limit_bytes=logits.nbytes,
        agree=agree,
    )


# What the row of all columns compares with torch; the sums of the others follow from the same softmax.
COLUMNS = ("nll", "log_z", "top", "correct", "confidence", "entropy", "rank")


def _columns_by_hand(torch: Any, logits: Any, targets: Any) -> dict[str, Any]:
    """The columns as calls of torch, one after another, as evaluation scripts compute them."""
    log_p = torch.log_softmax(logits, -1)
    p = log_p.exp()
    chosen = logits.gather(-1, targets[:, None])
    top = logits.argmax(-1)
    return {
        "nll": torch.nn.functional.cross_entropy(logits, targets, reduction="none"),
        "log_z": torch.logsumexp(logits, -1), "top": top, "correct": top == targets, "confidence": p.max(-1).values,
        "entropy": -(p * log_p).sum(-1), "rank": 1 + (logits > chosen).sum(-1),
    }  # fmt: skip


def all_columns() -> Row:
    """all columns, f32"""
    torch = torch_with_threads()
    logits, targets = _inputs(torch)

    def agree(ours: Any, peer: Any) -> None:
        for name in COLUMNS:
            np.testing.assert_allclose(getattr(ours, name), peer[name].numpy(), rtol=1e-4)

    return Row(
        work=f"all columns (entropy, ranks, top, ...), f32 [{ROWS_}, {CLASSES}]",
        ours=lambda: sy.token_scores(logits, targets, columns="all"),
        peer=lambda: _columns_by_hand(torch, logits, targets),
        against="seven of them by torch: `cross_entropy`, `logsumexp`, `argmax`, softmax, entropy, rank",
        package="torch",
        at_least=30.0,
        limit=lambda: sy.token_scores(logits, targets),
        limit_bytes=logits.nbytes,
        at_most_limit=1.5,
        agree=agree,
    )


def one_long_row() -> Row:
    """one row of 1e7 logits"""
    torch = torch_with_threads()
    torch.manual_seed(0)
    logits, targets = 3 * torch.randn(1, 10_000_000), torch.tensor([5])

    def agree(ours: Any, peer: Any) -> None:
        row = logits.numpy().astype(np.float64)[0]
        exact = row.max() + np.log(np.exp(row - row.max()).sum()) - row[5]
        np.testing.assert_allclose(ours.nll, exact, rtol=0, atol=2e-6)
        # The peer adds ten million exponentials in float32: 1e-3 nats.
        np.testing.assert_allclose(peer.numpy(), exact, rtol=1e-3)

    return Row(
        work="NLL of one row, f32 [1, 1e7]",
        ours=lambda: sy.token_scores(logits, targets),
        peer=lambda: torch.nn.functional.cross_entropy(logits, targets, reduction="none"),
        against='torch `cross_entropy(reduction="none")`',
        package="torch",
        at_least=6.0,
        limit=read_once(logits.numpy()),
        limit_bytes=logits.nbytes,
        agree=agree,
    )


def two_models() -> Row:
    """two models, KL and same top, bf16"""
    torch = torch_with_threads()
    torch.manual_seed(0)
    base = (3 * torch.randn(8192, 32_000)).to(torch.bfloat16)
    new = (base.float() + 0.1 * torch.randn(8192, 32_000)).to(torch.bfloat16)
    targets = torch.zeros(8192, dtype=torch.int64)
    columns = ("kl", "same_top")

    def by_hand() -> tuple[Any, Any]:
        p, q = torch.log_softmax(new.float(), -1), torch.log_softmax(base.float(), -1)
        return (q.exp() * (q - p)).sum(-1), new.argmax(-1) == base.argmax(-1)

    def agree(ours: Any, peer: Any) -> None:
        np.testing.assert_allclose(ours.kl, peer[0].numpy(), rtol=1e-2)
        np.testing.assert_array_equal(ours.same_top, peer[1].numpy())

    return Row(
        work="two models, KL and same top, bf16 [8192, 32000]",
        ours=lambda: sy.token_scores(new, targets, baseline=base, columns=columns),
        peer=by_hand,
        against="torch in f32: two `log_softmax`, `exp`, product, sum, two `argmax`",
        package="torch",
        at_least=20.0,
        limit_bytes=new.nbytes + base.nbytes,
        agree=agree,
    )


def from_hidden() -> Row:
    """hidden states times the vocabulary, f32"""
    torch = torch_with_threads()
    torch.manual_seed(0)
    hidden, weight = torch.randn(ROWS_, 1024), torch.randn(CLASSES, 1024) / 16
    targets = torch.randint(0, CLASSES, (ROWS_,))
    functional = torch.nn.functional

    def agree(ours: Any, peer: Any) -> None:
        np.testing.assert_allclose(ours.nll, peer.numpy(), rtol=1e-5)

    return Row(
        work=f"NLL from hidden states, f32, H = 1024, [{ROWS_}, {CLASSES}] logits never made",
        ours=lambda: sy.token_scores_from_hidden(hidden, weight, targets),
        peer=lambda: functional.cross_entropy(functional.linear(hidden, weight), targets, reduction="none"),
        against="torch `linear`, then `cross_entropy`",
        package="torch",
        at_least=0.9,
        agree=agree,
    )


def forward_and_backward() -> Row:
    """cross-entropy, forward and backward, f32"""
    torch = torch_with_threads()
    from steelyard.torch import cross_entropy

    logits, targets = _inputs(torch)
    logits.requires_grad_()

    def both(function: Any) -> Any:
        return torch.autograd.grad(function(logits, targets), logits)[0]

    def agree(ours: Any, peer: Any) -> None:
        np.testing.assert_allclose(ours.numpy(), peer.numpy(), rtol=1e-4, atol=1e-9)

    return Row(
        work=f"cross-entropy, forward and backward, f32 [{ROWS_}, {CLASSES}]",
        ours=lambda: both(cross_entropy),
        peer=lambda: both(torch.nn.functional.cross_entropy),
        against="torch `cross_entropy` and its gradient",
        package="torch",
        at_least=2.0,
        agree=agree,
    )


def base_file() -> Row:
    """a base file of llama.cpp, f32 [1020, 128256]"""
    folder = tempfile.TemporaryDirectory()
    rng = np.random.default_rng(0)
    chunks, n_ctx, width = 4, 512, 128_256
    new = rng.standard_normal((chunks, n_ctx // 2 - 1, width), np.float32) * 3
    tokens = rng.integers(0, width, (chunks, n_ctx))
    base = sy.tokens.KLBase.write(
        f"{folder.name}/base", (x + rng.standard_normal(x.shape, np.float32) for x in new), tokens
    )
    targets = base.targets
    columns = ("kl_llama_cpp", "same_top", "nll_difference")

    def llama_cpp() -> Any:
        """The loop over the classes of a row of ``log_softmax`` in ``perplexity.cpp``, as NumPy."""
        found, f = [], np.float32
        codes, steps, least = base.codes, base.steps, base.least
        for place in np.ndindex(*targets.shape):
            x = new[place]
            top = x.max()
            log_z = top + f(np.log(np.exp(x - top).sum(dtype=np.float64)))
            log_q = steps[place] * codes[place] + least[place]
            terms = np.where(log_q > -16, np.exp(log_q) * (log_q - x + log_z), f(0))
            same = x.argmax() == log_q.argmax()
            found.append((log_z - x[targets[place]], -log_q[targets[place]], terms.sum(dtype=np.float64), same))
        return np.array(found), folder  # the folder lives as long as the row

    def agree(ours: Any, peer: Any) -> None:
        np.testing.assert_allclose(ours.kl_llama_cpp.ravel(), peer[0][:, 2], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(ours.nll.ravel(), peer[0][:, 0], rtol=1e-5)

    return Row(
        work=f"a base file of llama.cpp, f32 [{targets.size}, {width}]",
        ours=lambda: sy.token_scores(new, targets, baseline=base, columns=columns),
        peer=llama_cpp,
        against="llama.cpp's loop as NumPy",
        package="numpy",
        at_least=10.0,
        limit_bytes=new.nbytes + base.codes.nbytes,
        agree=agree,
    )


def sketched() -> Row:
    """sketch, k = 64, f32 [1024, 128256]"""
    x = 3 * np.random.default_rng(0).standard_normal((ROWS_, CLASSES), np.float32)

    def largest() -> Any:
        ids = np.argpartition(x, CLASSES - 64, axis=-1)[:, CLASSES - 64 :]
        return np.sort(np.take_along_axis(x, ids, -1), axis=-1)[:, ::-1]

    return Row(
        work=f"sketch (64 largest, log Z, tail, entropy), f32 [{ROWS_}, {CLASSES}]",
        ours=lambda: sy.tokens.sketch(x),
        peer=largest,
        against="the 64 largest alone by `numpy.argpartition`",
        package="numpy",
        at_least=2.0,
        limit=lambda: sy.token_scores(x, np.zeros(ROWS_, np.int64), columns="entropy"),
        limit_bytes=x.nbytes,
        agree=lambda ours, peer: np.testing.assert_array_equal(ours.logits, peer),
    )


def by_classes() -> Growth:
    """NLL, f32, by classes"""

    def make(classes: int) -> Call:
        logits, targets = np.zeros((1, classes), np.float32), np.zeros(1, np.int64)
        return lambda: sy.token_scores(logits, targets)

    return Growth(work="NLL of one row, f32", unit="class", sizes=(1000, 32_000, 1_024_000), make=make)


def by_tokens() -> Growth:
    """perplexity, by tokens"""

    def make(tokens: int) -> Call:
        nll, documents = np.full(tokens, 2.5), np.arange(tokens) // 20
        return lambda: sy.perplexity(nll, clusters=documents)

    return Growth(
        work="perplexity by document, 20 tokens each", unit="token", sizes=(10_000, 100_000, 1_000_000), make=make
    )


def by_threads() -> Growth:
    """NLL, f32, by threads"""
    logits = np.zeros((256, CLASSES), np.float32)
    targets = np.zeros(256, np.int64)

    def make(threads: int) -> Call:
        def call() -> None:
            with sy.threads(threads):
                sy.token_scores(logits, targets)

        return call

    work = f"NLL, f32 [256, {CLASSES}], by threads"
    return Growth(work=work, unit="logit", sizes=(1, 2), make=make, units=logits.size)


ROWS = [
    nll_f32,
    nll_bf16,
    all_columns,
    one_long_row,
    two_models,
    sketched,
    base_file,
    from_hidden,
    forward_and_backward,
]
GROWTH = [by_classes, by_tokens, by_threads]
