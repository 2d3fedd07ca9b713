"""Margin regimes: what every account must hold.

A regime publishes risk parameters once per step (rates, or a scenario grid) and answers what a portfolio requires under
them; see :class:`sim.interfaces.MarginModel`. Built-in regimes are presets, compositions of rates, netting and
overlays: ``margin.regimes()`` lists them. A user's own rule subclasses :class:`margin.Rule` and is registered by name::

    @margin.register("mine")
    class Mine(margin.Rule):
        def requirement(self, portfolio, risk): ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from margin.registry import Plugin, Preset, create, load_plugin, params_model, presets, regimes, register

if TYPE_CHECKING:
    from margin.model import Rule
    from margin.netting import charge
    from margin.parameters import Parameters
    from sim.interfaces import Requirement

__all__ = [
    "Parameters",
    "Plugin",
    "Preset",
    "Requirement",
    "Rule",
    "charge",
    "create",
    "load_plugin",
    "params_model",
    "presets",
    "regimes",
    "register",
]

_LAZY = {
    "Rule": "margin.model",
    "charge": "margin.netting",
    "Parameters": "margin.parameters",
    "Requirement": "sim.interfaces",
}


def __getattr__(name: str) -> Any:
    """Import what needs the compiler on first use, so that ``import margin`` stays fast."""
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'margin' has no attribute {name!r}")
