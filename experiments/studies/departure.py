"""How far the flat-book law holds on a real book: predicted amplification of a fall against the measured one.

The market of ``perpetual-shock`` runs for three days; then dealers are given options they have sold, or leveraged
longs their positions, or both. The map of that moment (:mod:`sim.maps`) gives the gain ``g`` over the fall that the
sale would make by itself. A sale follows, and its fall in a fork with hedging and liquidations is divided by that in a
fork without either. Four numbers are set beside each other, each giving up one assumption of the law:

- ``law``: ``1 / (1 - g)``: depth and densities constant over the fall;
- ``map``: the sale, and all it sets off, against the depth as it rests: no constants;
- ``still``: the exchange itself, marks at the last price, while nobody but dealers and liquidations trades;
- ``still, mid``: the same with the mark that the venue uses;
- ``market``: the whole market goes on trading.

Run with ``python -m experiments.studies.departure --seeds 5020:5030``.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments import build
from experiments.scenario import Scenario, parse, tables
from experiments.seeds import parse_seeds
from experiments.store import plain
from experiments.terminal import columns
from sim.config import ScriptedEvent
from sim.maps import PriceMap, price_map
from sim.market import Market

SCENARIO = "perpetual-shock"
SEEDED, SOLD = 4319, 4320
"""Steps after which positions are given and the sale comes."""
WINDOW = 60
"""Steps over which the lowest bid is looked for."""
RUNGS = ("law", "map", "still", "still, mid", "market")


@dataclass(frozen=True)
class Design:
    """What answers the sale.

    Attributes:
        gamma: ``gamma_per_depth`` of the dealers, below zero.
        longs: open interest over the bid lots within 5 %.
    """

    gamma: float = 0.0
    longs: float = 0.0

    @property
    def label(self) -> str:
        """As tables show it."""
        parts = [f"gamma {self.gamma:g}"] if self.gamma else []
        return " + ".join([*parts, f"longs {self.longs:g}"] if self.longs else parts)


DESIGNS = (
    Design(-0.2), Design(-0.4), Design(-0.8), Design(0.0, 0.5), Design(0.0, 1.0), Design(0.0, 2.0),
    Design(-0.2, 0.5), Design(-0.4, 1.0),
)  # fmt: skip


def scenario(design: Design) -> Scenario:
    """The market of a design: options on the mark, a dealer who hedges each minute, longs, no sale yet."""
    raw = tables(SCENARIO)
    # in the base the sale stands after the end of what is measured; forks bring their own
    raw["events"] = [
        {"kind": "metaorder", "name": "sale", "at_step": SOLD + WINDOW, "side": "sell", "lots": 1, "steps": 1}
    ]
    raw["measure"] = {}
    raw["market"]["steps"] = SOLD + WINDOW + 1
    raw["chains"] = [
        {
            "name": "OPT", "underlying": "perp", "expiry_days": [6], "strikes": 31, "spacing": 0.01,
            "priced_on": "mark", "tick_size": 0.1, "tick_value": 10, "volatility": 0.6,
        }
    ]  # fmt: skip
    raw["populations"].append(
        {
            "kind": "option_makers", "name": "dealers", "count": 1, "quotes": False, "hedge": "time",
            "hedge_period": 1, "child_lots": 200_000, "capital_lots": 1e6,
        }
    )  # fmt: skip
    if design.gamma:
        raw["events"].append(
            {
                "kind": "seed_options", "name": "options", "at_step": SEEDED, "population": "dealers",
                "gamma_per_depth": design.gamma, "strikes": [0.8, 1.2],
            }
        )  # fmt: skip
    if design.longs:
        raw["events"].append(
            {
                "kind": "seed_open_interest", "name": "positions", "at_step": SEEDED, "population": "leveraged",
                "per_bid_depth": design.longs, "long_share": 1.0, "leverage_low": 10.0, "leverage_high": 30.0,
                "entry_spread": 0.02,
            }
        )  # fmt: skip
    return parse(raw, name=f"departure {design.label}", file=SCENARIO)


def fall(market: Market, lots: int) -> float:
    """Sell at once and give the distance from the mark to the lowest best bid of the window, ticks; closes the market.

    The bid is read between steps: within a step others trade after the sale, so that the last trade tells little.

    Without lots nothing is sold, and what remains is how far the price falls by itself.
    """
    start = int(market.state.quotes["mark"][0]) / 16
    sale = ScriptedEvent("sale", "metaorder", market.tick, side=-1, lots=lots, steps=1)
    twin = market.fork(events=[sale] if lots else [])
    lowest = start
    for _ in range(WINDOW - 1):
        twin.advance(1)
        bid = int(twin.state.quotes["bid"][0])
        if bid > 0:
            lowest = min(lowest, float(bid))
    twin.close()
    market.close()
    return start - lowest


def arm(base: Market, *, answered: bool, still: bool, mark: str | None) -> Market:
    """A fork in which dealers and liquidations answer or not, others trade or not, under a mark."""
    clearing = replace(base.clearing, mark=mark) if mark is not None else None
    twin = base.fork(liquidations=answered, clearing=clearing)
    if not answered:
        dealers: Any = twin.populations[twin.population_number("dealers")]
        dealers.change(twin, hedge_fraction=0.0)
    if still:
        twin.silence([population.name for population in twin.populations if population.name != "dealers"])
    return twin


def measure(design: Design, seed: int, share: float) -> dict[str, Any]:
    """One seed of one design: the gain of the map and the amplification on every rung.

    Args:
        design: what answers the sale.
        seed: of the run.
        share: sale over the bid lots within 5 %.
    """
    base = build.market(scenario(design), seed)
    base.run_until(SOLD)
    found: PriceMap = price_map(base, 0, None, 0.3, 2, 0.0)
    near = found.within(0.05)
    lots = round(share * float(found.depth[near].sum()) * found.step)
    alone, whole = found.reach(-lots, feedback=()), found.reach(-lots)
    row: dict[str, Any] = {"design": design.label, "seed": seed, "lots": lots}
    gain = found.mean_gain((alone or 0.0) / found.mark)
    row |= {f"g {name}": value for name, value in gain.items()}
    row |= {"fall alone": alone, "law": 1 / (1 - gain["all"]) if gain["all"] < 1 else None}
    row["map"] = whole / alone if alone and whole is not None else None
    for rung, still, mark in (("still", True, "last"), ("still, mid", True, None), ("market", False, None)):
        with_, without = (fall(arm(base, answered=on, still=still, mark=mark), lots) for on in (True, False))
        row[rung] = with_ / without if without > 0 else None
        row[f"{rung}, alone"] = without
    for name, answered in (("answered", True), ("alone", False)):
        row[f"no sale, {name}"] = fall(arm(base, answered=answered, still=False, mark=None), 0)
    base.close()
    return row


def table(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Medians and quartiles over seeds by design; a prediction without end counts as infinite."""
    shown = [["design", "seeds", "g", *RUNGS]]
    for label in dict.fromkeys(row["design"] for row in rows):
        own = [row for row in rows if row["design"] == label]
        cells = [label, str(len(own)), f"{np.median([row['g all'] for row in own]):.2f}"]
        for rung in RUNGS:
            values = sorted(math.inf if row[rung] is None else row[rung] for row in own)
            low, middle, high = (values[round(q * (len(values) - 1))] for q in (0.25, 0.5, 0.75))
            cells.append(f"{_told(middle)} ({_told(low)} to {_told(high)})")
        shown.append(cells)
    return shown


def _told(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "runs away"


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options, measure, print the table and keep the rows."""
    parser = argparse.ArgumentParser(prog="python -m experiments.studies.departure", description=__doc__)
    parser.add_argument("--seeds", default="5020:5030")
    parser.add_argument("--sale", type=float, default=0.2, help="sale over the bid lots within 5 %%")
    parser.add_argument("--out", default=None, help="file for the rows, JSON")
    given = parser.parse_args(arguments)
    rows = [measure(design, seed, given.sale) for design in DESIGNS for seed in parse_seeds(given.seeds)]
    for line in columns(table(rows)):
        print(line)
    if given.out is not None:
        Path(given.out).write_text(json.dumps(plain(rows), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
