"""Mark rules: what they are, and their parameters."""

from __future__ import annotations

from dataclasses import dataclass

COLLATERAL_PRICES = ("mark", "index")


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
