"""Every kernel of the shared test table, and every state, while allocations fail: the n-th, for n = 0, 1, 2, ...

Each failure must be a ``MemoryError``; arguments and states stay as they were, or a state is as after the call; and the
next call is right, bit for bit. The core's own allocations fail by a hook in its allocator, Python's by ``_testcapi``.
An allocation that nobody can refuse ends the process, and Rust says how large it was.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from random import Random
from types import BuiltinFunctionType, ModuleType
from typing import Any

import numpy as np

import steelyard as sy
from steelyard import _core

from ..cases import all_cases, uniform
from ..test_reference import canonical
from . import _frame

try:
    import _testcapi
except ImportError:  # an interpreter without its test modules
    python_memory: ModuleType | None = None
else:
    python_memory = _testcapi if hasattr(_testcapi, "set_nomemory") else None

CASES = all_cases()
FOREVER = 1 << 62
# Larger than anything the reserve serves: what fails must be an answer.
LARGE = (64 << 10) + 1
# Beyond this many allocations, every tenth more is tried.
EACH = 200


class Failing:
    """Which allocations fail, and whether one has failed."""

    def __init__(self, kind: str, failures: int) -> None:
        self.kind, self.failures, self.failed = kind, failures, False

    @contextmanager
    def after(self, successes: int) -> Iterator[None]:
        self.failed = True  # of Python's allocations nobody counts: see `sweep`
        if self.kind == "python":
            assert python_memory is not None
            python_memory.set_nomemory(successes, successes + self.failures)
            try:
                yield
            finally:
                python_memory.remove_mem_hooks()
            return
        least = LARGE if self.kind == "large" else 0
        _core.fail_allocations_for_tests(successes, self.failures, least)
        try:
            yield
        finally:
            self.failed = _core.fail_allocations_for_tests(0, 0, 0) < self.failures


class Calls:
    """How many functions of the core have been called, and what is done around one of them."""

    def __init__(self, around: Callable[[int], AbstractContextManager[None]]) -> None:
        self.seen, self.around = 0, around

    def wrapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            self.seen += 1
            with self.around(self.seen - 1):
                return function(*args, **kwargs)

        return called


@contextmanager
def calls_of_core(around: Callable[[int], AbstractContextManager[None]] = lambda _: nullcontext()) -> Iterator[Calls]:
    """Have every function of the core pass through ``Calls``; the package looks them up anew at each call."""
    calls = Calls(around)
    functions = {name: one for name, one in vars(_core).items() if isinstance(one, BuiltinFunctionType)}
    for name, one in functions.items():
        setattr(_core, name, calls.wrapped(one))
    try:
        yield calls
    finally:
        for name, one in functions.items():
            setattr(_core, name, one)


class InCore(Failing):
    """An allocation of Python's fails within one call of the core, and nowhere else.

    NumPy does not survive its own: where its loops find no memory for buffers, it raises without holding the interpreter's
    lock, and where a copy of bfloat16 finds none, it calls a null pointer (both seen in 2.4, both end the process).
    """

    def __init__(self, call: int) -> None:
        super().__init__("python", 1)
        self.call = call

    @contextmanager
    def after(self, successes: int) -> Iterator[None]:
        self.failed = True
        of_python = super().after
        with calls_of_core(lambda i: of_python(successes) if i == self.call else nullcontext()):
            yield


def of_numpy(error: BaseException) -> bool:
    """Whether NumPy or Python lost the exception on the way: its functions return null and say nothing.

    pyo3 makes a ``SystemError`` of that in a release, and panics where debug assertions are on. A lock of Python's that has
    no memory is a ``RuntimeError``.
    """
    texts = ("without exception", "without setting", "exception but none was set", "can't allocate lock")
    return any(text in str(error) for text in texts)


def sweep(failing: Failing, call: Callable[[], Any], check: Callable[[Any], None]) -> int:
    """Have allocation 0, 1, 2, ... of ``call`` fail, until it passes untouched; ``check`` what it gives, None: nothing."""
    n = passed = tried = 0
    while failing.kind != "python" or passed < 3:
        result, said = None, None
        try:
            with failing.after(n):
                result = call()
        except BaseException as error:
            if not isinstance(error, MemoryError) and not of_numpy(error):
                raise AssertionError(f"{type(error).__name__} for a MemoryError, at allocation {n}: {error}") from error
            said = error
        passed = passed + 1 if said is None else 0
        check(result)
        if not failing.failed:
            break
        n += 1 if n < EACH else n // 10
        tried += 1
    return tried


def kinds() -> list[str]:
    return ["core", "large", *(["python"] if python_memory else [])]


def of_a_case(random: Random) -> str:
    case = random.choice(CASES)
    dtype, length = random.choice(case.dtypes), random.choice(case.lengths)
    kind = random.choice(kinds())
    if kind == "python" and length > 5000:
        length = min(case.lengths)
    failing = Failing(kind, random.choice((1,) if kind == "python" else (1, 2, FOREVER)))
    inputs = case.make(dtype, length)
    before = flat(inputs)
    _core.set_threads(random.choice((1, 2, 3)))
    with calls_of_core() as calls:
        want = flat(case.run(inputs))
    if kind == "python":
        failing = InCore(random.randrange(max(calls.seen, 1)))

    def check(got: Any) -> None:
        assert got is None or flat(got) == want, "other bits"
        assert flat(inputs) == before, "an argument was changed"

    try:
        sweep(failing, lambda: case.run(inputs), check)
        check(case.run(inputs))
    except AssertionError as error:
        error.add_note(f"{case.name}, {dtype}, length {length}, {failing.kind}, {failing.failures} failures")
        raise
    finally:
        _core.set_threads(None)
    return f"cases of {kind}"


def flat(value: Any) -> Any:
    """A value as something that compares by bits, copied."""
    if isinstance(value, dict):
        return {key: flat(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [flat(item) for item in value]
    return canonical(value)


# -- states ------------------------------------------------------------------------------------------------------------

Change = Callable[[], object]
Look = Callable[[], Any]


def perplexity(random: Random) -> tuple[Change, Look]:
    named = random.random() < 0.7
    many = random.choice((3, 400, 5000))
    state, other = sy.tokens.PerplexityState(), sy.tokens.PerplexityState()
    for i, one in enumerate((state, other)):
        ids = [f"document {j + i}" for j in range(many)]
        one.update(uniform(many, i), clusters=ids if named else None)
    more = uniform(50, 7)
    change: Change = random.choice(
        (
            lambda: state.merge(other),
            lambda: state.update(more, clusters=[f"new {i}" for i in range(50)] if named else None),
            lambda: sy.tokens.PerplexityState.from_bytes(other.to_bytes()),
            state.compute,
        )
    )
    return change, state.to_bytes


def reliability(random: Random) -> tuple[Change, Look]:
    bins, clustered = random.choice(((3, False), (15, False), (9000, False), (15, True)))

    def ids(n: int) -> list[str] | None:
        return [f"document {i % 3000}" for i in range(n)] if clustered else None

    state, other = (
        sy.calibration.ReliabilityState(bins).update(uniform(5000, i), uniform(5000, 9) < 0.5, clusters=ids(5000))
        for i in (1, 2)
    )
    # Made before memory is held back: NumPy's own calls may fail in other ways.
    probs, targets, names = uniform(70_000, 3), uniform(70_000, 4) < 0.5, ids(70_000)
    change: Change = random.choice(
        (
            lambda: state.merge(other),
            lambda: state.update(probs, targets, clusters=names),
            lambda: sy.calibration.ReliabilityState.from_bytes(other.to_bytes()),
            state.compute,
        )
    )
    return change, state.to_bytes


def global_norm(random: Random) -> tuple[Change, Look]:
    state, other = (sy.optim.GlobalNormState().update(uniform(100, i)) for i in (1, 2))
    many = [uniform(3, i) for i in range(random.choice((1, 3000)))]
    return random.choice((lambda: state.merge(other), lambda: state.update(many))), state.to_bytes


def optimizer(random: Random) -> tuple[Change, Look]:
    many, n = random.choice(((1, 100), (3, 70_000), (3000, 5)))
    params = [uniform(n, i % 50) for i in range(many)]
    grads = [uniform(n, 60 + i % 30) for i in range(many)]
    opt = sy.AdamW(params, lr=0.1, max_norm=random.choice((None, 1.0)), amsgrad=random.random() < 0.3)
    opt.step(grads)
    saved = opt.state_dict()
    change = random.choice((lambda: opt.step(grads), lambda: opt.load_state_dict(saved), opt.state_dict))
    return change, lambda: flat([params, dict(opt.state_dict())])


def clipping(random: Random) -> tuple[Change, Look]:
    many, n = random.choice(((2, 100), (2, 70_000), (3000, 5)))
    grads = [10.0 * uniform(n, i % 50) for i in range(many)]
    return lambda: sy.clip_by_global_norm_(grads, 1.0), lambda: flat(grads)


REFUSED: tuple[Callable[[], object], ...] = (
    lambda: _core.mean_interval(
        mean=0.0, squares=1.0, n=9, confidence_level=2.0, alternative="two-sided", low=0.0, high=1.0, step=0.0, rows=9.0
    ),
    lambda: _core.adjusted("x", method="holm"),  # type: ignore[arg-type]
    lambda: sy.estimate(np.array([1.0, np.nan])),
    lambda: sy.reliability(np.array([0.5, 7.0]), np.array([0, 1])),
    lambda: sy.token_scores(np.ones((2, 3), np.float32), np.array([0, 3])),
    lambda: sy.tokens.PerplexityState.from_bytes(b"SYST and nothing else"),
    lambda: sy.AdamW([np.ones(3)]).step([np.ones(4)]),
)


def of_a_refusal(random: Random) -> str:
    """A bad argument is refused with its message, or with a MemoryError where there was no memory for the message."""
    call, kind = random.choice(REFUSED), random.choice(kinds())
    failing = Failing(kind, random.choice((1,) if kind == "python" else (1, 2, FOREVER)))

    def refused() -> None:
        try:
            call()
        except (ValueError, TypeError):
            return
        raise AssertionError("it was not refused")

    sweep(failing, refused, lambda _: None)
    refused()
    return f"refusals of {kind}"


STATES = (perplexity, reliability, global_norm, optimizer, clipping)


def of_a_state(random: Random) -> str:
    make, kind = random.choice(STATES), random.choice(kinds())
    seed, failures = random.random(), random.choice((1,) if kind == "python" else (1, 2, FOREVER))
    _core.set_threads(random.choice((1, 2)))
    failing = Failing(kind, failures)
    try:
        change, look = make(Random(seed))
        before = look()
        change()
        after = look()
        n = passed = 0
        while failing.kind != "python" or passed < 3:
            change, look = make(Random(seed))
            said = None
            try:
                with failing.after(n):
                    change()
            except BaseException as error:
                if not isinstance(error, MemoryError) and not of_numpy(error):
                    raise AssertionError(f"{type(error).__name__} for a MemoryError: {error}") from error
                said = error
            passed = passed + 1 if said is None else 0
            now = look()
            assert now == after or (said is not None and now == before), f"neither before nor after: {said!r}"
            if now != after:
                change()
                assert look() == after, "the next call is not right"
            if not failing.failed:
                break
            # A state is made anew for each: the larger ones are tried here and there.
            n += 1 if n < 20 else 1 + int(n * Random(n + seed).random())
    except AssertionError as error:
        error.add_note(f"{make.__name__}, {kind}, {failures} failures")
        raise
    finally:
        _core.set_threads(None)
    return f"states of {kind}"


def trial(random: Random) -> str:
    return random.choice((of_a_case, of_a_state, of_a_refusal))(random)


def main(arguments: list[str] | None = None) -> int:
    return _frame.run("allocation", trial, arguments)


if __name__ == "__main__":
    np.seterr(all="ignore")
    sys.unraisablehook = lambda _: None  # what ends while there is no memory cannot say so
    sys.exit(main())
