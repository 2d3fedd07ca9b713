"""What each measure is called, in which unit it is shown, and what it means.

Measures are kept in plain units (fractions, lots, minor units of money); this module is the one place that knows how a
person reads them. Statistics take the families of tests from here, figures and reports the labels and units.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["fraction", "bp", "lots", "money", "count", "number"]
"""How a measure is scaled and which unit it gets on a page."""

MINUS = "\u2212"
"""The typographic minus sign: a hyphen is lost beside a digit."""

FAMILIES: dict[str, str] = {
    "price": "Prices",
    "liquidation": "Calls and liquidations",
    "cascade": "Cascades (where causes are recorded)",
    "loss": "Losses",
    "cost": "Cost of margin and leverage",
    "quality": "Market quality",
    "event": "State at the event",
    "other": "Other",
}
"""Families of measures in the order of a report; p-values are corrected within a family."""


@dataclass(frozen=True)
class Measure:
    """One outcome of a run.

    Attributes:
        name: Key in the tables of results.
        label: Name in the field's words, lower case.
        kind: How it is scaled and which unit it has.
        family: Key of :data:`FAMILIES`.
        definition: One or two sentences a reader can recompute the measure from.
        more: Comparative for a larger value.
        less: Comparative for a smaller value.
    """

    name: str
    label: str
    kind: Kind
    family: str
    definition: str
    more: str = "higher"
    less: str = "lower"

    @property
    def worse(self) -> str:
        """Which tail is the bad one: ``upper``, or ``lower`` for what one would rather have more of."""
        return "lower" if self.name in _WORSE_WHEN_SMALL else "upper"


_WORSE_WHEN_SMALL = ("coverage", "fund_change", "depth_bid_event", "tracking_correlation")

_CATALOGUE = (
    Measure(
        "drawdown", "drawdown", "fraction", "price",
        "Largest fall of the mark price from an earlier high within the measuring window, as a share of that high. "
        "Mean over contracts.",
        "deeper", "shallower",
    ),
    Measure(
        "drawdown_excess", "drawdown in excess of value", "fraction", "price",
        "Drawdown of the mark price less the drawdown of the exogenous value path over the same window: the part that "
        "the market itself adds.",
        "deeper", "shallower",
    ),
    Measure(
        "volatility", "annualised volatility", "fraction", "price",
        "Standard deviation of log returns of the mark price, scaled to one year; daily returns in windows of twenty "
        "days or more, ten-minute returns in shorter ones. Mean over contracts.",
    ),
    Measure(
        "volatility_excess", "volatility in excess of value", "fraction", "price",
        "Annualised volatility of the mark price less that of the exogenous value path.",
    ),
    Measure(
        "liquidated_share", "liquidated share of open interest", "fraction", "liquidation",
        "Lots of forced orders filled, taken over or bid for, divided by open interest at the event (peak open "
        "interest when the whole run is compared).",
        "larger", "smaller",
    ),
    Measure(
        "liquidated_leveraged_share", "liquidated share of leveraged lots", "fraction", "liquidation",
        "Lots of forced orders filled, taken over or bid for, divided by the lots, long and short, that accounts with "
        "positions worth more than their equity held at the event.",
        "larger", "smaller",
    ),
    Measure(
        "liquidated_lots", "liquidated lots", "lots", "liquidation",
        "Lots of forced orders filled, taken over by the fund or bid for by liquidators.",
        "more", "fewer",
    ),
    Measure(
        "margin_calls", "margin calls", "count", "liquidation",
        "Number of times an account fell under its maintenance requirement and was called.",
        "more", "fewer",
    ),
    Measure(
        "liquidations", "liquidations", "count", "liquidation",
        "Number of accounts (positions, where margin is isolated) that were liquidated.",
        "more", "fewer",
    ),
    Measure(
        "calls_met", "calls met", "count", "liquidation",
        "Number of margin calls that the account met in time with cash from outside.",
        "more", "fewer",
    ),
    Measure(
        "call_amount", "amount called", "money", "liquidation",
        "Sum of the shortfalls of all margin calls.", "larger", "smaller",
    ),
    Measure(
        "branching_ratio", "branching ratio", "number", "cascade",
        "Share of liquidations that the forced fills of other liquidations brought about: the mean of their weight "
        "among the causes of each.",
    ),
    Measure(
        "branching_ratio_notional", "branching ratio by value", "number", "cascade",
        "The same, each liquidation weighted by the value of what was liquidated.",
    ),
    Measure("cascades", "cascades", "count", "cascade",
            "Number of liquidations that no other one set off: roots of the tree of causes.", "more", "fewer"),
    Measure("cascade_largest", "largest cascade", "count", "cascade",
            "Liquidations in the largest tree of one root.", "larger", "smaller"),
    Measure("cascade_depth", "depth of cascades", "count", "cascade",
            "Longest chain of liquidations, each set off by the one before it.", "deeper", "shallower"),
    Measure("cascade_seconds", "longest cascade, seconds", "number", "cascade",
            "Longest time between a root and the last liquidation of its tree, simulated seconds.",
            "longer", "shorter"),
    Measure("due_to_price", "liquidations due to the price, others' forced fills apart", "fraction", "cascade",
            "Mean weight of everything else that moved marks: traders' orders and quotes, scripted flow, an "
            "adversary, the index, the mark rule.", "larger", "smaller"),
    Measure("due_to_liquidators", "liquidations due to liquidators' own trading", "fraction", "cascade",
            "Mean weight of trades by which liquidators, the fund or a vault sold what they had taken over.",
            "larger", "smaller"),
    Measure("due_to_margin", "liquidations due to margin rises", "fraction", "cascade",
            "Mean weight of risen maintenance rates.", "larger", "smaller"),
    Measure("due_to_funding", "liquidations due to funding", "fraction", "cascade",
            "Mean weight of funding paid.", "larger", "smaller"),
    Measure("due_to_own", "liquidations due to their own trades", "fraction", "cascade",
            "Mean weight of what the account did or paid itself: trades, fees, withdrawals, shares of losses.",
            "larger", "smaller"),
    Measure(
        "bad_debt", "bad debt", "money", "loss",
        "Gross negative equity of liquidated accounts, before the fund or anyone else covers it.",
        "larger", "smaller",
    ),
    Measure(
        "bad_debt_bp", "bad debt", "bp", "loss",
        "Gross negative equity of liquidated accounts, in basis points of the value of open interest at the event.",
        "larger", "smaller",
    ),
    Measure("fund_paid", "paid by the insurance fund", "money", "loss",
            "Losses covered by the insurance fund.", "more", "less"),
    Measure("socialised", "socialised loss", "money", "loss",
            "Losses shared among the accounts that gained, after the fund was empty.", "larger", "smaller"),
    Measure("fund_change", "change of the insurance fund", "money", "loss",
            "Equity of the insurance fund at the end less at the start; liquidation fees and surpluses raise it."),
    Measure("mean_initial_rate", "mean initial margin rate", "fraction", "cost",
            "Initial margin rate in force, averaged over time and contracts."),
    Measure("mean_initial_margin", "mean initial requirement", "money", "cost",
            "Sum of all accounts' initial requirements, averaged over time."),
    Measure("margin_per_value", "requirement per value held", "fraction", "cost",
            "Maintenance requirements of all accounts over the value of their positions, both summed over time: what "
            "is left after netting. Open orders, whose reserves differ between rules, do not count."),
    Measure("coverage", "coverage of the margin period of risk", "fraction", "cost",
            "Share of starting times, contracts and sides whose loss over the margin period of risk is at most the "
            "initial rate in force at its start. The period is a day in windows of ten days or more, else an hour."),
    Measure("mean_open_interest", "mean open interest", "lots", "cost",
            "Open interest summed over contracts, averaged over time.", "larger", "smaller"),
    Measure("peak_open_interest", "peak open interest", "lots", "cost",
            "Largest open interest over the run, summed over contracts."),
    Measure("mean_leverage", "mean leverage", "number", "cost",
            "Value of all positions, long and short, over the equity of all traders, averaged over time."),
    Measure("tracking_correlation", "correlation with value", "number", "quality",
            "Correlation of daily log returns of the simulated price with those of the exogenous value path."),
    Measure("spread_bp", "bid-ask spread", "bp", "quality",
            "Best ask less best bid over the mid price, averaged over time.", "wider", "narrower"),
    Measure("volume", "volume", "lots", "quality", "Lots traded.", "larger", "smaller"),
    Measure("refusals", "refused orders", "count", "quality",
            "Orders refused at admission, for want of margin or any other reason.", "more", "fewer"),
    Measure("r0_event", "R0 at the event", "number", "event",
            "Long lots of accounts that fall under maintenance when all marks fall by 5 %, divided by the bid lots "
            "resting within 5 % below the mark; the largest over contracts. Cascades need R0 near or above one."),
    Measure("open_interest_event", "open interest at the event", "lots", "event",
            "Open interest at the step before the event, summed over contracts."),
    Measure("depth_bid_event", "bid depth at the event", "lots", "event",
            "Bid lots resting within 5 % below the mid price at the step before the event.", "deeper", "thinner"),
    Measure("drawdown_mid", "drawdown of the mid", "fraction", "price",
            "Largest fall of the mid from an earlier high between fork and end of the window, as a share of that high: "
            "mark rules are compared on it. Mean over contracts.", "deeper", "shallower"),
    Measure("drawdown_mark", "drawdown of the mark", "fraction", "price",
            "The same of the mark by the arm's own rule, from its first reading.", "deeper", "shallower"),
    Measure("recovery_minutes", "time to half recovery, minutes", "number", "price",
            "From the low of the mid in the window until half of its fall is regained; a fall not halved within the "
            "recovery horizon counts as the whole horizon (restricted mean).", "longer", "shorter"),
    Measure("recovery_censored", "falls not halved in time", "fraction", "price",
            "Share of seeds whose fall is not halved within the recovery horizon.", "more", "fewer"),
    Measure("cost_to_liquidated", "cost to the liquidated", "fraction", "liquidation",
            "What liquidated accounts have when their liquidation begins, positions at the mid of that clearing, less "
            "what they keep when it ends, at the same mid, over the value of what was forced: slippage, fees and what "
            "else the policy takes.", "higher", "lower"),
    Measure("fund_lots", "lots taken over by the fund", "lots", "liquidation",
            "Lots that the insurance fund took over.", "more", "fewer"),
    Measure("backstop_lots", "lots taken over by the vault", "lots", "liquidation",
            "Lots that the backstop vault took over.", "more", "fewer"),
    Measure("liquidator_lots", "lots taken over by liquidators", "lots", "liquidation",
            "Lots that liquidators' standing bids took over.", "more", "fewer"),
    Measure("adl_lots", "auto-deleveraged lots", "lots", "liquidation",
            "Lots closed against accounts that gain, by auto-deleveraging.", "more", "fewer"),
    Measure("uncovered", "uncovered loss", "money", "loss",
            "Losses that nobody could bear: what the fund owes.", "larger", "smaller"),
    Measure("debt_left", "debt left at the end", "money", "loss",
            "Negative worth of traders at the end, positions at the mid: shortfalls that no liquidation has realised.",
            "larger", "smaller"),
    Measure("unresolved", "unfinished liquidations", "count", "liquidation",
            "Accounts still in liquidation at the end.", "more", "fewer"),
    Measure("mark_jump", "jump of the mark at the fork", "fraction", "event",
            "Distance of the arm's mark from that of the scenario's own rule at the first reading after the fork, "
            "when the book is still the same; mean over contracts."),
    Measure("first_reading_share", "liquidated at the first reading", "fraction", "liquidation",
            "Lots liquidated in the first step after the fork, as a share of open interest at the fork.",
            "larger", "smaller"),
    Measure("before_event_share", "liquidated before the event", "fraction", "liquidation",
            "Lots liquidated between fork and event, as a share of open interest at the fork.", "larger", "smaller"),
    Measure("realised_volatility", "realised volatility", "fraction", "price",
            "Root of the sum of squared ten-minute log returns of the mid, per square root of 24 hours."),
    Measure("run_up", "run-up", "fraction", "price",
            "Largest rise of the mid from an earlier low in the window, as a share of that low.", "larger", "smaller"),
    Measure("momentum", "half-hour momentum", "number", "price",
            "Lag-one autocorrelation of half-hour log returns of the mid: positive where moves go on, negative where "
            "they reverse."),
    Measure("move", "move over the window", "fraction", "price",
            "Last mid of the window over the first, less one."),
    Measure("strike_distance", "settlement from the strike", "fraction", "price",
            "Distance of the final settlement price from the strike that was nearest when options were seeded, as a "
            "share of that strike.", "farther", "nearer"),
)  # fmt: skip

MEASURES: dict[str, Measure] = {measure.name: measure for measure in _CATALOGUE}
"""The built-in measures by name."""

HEADLINE = (
    "drawdown_excess",
    "drawdown",
    "volatility_excess",
    "volatility",
    "liquidated_share",
    "margin_calls",
    "bad_debt",
    "mean_initial_rate",
)
"""Measures that summaries and the forest plot show first."""


def describe(name: str) -> Measure:
    """Return the description of a measure; unknown names get a plain one derived from the name.

    Examples:
        >>> describe("drawdown").more
        'deeper'
        >>> describe("my_gap_bp").kind
        'bp'
    """
    known = MEASURES.get(name)
    if known is not None:
        return known
    kind: Kind = "number"
    if name.endswith("_bp"):
        kind = "bp"
    elif name.endswith(("_share", "_rate")):
        kind = "fraction"
    elif name.endswith("_lots"):
        kind = "lots"
    label = name.removesuffix("_bp").replace("_", " ").replace(".", ", ").replace(":", ", ")
    return Measure(name, label, kind, "other", "A measure of this scenario or plug-in; see where it is defined.")


def order(names: Iterable[str]) -> list[str]:
    """Sort measures by family, then as in the catalogue, unknown names last and alphabetically."""
    families = list(FAMILIES)
    position = {name: i for i, name in enumerate(MEASURES)}
    return sorted(names, key=lambda n: (families.index(describe(n).family), position.get(n, len(position)), n))


@dataclass(frozen=True)
class Money:
    """How amounts are shown: a currency and how many minor units one unit of it has."""

    currency: str = "minor units"
    minor_per_unit: float = 1.0

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Money:
        """Read the optional entry ``money = {"currency": ..., "minor_per_unit": ...}`` of a result."""
        entry = result.get("money") or {}
        return cls(str(entry.get("currency", cls.currency)), float(entry.get("minor_per_unit", cls.minor_per_unit)))


@dataclass(frozen=True)
class Scale:
    """Factor from plain to shown units, the unit of a level and the unit of a difference."""

    factor: float = 1.0
    unit: str = ""
    difference_unit: str = ""


def scale_of(kind: Kind, values: Iterable[float | None] = (), money: Money | None = None) -> Scale:
    """Choose the shown unit for values of a kind, so that large amounts are read in thousands or millions.

    Args:
        kind: Kind of the measure.
        values: What will be shown with this scale, in plain units.
        money: How amounts of money are shown.
    """
    if kind == "fraction":
        return Scale(100.0, "%", "pp")
    if kind == "bp":
        return Scale(1.0, "bp", "bp")
    if kind == "number":
        return Scale()
    money = money or Money()
    base = 1.0 / money.minor_per_unit if kind == "money" else 1.0
    unit = {"money": money.currency, "lots": "lots", "count": ""}[kind]
    largest = max((abs(v) * base for v in values if v is not None and math.isfinite(v)), default=0.0)
    for size, word in ((1e9, "billion"), (1e6, "million"), (1e5, "thousand")):
        if largest >= size:
            divisor = 1e3 if word == "thousand" else size
            named = f"{word} {unit}".strip()
            return Scale(base / divisor, named, named)
    return Scale(base, unit, unit)


def decimals(values: Iterable[float | None], width: float | None = None) -> int:
    """Decimals that show two significant digits of an interval's width (three of the value where there is none)."""
    finite = [abs(v) for v in values if v is not None and math.isfinite(v)]
    digits = 2
    if width is None or not math.isfinite(width) or width <= 0.0:
        width, digits = max(finite, default=0.0), 3
    if width <= 0.0:
        return 0
    return min(max(digits - 1 - math.floor(math.log10(width)), 0), 6)


