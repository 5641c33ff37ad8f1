"""Tokens: score a model's logits, and say how surprised it was."""

from .scores import TokenScores, token_scores

__all__ = ["TokenScores", "token_scores"]
