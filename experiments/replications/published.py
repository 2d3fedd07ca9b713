"""What was published about 10 and 11 October 2025, and how near a measurement comes to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.statistics import mean_interval

FACTOR = 2.0
"""A measure agrees while it lies within this factor of what was published."""
AMBERDATA = "blog.amberdata.io/how-3.21b-vanished-in-60-seconds-october-2025-crypto-crash-explained-through-7-charts"
HYPERLIQUID = "github.com/ConejoCapital/HyperMultiAssetedADL"
THE_BLOCK = "The Block, Data and Insights newsletter (excerpt at bitget.ng/news/detail/12560605024886)"


@dataclass(frozen=True)
class Published:
    """One published number.

    Attributes:
        key: name of the measure.
        label: what it is, for tables.
        value: the number.
        unit: ``"share"``, ``"s"`` or ``"x"``.
        derived: how it follows from what the source states.
        source: where it was published.
    """

    key: str
    label: str
    value: float
    unit: str
    derived: str
    source: str


PUBLISHED: tuple[Published, ...] = (
    Published(
        "worst_40_minutes", "liquidated volume in the worst 40 minutes", 6.93 / 9.89, "share",
        "$6.93bn from 20:50 to 21:30 UTC of $9.89bn from 13:00 to 03:00", AMBERDATA,
    ),
    Published(
        "peak_minute", "liquidated volume in the peak minute", 3.21 / 9.89, "share",
        "$3.21bn at 21:15 UTC of the same $9.89bn", AMBERDATA,
    ),
    Published(
        "long_share", "longs in the liquidated volume", 8.30 / 9.89, "share",
        "$8.30bn of longs and $1.60bn of shorts", AMBERDATA,
    ),
    Published(
        "open_interest_fall", "fall of open interest", 7.4 / 13.8, "share",
        "Hyperliquid, in dollars: more than $7.4bn of $13.8bn", THE_BLOCK,
    ),
    Published(
        "adl_delay", "first liquidation to first auto-deleveraging", 61.7, "s",
        "Hyperliquid, of an extract that begins at 21:15:00 UTC", HYPERLIQUID,
    ),
    Published(
        "adl_leverage", "median leverage of those deleveraged", 0.20, "x",
        "Hyperliquid, over 34,983 fills, account values rebuilt from cash and fills", HYPERLIQUID,
    ),
)  # fmt: skip


def odds(share: float) -> float:
    """A share as odds, share / (1 - share).

    Examples:
        >>> odds(0.75)
        3.0
    """
    return share / (1.0 - share) if share < 1.0 else float("inf")


def within(measured: float | None, published: float, factor: float = FACTOR) -> bool:
    """True when a measured number lies within a factor of a published one, ends included; None agrees with nothing."""
    return measured is not None and published / factor <= measured <= published * factor


def judge(fact: Published, values: Sequence[float | None]) -> dict[str, Any]:
    """A measure over seeds beside what was published.

    A share cannot exceed one, so a factor of two leaves no upper bound on a share above a half; odds do, and are judged
    as well. A measure that more than half of the seeds do not have agrees with nothing.

    Args:
        fact: what was published.
        values: one value per seed, None where a seed has none.

    Returns:
        ``published``, ``mean, low, high, n`` (of the seeds that have a value), ``missing``, ``median``, ``ratio``
        (mean over published), ``agrees``, and ``odds_ratio``, ``odds_agree`` for shares.
    """
    known = sorted(value for value in values if value is not None)
    found = mean_interval(known)
    mean, enough = found["mean"], 2 * len(known) > len(values)
    middle = None
    if known:
        half = len(known) // 2
        middle = known[half] if len(known) % 2 else (known[half - 1] + known[half]) / 2
    judged: dict[str, Any] = {
        "published": fact.value,
        **{name: found[name] for name in ("mean", "low", "high", "n")},
        "missing": len(values) - len(known),
        "median": middle,
        "lowest": known[0] if known else None,
        "highest": known[-1] if known else None,
        "ratio": None if mean is None else mean / fact.value,
        "agrees": enough and within(mean, fact.value),
    }
    if fact.unit == "share":
        ratio = None if mean is None else odds(mean) / odds(fact.value)
        judged["odds_ratio"] = ratio
        judged["odds_agree"] = enough and within(ratio, 1.0)
    return judged


def rows(judged: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """The table for a terminal or a page: published, mean with interval, range over seeds, ratio, verdict."""
    table = [
        ["", "published", "mean", "95 % interval", "seeds from, to", "ratio", "odds ratio", "within a factor of 2"]
    ]
    for fact in PUBLISHED:
        row = judged[fact.key]
        verdict = "yes" if row["agrees"] else "no"
        if row["agrees"] and row.get("odds_agree") is False:
            verdict = "yes (odds: no)"
        elif not row["agrees"] and row.get("odds_agree"):
            verdict = "no (odds: yes)"
        if row["missing"]:
            verdict += f", {row['missing']} seeds have none"
        table.append(
            [
                fact.label,
                show(fact.value, fact.unit),
                show(row["mean"], fact.unit),
                f"{show(row['low'], fact.unit)} to {show(row['high'], fact.unit)}",
                f"{show(row['lowest'], fact.unit)} to {show(row['highest'], fact.unit)}",
                "-" if row["ratio"] is None else f"{row['ratio']:.2f}",
                "" if "odds_ratio" not in row else "-" if row["odds_ratio"] is None else f"{row['odds_ratio']:.2f}",
                verdict,
            ]
        )
    return table


def show(value: float | None, unit: str) -> str:
    """A value with its unit.

    Examples:
        >>> show(0.7007, "share"), show(61.7, "s"), show(0.2, "x"), show(None, "s")
        ('70.1 %', '61.7 s', '0.20 x', '-')
    """
    if value is None:
        return "-"
    return f"{100 * value:.1f} %" if unit == "share" else f"{value:.1f} s" if unit == "s" else f"{value:.2f} x"
