"""Type stubs of the compiled core, written by hand and checked against the binary by stubtest."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Required, TypedDict, TypeVar, final

import numpy as np
from numpy.typing import NDArray

_Progress = Callable[[int, int], object] | None

# constants that the Python package and the kernels share
MAX_BINS: int
MAX_CLUSTERED_BINS: int
PERMUTATIONS: int
POWER_ROWS: int
RATED_MODELS: int
SHUFFLED_ROWS: int
TOKEN_COUNTS: int
TOKEN_EXCLUDED: int
TOKEN_IGNORED: int

# configuration
def version() -> str: ...
def numerics() -> int: ...
def state_numerics() -> dict[str, int]: ...
def registries() -> dict[str, list[dict[str, Any]]]: ...
def isa() -> str: ...
def isa_available() -> list[str]: ...
def force_isa(name: str | None = None) -> None: ...
def threads() -> int: ...
def asked_threads() -> int | None: ...
def set_threads(n: int | None = None) -> None: ...
def set_default_threads(n: int | None = None) -> None: ...
def in_standard_mode(function: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any: ...
def set_mode_for_tests(flush_to_zero: bool = False, rounding: str = "nearest", trap: bool = False) -> None: ...
def fail_allocations_for_tests(successes: int, failures: int, least: int) -> int: ...
def panic_for_tests(pooled: bool) -> None: ...
def stop_attaching() -> None: ...

# lines of JSON
class _PlainLines(TypedDict):
    rows: int
    bytes: int
    met: list[int]
    columns: list[list[Any] | None]

def json_lines(
    data: bytes,
    *,
    columns: Sequence[str],
    dictionaries: Sequence[str],
    list_mark: object,
    longest: int,
    beginning: int,
) -> _PlainLines: ...

# arrays
def check_memory(array: NDArray[Any], name: str) -> None: ...

# clusters
class _NearCodes(TypedDict):
    codes: NDArray[np.int64]
    low: int
    above: NDArray[np.int64]

def near_codes(ids: NDArray[np.int64]) -> _NearCodes | None: ...

# tokens
def token_scores(
    logits: NDArray[Any],
    targets: NDArray[np.int64],
    *,
    ignore_index: int | None,
    columns: Sequence[str],
    counted: NDArray[np.bool_] | None = None,
    bias: NDArray[np.float64] | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    temperature: float | None = None,
    label_smoothing: float = 0.0,
    part: bool = False,
    progress: _Progress = None,
) -> tuple[NDArray[np.bool_], list[NDArray[np.float64]]]: ...
def token_scores_from_hidden(
    hidden: NDArray[Any],
    weight: NDArray[Any],
    targets: NDArray[np.int64],
    *,
    ignore_index: int | None,
    columns: Sequence[str],
    counted: NDArray[np.bool_] | None = None,
    bias: NDArray[np.float64] | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    temperature: float | None = None,
    label_smoothing: float = 0.0,
    part: bool = False,
    progress: _Progress = None,
) -> tuple[NDArray[np.bool_], list[NDArray[np.float64]]]: ...
def join_shards(
    shards: Sequence[NDArray[np.float64]],
    logits: NDArray[np.float64],
    targets: NDArray[np.int64],
    *,
    starts: Sequence[int],
    width: int,
    columns: Sequence[str],
    counted: NDArray[np.bool_],
    per_row: int,
    label_smoothing: float = 0.0,
) -> tuple[NDArray[np.bool_], list[NDArray[np.float64]]]: ...
def token_gradients(
    logits: NDArray[Any],
    targets: NDArray[np.int64],
    *,
    log_z: NDArray[np.float64],
    factors: NDArray[np.float64],
    ignore_index: int | None,
    bias: NDArray[np.float64] | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    temperature: float | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    shard: tuple[int, int] | None = None,
) -> NDArray[np.int64]: ...
def row_products(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int64]: ...
def token_pairs(
    logits: NDArray[Any],
    baseline: NDArray[Any],
    targets: NDArray[np.int64],
    *,
    ignore_index: int | None,
    columns: Sequence[str],
    pairs: Sequence[str],
    counted: NDArray[np.bool_] | None = None,
    bias: NDArray[np.float64] | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    temperature: float | None = None,
    label_smoothing: float = 0.0,
    coded: bool = False,
    progress: _Progress = None,
) -> tuple[NDArray[np.bool_], list[list[NDArray[np.float64]]]]: ...
def coded_rows(logits: NDArray[Any], *, progress: _Progress = None) -> NDArray[np.uint16]: ...
def token_sketch(
    logits: NDArray[Any], *, k: int, counted: NDArray[np.bool_] | None = None, progress: _Progress = None
) -> tuple[NDArray[np.int32], list[NDArray[np.float64]]]: ...
def sketch_kl(
    logits: NDArray[Any],
    *,
    ids: NDArray[np.int32],
    kept: NDArray[np.float64],
    log_z: NDArray[np.float64],
    tail: NDArray[np.float64],
    progress: _Progress = None,
) -> NDArray[np.float64]: ...
def sequence_nll(nll: NDArray[np.float64], counted: NDArray[np.bool_], *, rows: int) -> NDArray[np.float64]: ...

class _Perplexity(TypedDict):
    value: float
    standard_error: float | None
    low: float | None
    high: float | None
    df: float | None
    tokens: int
    units: float
    clusters: int

class _TokenCounts(TypedDict):
    infinite: int
    nan: int
    excluded: int
    ignored: int

@final
class PerplexityTotals:
    def __new__(cls) -> PerplexityTotals: ...
    def update(
        self,
        nll: NDArray[Any],
        *,
        length: int,
        codes: NDArray[np.int64],
        clusters: int,
        status: NDArray[np.uint8] | None = None,
        names: NDArray[np.int64] | list[str] | None = None,
        per: NDArray[np.float64] | None = None,
        omit_nan: bool = False,
        progress: _Progress = None,
    ) -> None: ...
    def merge(self, other: PerplexityTotals) -> None: ...
    def result(self, *, unit: str, confidence_level: float, alternative: str) -> _Perplexity | None: ...
    @staticmethod
    def stratified(
        totals: Sequence[PerplexityTotals], *, average: str, unit: str, confidence_level: float, alternative: str
    ) -> _Perplexity | None: ...
    def size(self) -> tuple[int, int]: ...
    def counts(self) -> _TokenCounts: ...
    def precision(self) -> str: ...
    def copy(self) -> PerplexityTotals: ...
    def to_bytes(self, config: bytes) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> tuple[PerplexityTotals, bytes]: ...

# uncertainty: NaN means that there is no such value (an Estimate has None there)
@final
class _Moments(TypedDict):
    mean: float
    squares: float
    low: float
    high: float
    step: float
    ones: int | None

@final
class _NotFinite(TypedDict):
    bad: int

class _ValueCounts(TypedDict):
    values: int
    clusters: int
    excluded: int
    nan: int

@final
class EstimateTotals:
    def __new__(cls) -> EstimateTotals: ...
    def update(
        self,
        x: NDArray[Any],
        *,
        codes: NDArray[np.int64] | None = None,
        names: NDArray[np.int64] | list[str] | None = None,
        excluded: int = 0,
        nan: int = 0,
        progress: _Progress = None,
    ) -> None: ...
    def merge(self, other: EstimateTotals) -> None: ...
    def size(self) -> _ValueCounts: ...
    def clustered(self) -> bool: ...
    def moments(self) -> _Moments: ...
    def cluster_sums(self, shift: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
    def copy(self) -> EstimateTotals: ...
    def to_bytes(self, config: bytes) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> tuple[EstimateTotals, bytes]: ...

class _SequenceCounts(TypedDict):
    values: int
    excluded: int
    nan: int
    ordered: bool
    differences: bool

class _Looks(TypedDict):
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

@final
class SequenceTotals:
    def __new__(cls, ordered: bool) -> SequenceTotals: ...
    def update(
        self,
        x: NDArray[np.float64],
        baseline: NDArray[np.float64] | None = None,
        *,
        bounds: tuple[float, float],
        excluded: int = 0,
        nan: int = 0,
        progress: _Progress = None,
    ) -> tuple[int, int] | None: ...
    def merge(self, other: SequenceTotals) -> None: ...
    def size(self) -> _SequenceCounts: ...
    def looks(
        self, times: NDArray[np.int64], *, method: str, confidence_level: float, progress: _Progress = None
    ) -> _Looks: ...
    def p_value(self, mean: float, *, confidence_level: float, progress: _Progress = None) -> float: ...
    def copy(self) -> SequenceTotals: ...
    def to_bytes(self, config: bytes) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> tuple[SequenceTotals, bytes]: ...

class _BinnedValues(TypedDict):
    values: int
    bins: int
    excluded: int
    nan: int

class _Quantile(TypedDict):
    value: float
    least: float
    most: float
    standard_error: float
    low: float
    high: float
    constant: bool

class _Asked(TypedDict):
    statistic: str
    replicates: int
    seed: int

class _StratumOfClusters(TypedDict):
    codes: NDArray[np.int64]
    names: list[str]
    rows: NDArray[np.int64]

class _DesignedCounts(_ValueCounts):
    weightless: int
    unstratified: int

@final
class StatisticTotals:
    KIND: int
    def __new__(cls, statistic: str) -> StatisticTotals: ...
    def update(
        self,
        columns: Sequence[NDArray[Any]],
        *,
        codes: NDArray[np.int64] | None = None,
        names: NDArray[np.int64] | list[str] | None = None,
        weights: NDArray[np.float64] | None = None,
        strata: Sequence[NDArray[np.int64] | list[str]] | None = None,
        excluded: int = 0,
        nan: int = 0,
        weightless: int = 0,
        unstratified: int = 0,
        progress: _Progress = None,
    ) -> dict[str, Any]: ...
    def merge(self, other: StatisticTotals) -> None: ...
    def size(self) -> _DesignedCounts: ...
    @property
    def statistic(self) -> str: ...
    def clustered(self) -> bool: ...
    def weighted(self) -> bool: ...
    def stratified(self) -> bool: ...
    def strata(self) -> _StratumOfClusters: ...
    def effective(self) -> float: ...
    def faint(self) -> dict[str, Any] | None: ...
    def moments(self) -> _Moments: ...
    def cluster_sums(self, shift: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
    def interval(self, confidence_level: float, alternative: str, average: str = "micro") -> dict[str, Any]: ...
    def copy(self) -> StatisticTotals: ...
    def to_bytes(self, config: bytes) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> tuple[StatisticTotals, bytes]: ...

@final
class QuantileTotals:
    def __new__(cls) -> QuantileTotals: ...
    def update(
        self, x: NDArray[Any], *, excluded: int = 0, nan: int = 0, progress: _Progress = None
    ) -> dict[str, Any]: ...
    def merge(self, other: QuantileTotals) -> None: ...
    def size(self) -> _BinnedValues: ...
    def exact(self) -> bool: ...
    def quantile(self, q: float, confidence_level: float, alternative: str) -> _Quantile: ...
    def copy(self) -> QuantileTotals: ...
    def to_bytes(self, config: bytes) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> tuple[QuantileTotals, bytes]: ...

@final
class BootstrapTotals:
    def __new__(cls, statistic: str, replicates: int, seed: int) -> BootstrapTotals: ...
    def update(
        self,
        columns: Sequence[NDArray[Any]],
        *,
        codes: NDArray[np.int64] | None = None,
        names: NDArray[np.int64] | list[str] | None = None,
        rows: NDArray[np.int64] | None = None,
        excluded: int = 0,
        nan: int = 0,
        progress: _Progress = None,
    ) -> dict[str, Any]: ...
    def merge(self, other: BootstrapTotals) -> None: ...
    def size(self) -> dict[str, int]: ...
    def asked(self) -> _Asked: ...
    def clustered(self) -> bool: ...
    def found(self, *, progress: _Progress = None) -> dict[str, Any]: ...
    def copy(self) -> BootstrapTotals: ...
    def to_bytes(self, config: bytes) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> tuple[BootstrapTotals, bytes]: ...

# calibration
class _BinCounts(TypedDict):
    count: list[int]
    correct: list[int]
    sum: list[int]

class _RowCounts(TypedDict):
    excluded: int
    weightless: int
    nan: int
    clamped: int
    rounded: int

class _Error(TypedDict):
    value: float
    standard_error: float | None
    low: float | None
    high: float | None

class _Bins(TypedDict):
    index: list[int]
    mean_probability: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    gap: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    weight: NDArray[np.float64]

class _BinClusters(TypedDict):
    correct: NDArray[np.float64]
    n: NDArray[np.float64]

class _Summary(TypedDict):
    ece: _Error
    rmsce: _Error
    mce: _Error
    gap: _Error
    noise_floor: float | None
    certain: bool
    clusters: _BinClusters | None
    effective: float | None
    bins: _Bins

@final
class ReliabilityTotals:
    def __new__(cls, n_bins: int) -> ReliabilityTotals: ...
    def update(
        self,
        probs: NDArray[Any],
        targets: NDArray[Any],
        *,
        keep: NDArray[np.uint8] | None = None,
        omit_nan: bool = False,
        codes: NDArray[np.int64] | None = None,
        names: NDArray[np.int64] | list[str] | None = None,
        weights: NDArray[np.float64] | None = None,
        weightless: int = 0,
        progress: _Progress = None,
    ) -> None: ...
    def merge(self, other: ReliabilityTotals) -> None: ...
    def left_out(self) -> _RowCounts: ...
    def bins(self) -> _BinCounts: ...
    def clustered(self) -> bool: ...
    def weighted(self) -> bool: ...
    def summary(self, *, confidence_level: float, alternative: str) -> _Summary | None: ...
    def copy(self) -> ReliabilityTotals: ...
    def to_bytes(self, config: bytes) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> tuple[ReliabilityTotals, bytes]: ...

# optim
class _Changes(TypedDict):
    grad_norm: NDArray[np.float64]
    param_norm: NDArray[np.float64]
    update_norm: NDArray[np.float64]
    ratio: NDArray[np.float64]
    lost: NDArray[np.float64]

class _StepOutcome(TypedDict):
    step: int
    lr: float
    grad_norm: float | None
    clip_factor: float
    nonfinite: int
    first: int | None
    element: int | None
    overflow: bool
    applied: bool
    left_out: int
    tensors: _Changes | None

class _PlanState(TypedDict):
    steps: int
    counts: list[int] | None
    options: Any
    moments: list[NDArray[Any] | None]
    calls: int
    sums: list[NDArray[Any] | None] | None

_Tell = tuple[Callable[[Any], object], list[Any]]
_Gathered = tuple[tuple[NDArray[Any], ...], list[bool], int]

@final
class OptimizerPlan:
    def __new__(
        cls,
        *,
        paths: list[str],
        given: Sequence[Any],
        params: Sequence[Any],
        moments: Sequence[Sequence[Any]],
        steps: int,
        options: object,
        names: Sequence[str] | None = None,
        counts: list[int] | None = None,
        tell: _Tell | None = None,
        copies: Sequence[Any] | None = None,
        gathered: _Gathered | None = None,
    ) -> OptimizerPlan: ...
    @property
    def steps(self) -> int: ...
    @property
    def options(self) -> Any: ...
    @options.setter
    def options(self, value: object) -> None: ...
    @property
    def last(self) -> _StepOutcome | None: ...
    @property
    def forked(self) -> bool: ...
    def step(
        self,
        grads: tuple[NDArray[Any] | None, ...] | None,
        array_of: Callable[[int], NDArray[Any]],
        *,
        step: int,
        groups: list[dict[str, Any]],
        of_row: NDArray[np.uint32] | None,
        max_norm: float | ClipPolicy | None,
        scan: bool,
        stop_nonfinite: bool,
        seed: int | None = None,
        detail: bool = False,
    ) -> _StepOutcome: ...
    @property
    def accumulated(self) -> int: ...
    def accumulate(
        self, grads: tuple[NDArray[Any] | None, ...], sums: Callable[[], tuple[NDArray[Any], ...]]
    ) -> None: ...
    def state(self, *, copy: bool) -> _PlanState: ...
    def load(
        self,
        moments: tuple[NDArray[Any] | None, ...],
        *,
        names: list[str],
        steps: int,
        counts: list[int] | None,
        options: object,
        any_value: bool,
        gathered: _Gathered | None,
    ) -> None: ...

_Position = tuple[int, int]

class _TensorOutcome(TypedDict):
    step: int
    lr: float
    grad_norm: float | None
    clip_factor: float
    nonfinite: int
    first: _Position | None
    element: int | None
    overflow: bool
    applied: bool
    left_out: int
    unready: list[_Position]
    tensors: _Changes | None

@final
class TensorPlan:
    def __new__(
        cls,
        *,
        shim: tuple[str, Sequence[tuple[object, int, int]]] | None,
        plain: Sequence[type],
        dtypes: Sequence[tuple[object, str]],
        strided: object,
    ) -> TensorPlan: ...
    @property
    def updates(self) -> int: ...
    @updates.setter
    def updates(self, value: int) -> None: ...
    @property
    def last(self) -> _TensorOutcome | None: ...
    def step(
        self,
        groups: Sequence[list[Any]],
        state: dict[Any, Any],
        *,
        hypers: Sequence[tuple[dict[str, Any], Sequence[str]]],
        name: Callable[[int, int], str],
        tell: Callable[[Any], object],
        instead: dict[int, Any] | None,
        max_norm: float | ClipPolicy | None,
        norm: float | None,
        scan: bool,
        stop_nonfinite: bool,
        grad_scale: float,
        skip: bool,
        seed: int | None = None,
        kept: str | None = None,
        copies: Sequence[list[Any]] | None = None,
        detail: bool = False,
    ) -> _TensorOutcome: ...

@final
class ClipPolicy:
    @staticmethod
    def zclip(*, z_thresh: float, alpha: float, warmup_steps: int, max_norm: float, eps: float) -> ClipPolicy: ...
    @staticmethod
    def autoclip(*, percentile: float, window: int) -> ClipPolicy: ...
    def limit(self, norm: float) -> float: ...
    def state(self) -> list[float]: ...
    def load(self, state: list[float]) -> None: ...

class _NonFinite(TypedDict):
    nonfinite: int
    first: int | None
    element: int | None

class _SumOfSquares(_NonFinite):
    sum: float
    exponent: int

class _Norms(_NonFinite):
    norm: float
    each: NDArray[np.float64]

class _ClippedNorm(_NonFinite):
    norm: float

class _Clipped(_NonFinite):
    clipped: int

class _ClippedUnits(_Clipped):
    of_params: bool

def check_eps(eps: float, float32: bool) -> None: ...
def convert_unreadable(values: tuple[Any, ...], convert: Callable[[int], NDArray[Any]]) -> tuple[NDArray[Any], ...]: ...
def sum_of_squares(arrays: tuple[NDArray[Any], ...], *, progress: _Progress = None) -> _SumOfSquares: ...
def global_norms(arrays: tuple[NDArray[Any], ...], *, norm_type: float, progress: _Progress = None) -> _Norms: ...
def clip_in_place(
    *,
    given: tuple[Any, ...],
    arrays: tuple[NDArray[Any], ...],
    name: Callable[[int], str],
    max_norm: float,
    norm_type: float,
    norm: float | None,
    stop_nonfinite: bool,
    torch: bool = False,
    tell: _Tell | None = None,
) -> _ClippedNorm: ...
def clip_each_in_place(
    *,
    given: tuple[Any, ...],
    arrays: tuple[NDArray[Any], ...],
    name: Callable[[int], str],
    max_norm: float,
    norm_type: float,
    stop_nonfinite: bool,
    tell: _Tell | None = None,
) -> _Clipped: ...
def clip_units_in_place(
    *,
    given: tuple[Any, ...],
    arrays: tuple[NDArray[Any], ...],
    params: tuple[NDArray[Any], ...],
    shapes: list[tuple[int, int, bool]],
    name: Callable[[int], str],
    clip_factor: float,
    eps: float,
    stop_nonfinite: bool,
    tell: _Tell | None = None,
) -> _ClippedUnits: ...
def clamp_in_place(
    *,
    given: tuple[Any, ...],
    arrays: tuple[NDArray[Any], ...],
    name: Callable[[int], str],
    limit: float,
    stop_nonfinite: bool,
    tell: _Tell | None = None,
) -> _Clipped: ...

class _Blocks8(TypedDict):
    codes: NDArray[np.uint8]
    scales: NDArray[np.float32]

def blocks8_signed(moment: int) -> bool: ...
def blocks8_map(signed: bool) -> NDArray[np.float32]: ...
def to_blocks8(values: NDArray[np.float32], *, signed: bool) -> _Blocks8: ...
def from_blocks8(codes: NDArray[np.uint8], scales: NDArray[np.float32], *, signed: bool) -> NDArray[np.float32]: ...
def round_at_random(
    values: NDArray[np.float32], *, half: bool, seed: int, tensor: int, step: int, array: int, first: int = 0
) -> NDArray[np.uint16]: ...
def schedule_rates(
    steps: NDArray[np.uint64], *, shape: str, peak: float, description: Mapping[str, Any]
) -> NDArray[np.float64]: ...

@final
class GlobalNormTotals:
    def __new__(cls) -> GlobalNormTotals: ...
    def add(self, sum: float, exponent: int) -> None: ...
    def add_rows(self, arrays: tuple[NDArray[Any], ...], lengths: Sequence[int]) -> bool: ...
    def norm(self) -> float: ...
    def merge(self, other: GlobalNormTotals) -> None: ...
    def copy(self) -> GlobalNormTotals: ...
    def to_bytes(self, config: bytes) -> bytes: ...
    @staticmethod
    def from_bytes(data: bytes) -> tuple[GlobalNormTotals, bytes]: ...

# preference
class _Scored(TypedDict):
    losses: NDArray[Any]
    rewards_chosen: NDArray[Any]
    rewards_rejected: NDArray[Any]
    grad_chosen: NDArray[Any] | None
    grad_rejected: NDArray[Any] | None
    saturated: int
    empty: int
    stretch: float
    largest: float
    highest: float
    steepest: float

class _Swept(TypedDict):
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    slope: NDArray[np.float64]
    saturated: NDArray[np.int64]

def preference_loss(
    columns: Sequence[NDArray[Any]],
    *,
    terms: Sequence[tuple[str, float]],
    parameters: Mapping[str, Any],
    beside: Mapping[str, Any],
    gradients: bool,
    single: bool,
    progress: _Progress = None,
) -> _Scored: ...
def preference_sweep(
    columns: Sequence[NDArray[Any]],
    *,
    terms: Sequence[tuple[str, float]],
    settings: Sequence[Mapping[str, Any]],
    beside: Mapping[str, Any],
    slopes: bool,
    progress: _Progress = None,
) -> _Swept: ...
def preference_ranks(columns: Sequence[NDArray[Any]], *, progress: _Progress = None) -> NDArray[np.int64]: ...

class _PolicyScored(TypedDict):
    gradient: NDArray[np.int64] | None
    losses: NDArray[np.float64]
    counts: NDArray[np.float64]
    loss: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    ratio: NDArray[np.float64]
    kl: NDArray[np.float64]
    reference: NDArray[np.float64]
    saturated: int

class _Compared(TypedDict):
    advantages: NDArray[np.float64]
    alone: int
    equal: int

class _AlongTokens(TypedDict):
    advantages: NDArray[np.float64]
    returns: NDArray[np.float64]

_Counted = tuple[NDArray[np.bool_] | None, NDArray[np.int64] | None]

def policy_loss(
    columns: Sequence[NDArray[Any]],
    advantage: NDArray[np.float64],
    *,
    width: int,
    options: Mapping[str, Any],
    counted: _Counted,
    gradients: bool,
    progress: _Progress = None,
) -> _PolicyScored: ...
def group_advantages(
    rewards: NDArray[np.float64],
    groups: NDArray[np.int64],
    *,
    count: int,
    leave_one_out: bool,
    scaled: bool,
    ddof: int,
    epsilon: float,
) -> _Compared: ...
def token_advantages(
    rewards: NDArray[np.float64],
    values: NDArray[np.float64],
    *,
    width: int,
    last: NDArray[np.float64] | None,
    counted: _Counted,
    gamma: float,
    lam: float,
) -> _AlongTokens: ...
def preference_steepest(loss: str, *, largest: float, parameters: Mapping[str, Any]) -> float: ...

class _Terms(TypedDict):
    losses: NDArray[np.float64]
    slopes: NDArray[np.float64]

class _SortedSide(_Terms):
    potentials: NDArray[np.float64]
    extents: NDArray[np.float64]

class _RankedLosses(TypedDict):
    losses: NDArray[np.float64]
    gradients: NDArray[np.float64]
    compared: NDArray[np.float64]
    right: NDArray[np.float64]
    saturated: int

def logistic_losses(margins: NDArray[np.float64], *, bounded: bool, progress: _Progress = None) -> _Terms: ...
def sorted_losses(
    chosen: NDArray[np.float64], rejected: NDArray[np.float64], *, beta: float, progress: _Progress = None
) -> tuple[_SortedSide, _SortedSide]: ...
def exact_mean(values: NDArray[np.float64]) -> float: ...
def ranked_losses(
    scores: NDArray[np.float64],
    labels: NDArray[np.float64],
    *,
    width: int,
    loss: str,
    beta: float,
    progress: _Progress = None,
) -> _RankedLosses: ...

# math: functions of numbers, or element by element of float64 arrays of one shape; numbers and arrays can be mixed
_Numbers = TypeVar("_Numbers", float, NDArray[np.float64])

def math_exp(x: _Numbers) -> _Numbers: ...
def math_expm1(x: _Numbers) -> _Numbers: ...
def math_log(x: _Numbers) -> _Numbers: ...
def math_log1p(x: _Numbers) -> _Numbers: ...
def math_cos(x: _Numbers) -> _Numbers: ...
def math_erfc(x: _Numbers) -> _Numbers: ...
def math_lgamma(x: _Numbers) -> _Numbers: ...
def math_bend(x: NDArray[np.float64]) -> NDArray[np.float64]: ...
def math_exp32(x: NDArray[np.float32]) -> NDArray[np.float32]: ...
def math_powi(base: float, n: int) -> float: ...
def normal_pdf(x: _Numbers) -> _Numbers: ...
def normal_cdf(x: _Numbers) -> _Numbers: ...
def normal_sf(x: _Numbers) -> _Numbers: ...
def normal_quantile(p: _Numbers) -> _Numbers: ...
def t_cdf(t: _Numbers, df: _Numbers) -> _Numbers: ...
def t_sf(t: _Numbers, df: _Numbers) -> _Numbers: ...
def t_quantile(p: _Numbers, df: _Numbers) -> _Numbers: ...
def noncentral_t_sf(t: _Numbers, df: _Numbers, delta: _Numbers) -> _Numbers: ...
def beta_cdf(a: _Numbers, b: _Numbers, x: _Numbers) -> _Numbers: ...
def beta_sf(a: _Numbers, b: _Numbers, x: _Numbers) -> _Numbers: ...
def beta_quantile(a: _Numbers, b: _Numbers, p: _Numbers) -> _Numbers: ...
def beta_isf(a: _Numbers, b: _Numbers, q: _Numbers) -> _Numbers: ...
def binomial_pmf(k: int, n: int, p: float) -> float: ...
def binomial_cdf(k: int, n: int, p: float) -> float: ...
def binomial_sf(k: int, n: int, p: float) -> float: ...

# intervals
class _MeanInterval(TypedDict):
    standard_error: float
    low: float
    high: float
    unspread: bool

class _Clustered(_MeanInterval):
    value: float
    df: float
    n_effective: float

class _Crossed(_Clustered):
    a: float
    b: float
    ruled: bool

class _Stratified(_Clustered):
    still: int
    width: float

class _Proportions(TypedDict):
    value: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

class _CountsCompared(_Proportions):
    p: NDArray[np.float64]

class _ProportionTests(TypedDict):
    p: NDArray[np.float64]
    test: str

class _Level(_MeanInterval):
    value: float
    df: float

@final
class _Refused(TypedDict, total=False):
    refused: Required[str]
    column: int
    index: int
    low: float
    high: float
    n: int

@final
class _Comparison(TypedDict):
    shares: bool
    rows: int
    low: float
    high: float
    wins: int
    losses: int
    levels: list[_Level]
    same: bool
    tango: bool
    still: int
    width: float
    p: float | None
    flip: _SignFlip | None

class _MaxTBaseline(TypedDict):
    statistics: NDArray[np.float64]
    single: NDArray[np.float64]
    step_down: NDArray[np.float64]
    patterns: int
    all: bool

class _Shuffled(TypedDict):
    p: float
    drawn: int

class _RatingsFit(TypedDict):
    ratings: NDArray[np.float64]
    log_nu: float
    steps: int
    refused: str
    groups: NDArray[np.uint32]

class _RatingsReplicates(TypedDict):
    ratings: NDArray[np.float64]
    covariance: NDArray[np.float64]
    missing: int

class _MaxT(TypedDict):
    statistics: NDArray[np.float64]
    p: NDArray[np.float64]
    patterns: int
    all: bool

@final
class _Side(TypedDict):
    rows: int
    mean: float
    unspread: bool
    same: bool
    alone: bool

@final
class _Unpaired(TypedDict):
    shares: bool
    binary: bool
    new: _Side
    base: _Side
    levels: list[_Level]
    test: str
    p: float

class _SignFlip(TypedDict):
    p: float
    nonzero: int
    error: float

def column_moments(x: NDArray[Any], *, progress: _Progress = None) -> _Moments | _NotFinite: ...
def mean_interval(
    *,
    mean: float,
    squares: float,
    n: int,
    confidence_level: float,
    alternative: str,
    low: float,
    high: float,
    step: float,
    rows: float,
    range: str = "unknown",
) -> _MeanInterval: ...
def proportion_intervals(
    *, k: NDArray[np.int64], n: NDArray[np.int64], method: str, confidence_level: float, alternative: str
) -> _Proportions: ...
def multinomial_intervals(
    *, counts: NDArray[np.int64], categories: int, method: str, confidence_level: float, alternative: str
) -> _Proportions: ...
def proportion_tests(
    *, k: NDArray[np.int64], n: NDArray[np.int64], p0: NDArray[np.float64], method: str, alternative: str
) -> _ProportionTests: ...
def unpaired_counts(
    *,
    k: NDArray[np.int64],
    n: NDArray[np.int64],
    base_k: NDArray[np.int64],
    base_n: NDArray[np.int64],
    method: str,
    test: str,
    confidence_level: float,
    alternative: str,
) -> _CountsCompared: ...
def proportion_power(
    *,
    n: NDArray[np.int64],
    p: NDArray[np.float64],
    above: NDArray[np.float64],
    method: str,
    confidence_level: float,
    alternative: str,
) -> NDArray[np.float64]: ...
def paired_power(
    *,
    n: NDArray[np.int64],
    wins: NDArray[np.float64],
    losses: NDArray[np.float64],
    margin: NDArray[np.float64],
    method: str,
    test: str | None,
    confidence_level: float,
    alternative: str,
) -> NDArray[np.float64]: ...
def unpaired_power(
    *,
    n: NDArray[np.int64],
    m: NDArray[np.int64],
    p: NDArray[np.float64],
    q: NDArray[np.float64],
    margin: NDArray[np.float64],
    method: str,
    test: str | None,
    confidence_level: float,
    alternative: str,
) -> NDArray[np.float64]: ...
def paired_counts(
    *,
    k: NDArray[np.int64],
    base_k: NDArray[np.int64],
    both: NDArray[np.int64],
    n: NDArray[np.int64],
    method: str,
    test: str,
    confidence_level: float,
    alternative: str,
) -> _CountsCompared: ...
def cluster_sums(
    x: NDArray[Any],
    codes: NDArray[np.int64],
    *,
    clusters: int,
    shift: float = 0.0,
    weights: NDArray[np.float64] | None = None,
    progress: _Progress = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
def effective_weights(weights: NDArray[np.float64]) -> float: ...
def clustered_interval(
    *,
    sums: NDArray[np.float64],
    sizes: NDArray[np.float64],
    confidence_level: float,
    alternative: str,
    shift: float = 0.0,
    score: str = "t",
    low: float = 0.0,
    high: float = 0.0,
    step: float = 0.0,
    rows: float = 0.0,
    range: str = "unknown",
    weighted: bool = False,
) -> _Clustered: ...
def few_clusters_interval(
    *,
    sums: NDArray[np.float64],
    sizes: NDArray[np.float64],
    method: str,
    confidence_level: float,
    alternative: str,
    shift: float = 0.0,
    low: float = 0.0,
    high: float = 0.0,
    step: float = 0.0,
    rows: float = 0.0,
    range: str = "unknown",
    weighted: bool = False,
    progress: _Progress = None,
) -> dict[str, Any]: ...
def crossed_interval(
    *,
    sums: NDArray[np.float64],
    sizes: NDArray[np.float64],
    a: NDArray[np.int64],
    count_a: int,
    b: NDArray[np.int64],
    count_b: int,
    confidence_level: float,
    alternative: str,
    shift: float = 0.0,
    score: str = "t",
    low: float = 0.0,
    high: float = 0.0,
    step: float = 0.0,
    rows: float = 0.0,
    range: str = "unknown",
    weighted: bool = False,
    progress: _Progress = None,
) -> _Crossed: ...
def stratified_interval(
    *,
    sums: NDArray[np.float64],
    sizes: NDArray[np.float64],
    strata: NDArray[np.int64],
    count: int,
    average: str,
    confidence_level: float,
    alternative: str,
    shift: float = 0.0,
    score: str = "t",
    low: float = 0.0,
    high: float = 0.0,
    step: float = 0.0,
    rows: float = 0.0,
    range: str = "unknown",
    weighted: bool = False,
    progress: _Progress = None,
) -> _Stratified: ...
def paired_comparison(
    *,
    new: NDArray[Any],
    base: NDArray[Any],
    booleans: tuple[bool, bool],
    codes: NDArray[np.int64] | None = None,
    clusters: int = 0,
    stratum_codes: NDArray[np.int64] | None = None,
    strata: int = 0,
    average: str = "micro",
    method: str = "tango",
    test: str = "mid-p",
    confidence_levels: Sequence[float],
    alternative: str,
    progress: _Progress = None,
) -> _Comparison | _Refused: ...
def unpaired_comparison(
    *,
    new: NDArray[Any],
    base: NDArray[Any],
    booleans: tuple[bool, bool],
    codes: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
    clusters: tuple[int, int] | None = None,
    method: str = "newcombe",
    test: str = "mid-p",
    scores_test: str = "t",
    confidence_levels: Sequence[float],
    alternative: str,
    progress: _Progress = None,
) -> _Unpaired | _Refused: ...
def sign_flip(
    x: NDArray[np.float64],
    *,
    alternative: str,
    resolution: NDArray[np.float64] | None = None,
    progress: _Progress = None,
) -> _SignFlip: ...
def max_t(x: NDArray[np.float64], *, models: int, tie: float, seed: int, progress: _Progress = None) -> _MaxT: ...
def max_t_baseline(
    x: NDArray[np.float64], *, columns: int, tie: float, alternative: str, seed: int, progress: _Progress = None
) -> _MaxTBaseline: ...
def max_t_draws(
    values: NDArray[np.float64],
    covariance: NDArray[np.float64],
    *,
    replicates: NDArray[np.float64] | None = None,
    count: int = 0,
    df: int | None = None,
    progress: _Progress = None,
) -> _MaxT: ...
def ratings_fit(table: NDArray[np.float64], *, models: int, davidson: bool, prior: float) -> _RatingsFit: ...
def ratings_covariance(
    table: NDArray[np.float64],
    ratings: NDArray[np.float64],
    *,
    log_nu: float,
    models: int,
    davidson: bool,
    prior: float,
    squares: NDArray[np.float64] | None = None,
    places: NDArray[np.int64] | None = None,
    codes: NDArray[np.int64] | None = None,
    clusters: int = 0,
    weights: NDArray[np.float64] | None = None,
    progress: _Progress = None,
) -> NDArray[np.float64]: ...
def ratings_replicates(
    table: NDArray[np.float64],
    ratings: NDArray[np.float64],
    *,
    log_nu: float,
    models: int,
    davidson: bool,
    prior: float,
    places: NDArray[np.int64] | None = None,
    codes: NDArray[np.int64] | None = None,
    clusters: int = 0,
    weights: NDArray[np.float64] | None = None,
    n_resamples: int,
    seed: int,
    progress: _Progress = None,
) -> _RatingsReplicates: ...
def independence(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    test: str,
    alternative: str,
    seed: int,
    progress: _Progress = None,
) -> _Shuffled: ...
def adjusted(p: NDArray[np.float64], *, method: str) -> NDArray[np.float64]: ...
def pass_at(right: NDArray[np.uint64], tried: NDArray[np.uint64], *, k: int) -> NDArray[np.float64]: ...
def majority_at(
    right: NDArray[np.uint64],
    tried: NDArray[np.uint64],
    *,
    wrong: NDArray[np.uint64],
    ends: NDArray[np.uint64],
    k: int,
) -> NDArray[np.float64]: ...

# resampling
def resampled_counts(
    n: int,
    *,
    seed: int,
    first: int,
    count: int,
    stratum: int = 0,
    stratum_codes: NDArray[np.int64] | None = None,
    strata: int = 0,
    blocks: str | None = None,
    block_length: float = 1.0,
    outermost: int = 0,
    parents: Sequence[NDArray[np.int64]] | None = None,
    crossed: Sequence[NDArray[np.int64]] | None = None,
    kinds: Sequence[int] = ...,
    sampling: str | None = None,
    sampling_parameters: Sequence[float] = ...,
    total: int = ...,
) -> NDArray[np.float64]: ...
def resampled_rows(
    n: int,
    *,
    seed: int,
    first: int,
    count: int,
    stratum: int = 0,
    blocks: str | None = None,
    block_length: float = 1.0,
) -> NDArray[np.int64]: ...
def smoothing_noise(n: int, *, seed: int, first: int, count: int) -> NDArray[np.float64]: ...
def bandwidth(x: NDArray[Any], *, progress: _Progress = None) -> dict[str, Any]: ...
def left_out_parts(n: int, *, stratum_codes: NDArray[np.int64] | None = None, strata: int = 0) -> NDArray[np.int64]: ...
def replicates_interval(
    replicates: NDArray[np.float64],
    *,
    value: float,
    left_out: NDArray[np.float64],
    units: int,
    stratum_codes: NDArray[np.int64] | None = None,
    strata: int = 0,
    rounding: float,
    method: str,
    confidence_level: float,
    alternative: str,
    before: tuple[float, float] | None = None,
) -> dict[str, Any]: ...
def resampling_counts(n: int, seed: int, replicate: int, stratum: int = 0) -> NDArray[np.uint32]: ...
def ratio_interval(
    columns: Sequence[NDArray[Any]],
    *,
    codes: NDArray[np.int64] | None = None,
    clusters: int = 0,
    weights: NDArray[np.float64] | None = None,
    confidence_level: float,
    alternative: str,
    progress: _Progress = None,
) -> dict[str, Any]: ...
def ideal_bootstrap(
    columns: Sequence[NDArray[Any]],
    statistic: str,
    *,
    q: float | None = None,
    codes: NDArray[np.int64] | None = None,
    clusters: int = 0,
    weights: NDArray[np.float64] | None = None,
    stratum_codes: NDArray[np.int64] | None = None,
    strata: int = 0,
    average: str = "micro",
    method: str,
    confidence_level: float,
    alternative: str,
    at: NDArray[np.float64] | None = None,
    progress: _Progress = None,
) -> dict[str, Any]: ...
def statistic_interval(
    columns: Sequence[NDArray[Any]],
    statistic: str,
    *,
    codes: NDArray[np.int64] | None = None,
    clusters: int = 0,
    weights: NDArray[np.float64] | None = None,
    stratum_codes: NDArray[np.int64] | None = None,
    strata: int = 0,
    average: str = "micro",
    confidence_level: float,
    alternative: str,
    progress: _Progress = None,
) -> dict[str, Any]: ...
def abc_interval(
    columns: Sequence[NDArray[Any]],
    statistic: str,
    *,
    codes: NDArray[np.int64] | None = None,
    clusters: int = 0,
    weights: NDArray[np.float64] | None = None,
    stratum_codes: NDArray[np.int64] | None = None,
    strata: int = 0,
    average: str = "micro",
    confidence_level: float,
    alternative: str,
    progress: _Progress = None,
) -> dict[str, Any]: ...
def quantile_interval(
    columns: Sequence[NDArray[Any]],
    q: float,
    *,
    codes: NDArray[np.int64] | None = None,
    clusters: int = 0,
    confidence_level: float,
    alternative: str,
    progress: _Progress = None,
) -> dict[str, Any]: ...
def auc_interval(
    columns: Sequence[NDArray[Any]],
    *,
    codes: NDArray[np.int64] | None = None,
    clusters: int = 0,
    confidence_level: float,
    alternative: str,
    progress: _Progress = None,
) -> dict[str, Any]: ...
def bootstrap_each(
    columns: Sequence[NDArray[Any]],
    statistic: str,
    *,
    codes: NDArray[np.int64] | None = None,
    clusters: int = 0,
    method: str,
    n_resamples: int,
    seed: int,
    confidence_level: float,
    alternative: str,
    progress: _Progress = None,
) -> list[dict[str, Any]]: ...
def block_length(
    columns: Sequence[NDArray[Any]], statistic: str, *, kind: str, progress: _Progress = None
) -> dict[str, Any]: ...
def bootstrap(
    columns: Sequence[NDArray[Any]],
    statistic: str,
    *,
    parameters: Sequence[float] = ...,
    codes: NDArray[np.int64] | None = None,
    clusters: int = 0,
    weights: NDArray[np.float64] | None = None,
    stratum_codes: NDArray[np.int64] | None = None,
    strata: int = 0,
    average: str = "micro",
    blocks: str | None = None,
    block_length: float = 1.0,
    outermost: int = 0,
    parents: Sequence[NDArray[np.int64]] | None = None,
    crossed: Sequence[NDArray[np.int64]] | None = None,
    kinds: Sequence[int] = ...,
    sampling: str | None = None,
    sampling_parameters: Sequence[float] = ...,
    method: str,
    n_resamples: int,
    seed: int,
    known: NDArray[np.float64] | None = None,
    confidence_level: float,
    alternative: str,
    progress: _Progress = None,
) -> dict[str, Any]: ...
