"""Schedules: pure functions of the number of updates already made, for the learning rate, the decay and the betas.

With ``s`` updates made (s = 0 for the first update), ``w = warmup_steps``, ``N = total_steps`` and ``peak = lr``::

    s < w:  peak (s + 1) / w            (with start given: start + (peak - start) s / w), or along another curve
    else:   t = s - w + offset, u = min(t / (N - w), 1)
            constant: peak
            linear:   peak + (end - peak) u
            cosine:   end + (peak - end) (1 + cos(pi u)) / 2
            and so on: each function says its formula

After its last step a schedule keeps its last rate. The rate of the first update is 0 only with ``start=0``, the
convention of the library transformers. ``convention="transformers"``, ``"torch"``, ``"optax"``, ``"timm"`` or
``"deepspeed"`` gives that library's numbers, its peculiarities among them; :meth:`Schedule.lint` names those.
"""

from .cosines import cosine, cosine_restarts, cosine_wave
from .endless import cyclic, exponential, inverse_sqrt, multi_step, step
from .falls import constant, linear, polynomial, rex, tanh, wsd
from .joined import Chain, Product, chain, product
from .plateau import Plateau
from .rates import Rates
from .schedule import Schedule
from .through import one_cycle, piecewise

__all__ = [
    "Chain", "Plateau", "Product", "Rates", "Schedule", "chain", "constant", "cosine", "cosine_restarts", "cosine_wave",
    "cyclic", "exponential", "inverse_sqrt", "linear", "multi_step", "one_cycle", "piecewise", "polynomial", "product",
    "rex", "step", "tanh", "wsd",
]  # fmt: skip
