"""Readers of public trade, quote and bar files.

`load` reads a file of any known format into a `Series`; `bars` and `to_tape` turn a series into steps; `taker_signs`
says who took. The formats and their sources are in ``docs/data-files.md``.
"""

from experiments.data.convert import bars, to_tape
from experiments.data.formats import FORMATS, detect, load
from experiments.data.series import Series
from experiments.data.signs import lee_ready, taker_orders, taker_signs, tick_rule

__all__ = [
    "FORMATS", "Series", "bars", "detect", "lee_ready", "load", "taker_orders", "taker_signs", "tick_rule", "to_tape",
]  # fmt: skip
