"""Each kernel in a few lines of NumPy: what it means, and the oracle it is tested against.

Nothing here is fast, and everything here may be read. Element-wise kernels equal their reference bit for
bit; reductions differ from it by no more than the bound in their docstring.
"""

from . import bootstrap, calibration, fma, intervals, optim, preference, random, tokens

__all__ = ["bootstrap", "calibration", "fma", "intervals", "optim", "preference", "random", "tokens"]
