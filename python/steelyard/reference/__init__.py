"""A readable NumPy implementation of each kernel: its definition, and what its tests compare it with.

The code is written to be read, not to be fast. Element-wise kernels give the same bits as their reference; reductions
differ from it by at most the bound stated in the docstring.
"""

from . import bootstrap, calibration, fma, intervals, optim, preference, random, tokens

__all__ = ["bootstrap", "calibration", "fma", "intervals", "optim", "preference", "random", "tokens"]
