"""Language-model scoring: negative log-likelihoods of tokens from logits, perplexity with its interval, and windows."""

from .._safetensors import tensors
from ._llama_cpp import KLFigures
from .hidden import token_scores_from_hidden
from .kl_base import KLBase
from .perplexity import PerplexityState, perplexity
from .plan import Window, Windows, windows
from .scores import TokenScores, token_scores
from .token_state import TokenState

__all__ = [
    "KLBase", "KLFigures", "PerplexityState", "TokenScores", "TokenState", "Window", "Windows", "perplexity", "tensors",
    "token_scores", "token_scores_from_hidden", "windows",
]  # fmt: skip
