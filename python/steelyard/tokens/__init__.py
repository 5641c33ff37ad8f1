"""Language-model scoring: NLL of tokens from logits, perplexity with its interval, windows, sketches of models."""

from .._safetensors import tensors
from ._llama_cpp import KLFigures
from .gradients import TokenGradients
from .hidden import token_scores_from_hidden
from .kl_base import KLBase
from .logits import token_scores
from .perplexity import PerplexityState, perplexity
from .plan import Window, Windows, windows
from .scores import TokenScores
from .shard import TokenShard
from .sketch import Sketch, sketch
from .token_state import TokenState

__all__ = [
    "KLBase", "KLFigures", "PerplexityState", "Sketch", "TokenGradients", "TokenScores", "TokenShard", "TokenState",
    "Window", "Windows", "perplexity", "sketch", "tensors", "token_scores", "token_scores_from_hidden", "windows",
]  # fmt: skip
