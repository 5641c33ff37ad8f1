"""Tokens: score a model's logits, and say how surprised it was."""

from .perplexity import PerplexityState, perplexity
from .scores import TokenScores, token_scores

__all__ = ["PerplexityState", "TokenScores", "perplexity", "token_scores"]
