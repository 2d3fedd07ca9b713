"""Mark rules: what they are, and their parameters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sim.errors import Problem

COLLATERAL_PRICES = ("mark", "index")
HISTORY = 4096  # steps of past prices that a market keeps, more where a population reads further back


@dataclass(frozen=True, slots=True)
class Marking:
    """Parameters of the mark rules, and the price at which collateral in other currencies counts.

    Attributes:
        basis_window_seconds: window of the plain moving average of the basis in ``index_median``; 0: an exponential
            average with the half-life of ``ema``.
        premium_seconds: time constant of the average of mid less oracle in ``hyperliquid``.
        trade_seconds: time constant of the average of median(bid, ask, last) there.
        index_seconds: time constant of the average of mid less index in ``deribit``.
        index_limit: furthest distance of the mark from the index grown by ``index_premium`` in ``deribit``, fraction of
            the index.
        index_premium: premium around which that distance is measured, fraction of the index.
        collateral: ``"mark"`` or ``"index"`` of the spot contract between a currency and the account currency.
    """

    basis_window_seconds: float = 0.0
    premium_seconds: float = 150.0
    trade_seconds: float = 30.0
    index_seconds: float = 30.0
    index_limit: float = 0.1
    index_premium: float = 0.0
    collateral: str = "mark"


@dataclass(frozen=True, slots=True)
class MarkRule:
    """A mark rule in words.

    Attributes:
        price: what the mark is.
        feedback: what a forced sale does to the next mark.
        source: where the rule is published.
    """

    price: str
    feedback: str
    source: str


RULES = {
    "last": MarkRule("last trade", "closed: every fill is a mark", ""),
    "mid": MarkRule("middle of best bid and ask", "closed: what a sale takes from the book is marked", ""),
    "ema": MarkRule("exponential average of the mid", "damped by the half-life", ""),
    "twap": MarkRule("time-weighted mean of the mid over a window", "damped by the window", ""),
    "index": MarkRule(
        "index of the oracle", "cut, unless the oracle looks at a market that is sold", "dYdX v4, oracle price"
    ),
    "index_median": MarkRule(
        "median of the index grown by the last funding rate, the index plus the average basis, and the last trade",
        "cut at the average basis: one of three inputs may go anywhere",
        "Binance, Mark Price in USD-margined Futures",
    ),
    "hyperliquid": MarkRule(
        "median of the oracle plus the average premium, the median of bid, ask and last, and perpetuals elsewhere",
        "with perpetuals elsewhere cut; without them damped by two averages",
        "Hyperliquid, Robust price indices",
    ),
    "deribit": MarkRule(
        "index plus the average of market less index, within limits around the index",
        "damped by 30 s, cut at the limit",
        "Deribit, Linear Futures",
    ),
}


def problems(clearing: Any, dt_seconds: float, history: int = HISTORY) -> list[Problem]:
    """What no market can do: windows longer than the past that is kept, limits below zero.

    Args:
        clearing: a :class:`sim.config.ClearingConfig`, or the section of a scenario with the same names.
        dt_seconds: simulated seconds per step.
        history: steps of past prices that are kept.
    """
    rule, most, found = clearing.marking, history - 1, []
    for key, seconds, name in (
        ("mark_window_seconds", clearing.mark_window_seconds, "twap"),
        ("marking.basis_window_seconds", rule.basis_window_seconds, "index_median"),
    ):
        if clearing.mark == name and seconds > most * dt_seconds:
            allowed = f"at most {most * dt_seconds:g}, {most} steps of {dt_seconds:g} seconds"
            found.append(Problem("", f"clearing.{key}", seconds, allowed))
    if clearing.mark == "deribit" and rule.index_limit >= 1.0 + rule.index_premium:
        allowed = f"less than {1 + rule.index_premium:g}, so that the lowest mark is above zero"
        found.append(Problem("", "clearing.marking.index_limit", rule.index_limit, allowed))
    return found


def history_steps(populations: Iterable[Any]) -> int:
    """Steps of past prices that a market keeps: a power of two that covers what its populations read."""
    most = max((int(getattr(population, "history", 0)) for population in populations), default=0)
    return max(HISTORY, 1 << most.bit_length())
