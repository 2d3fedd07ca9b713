"""Requirements one account at a time, in Python integers of any size: slow, and obvious."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

RATE_ONE = 1 << 32


def margin(lots: int, mark: int, tick_value: int, rate: int) -> int:
    return ceil(Fraction(abs(lots) * mark * tick_value // 16 * rate, RATE_ONE))


def cross(rows: list[dict[str, int]], initial: bool) -> int:
    total = 0
    for row in rows:
        price = (row["mark"], row["tick_value"])
        if not initial:
            total += margin(row["lots"], *price, row["rate_maintenance"])
            continue
        rate = row["rate_initial"]
        all_buys = margin(row["lots"] + row["open_buy"], *price, rate) + row["loss_buy"]
        all_sells = margin(row["lots"] - row["open_sell"], *price, rate) + row["loss_sell"]
        total += max(all_buys, all_sells)
    return total


def isolated(rows: list[dict[str, int]], initial: bool) -> int:
    total = 0
    for row in rows:
        price = (row["mark"], row["tick_value"])
        if not initial:
            total += margin(row["lots"], *price, row["rate_maintenance"])
            continue
        sides = []
        for side, ordered, loss in ((1, row["open_buy"], row["loss_buy"]), (-1, row["open_sell"], row["loss_sell"])):
            closes = min(ordered, max(-side * row["lots"], 0))
            opens = ordered - closes
            own = ceil(Fraction(loss * opens, ordered)) if opens else 0
            sides.append(margin(opens, *price, row["rate_initial"]) + own if opens else 0)
        total += max(sides)
    return total


def scenarios(rows: list[dict[str, int]], profits: list[list[int]], weights: list[int], factor: int | None) -> int:
    """Factor None: maintenance, positions only."""
    worst = 0
    for s, weight in enumerate(weights):
        loss = 0
        for c, row in enumerate(rows):
            profit = profits[c][s]
            loss += ceil(Fraction(-row["lots"] * profit, 1024))
            if factor is not None:
                loss += row["loss_buy"] + row["loss_sell"]
                loss += ceil(Fraction(row["open_buy"] * max(0, -profit), 1024))
                loss += ceil(Fraction(row["open_sell"] * max(0, profit), 1024))
        worst = max(worst, ceil(Fraction(max(loss, 0) * weight, RATE_ONE)))
    return worst if factor is None else ceil(Fraction(worst * factor, RATE_ONE))
