"""Language-model scoring: negative log-likelihoods of tokens from logits, and perplexity with its interval."""

from .perplexity import PerplexityState, perplexity
from .scores import TokenScores, token_scores

__all__ = ["PerplexityState", "TokenScores", "perplexity", "token_scores"]
