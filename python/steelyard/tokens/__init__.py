"""Language-model scoring: negative log-likelihoods of tokens from logits, perplexity with its interval, and windows."""

from ._llama_cpp import KLFigures
from .kl_base import KLBase
from .perplexity import PerplexityState, perplexity
from .plan import Window, Windows, windows
from .scores import TokenScores, token_scores

__all__ = [
    "KLBase", "KLFigures", "PerplexityState", "TokenScores", "Window", "Windows", "perplexity", "token_scores",
    "windows",
]  # fmt: skip
