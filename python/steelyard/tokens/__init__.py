"""Language-model scoring: negative log-likelihoods of tokens from logits, perplexity with its interval, and windows."""

from .hidden import token_scores_from_hidden
from .perplexity import PerplexityState, perplexity
from .plan import Window, Windows, windows
from .scores import TokenScores, token_scores

__all__ = [
    "PerplexityState",
    "TokenScores",
    "Window",
    "Windows",
    "perplexity",
    "token_scores",
    "token_scores_from_hidden",
    "windows",
]
