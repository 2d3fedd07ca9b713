"""Every kind of trader: columns, compiled decisions, Mesa views.

``create`` makes a population from a kind and its parameters, ``kinds`` lists what there is, ``register`` adds one.
"""

from __future__ import annotations

from agents.registry import MarketInfo, create, kinds, parameters, problems, register

__all__ = ["MarketInfo", "create", "kinds", "parameters", "problems", "register"]