def number(value: float | None, places: int = 2, *, signed: bool = False) -> str:
    """Write a number with thousands separators, a true minus sign and no negative zero.

    Examples:
        >>> number(1234.5, 1)
        '1,234.5'
        >>> number(0.25, 2, signed=True)
        '+0.25'
    """
    if value is None or not math.isfinite(value):
        return "n/a"
    text = f"{abs(value):,.{places}f}"
    if not any(c in "123456789" for c in text):
        return text
    if value < 0:
        return MINUS + text
    return f"+{text}" if signed else text


def with_unit(text: str, unit: str) -> str:
    """Put a unit after a number with a no-break space, and nothing where there is no unit."""
    return f"{text}\u00a0{unit}" if unit else text


@dataclass(frozen=True)
class Shown:
    """An estimate as it is written: value, ends of its interval (empty when there is none), unit, seeds."""

    value: str
    low: str
    high: str
    unit: str
    n: int

    @property
    def interval(self) -> str:
        """The interval in brackets, or an empty string."""
        return f"[{self.low}, {self.high}]" if self.low else ""

    @property
    def text(self) -> str:
        """Value, unit and interval in one line."""
        return f"{with_unit(self.value, self.unit)} {self.interval}".strip()


def places_of(estimate: Mapping[str, Any], scale: Scale) -> int:
    """Decimals for an estimate ``{mean, low, high}`` in shown units."""
    value, low, high = _scaled(estimate, scale)
    width = None if low is None or high is None else high - low
    return decimals((value, low, high), width)


def _scaled(estimate: Mapping[str, Any], scale: Scale) -> tuple[float | None, float | None, float | None]:
    found = [estimate.get(key) for key in ("mean", "low", "high")]
    value, low, high = (None if v is None or not math.isfinite(v) else float(v) * scale.factor for v in found)
    return value, low, high


def show(estimate: Mapping[str, Any], scale: Scale, *, difference: bool = False, places: int | None = None) -> Shown:
    """Write an estimate ``{mean, low, high, n}`` in shown units, all three numbers to the same decimals.

    Args:
        estimate: What :mod:`experiments.statistics` gives; ends of the interval may be None.
        scale: Shown unit.
        difference: Write signs, and the unit of a difference.
        places: Decimals; chosen from the width of the interval if None.
    """
    value, low, high = _scaled(estimate, scale)
    places = places_of(estimate, scale) if places is None else places
    bounded = low is not None and high is not None
    return Shown(
        number(value, places, signed=difference),
        number(low, places, signed=difference) if bounded else "",
        number(high, places, signed=difference) if bounded else "",
        scale.difference_unit if difference else scale.unit,
        int(estimate.get("n") or 0),
    )
