"""The flat-book law with stops: do they amplify a fall by 1 / (1 - g), as liquidations do?

    python -m experiments.studies.flat_stops --gain 0.2,0.5,0.8,1.2

Bids of constant depth rest at every tick below the start price and are not refilled. Longs of one lot each hold stops
at even distances below it, ``g x depth`` to a tick. A sale sweeps ``sale`` ticks; stops go off, sell, set off the next.
Nothing is a model: real stop-loss traders enter through the book, and the last price triggers them.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import agents
import margin
from experiments.studies.flat_book import ProviderParams, Providers
from sim.config import ClearingConfig, MarketConfig, RecordConfig, ScriptedEvent
from sim.contracts import Contract
from sim.errors import ConfigError, MarginLabError
from sim.kernels.state import M_FILLS_TOTAL
from sim.liquidation import policy
from sim.market import Market
from sim.world import ConstantWorld, build_world

GAINS = (0.2, 0.5, 0.8, 1.2)
_AT = 60  # step of the sale: everybody has entered by then
_STEPS = 3000
_ROOM, _RUNAWAY = 1.3, 5  # length of the cluster over the fall foretold; over the sale from a gain of one on
_QUIET = 5  # steps without a trade that end a run
_MOST_LOTS = 200_000


def measure(gain: float, *, depth: int = 10, sale: int = 100, trigger: str = "last") -> dict[str, Any]:
    """Run one book.

    Args:
        gain: lots of stops per tick over bid lots per tick, g.
        depth: bid lots per tick.
        sale: exogenous sale, in ticks' worth of lots.
        trigger: ``"last"`` or ``"mark"``, the mark being the last price.

    Returns:
        Plain data: ``gain``, ``fall`` (ticks), ``measured`` (the fall over the sale's), ``predicted``,
        ``relative_error``, ``stops`` (how many there are), ``off`` (how many went off), ``steps`` it took.

    Raises:
        ConfigError: a number out of range.
    """
    for key, value, low, high in (("gain", gain, 0.01, 10), ("depth", depth, 1, 10_000), ("sale", sale, 1, 10_000)):
        if not low <= value <= high:
            raise ConfigError.of(f"--{key}", value, f"a number from {low:g} to {high:g}")
    cluster = math.ceil(_ROOM * sale / (1 - gain)) if gain < 1 else _RUNAWAY * sale
    count = round(gain * depth * cluster)
    if not 1 <= count <= _MOST_LOTS:
        raise ConfigError.of(
            "--gain", gain, f"a gain, depth and sale with 1 to {_MOST_LOTS} lots of stops, not {count}"
        )
    end = sale + math.ceil(gain * cluster)
    market, stops = _market(count, depth, sale, end + 50, trigger)
    state = market.state
    rows = slice(stops.first, stops.first + count)
    market.run_until(2)
    while not (state.positions["lots"][rows, 0] == 1).all() and market.tick < _AT - 1:
        market.advance(1)
    start = market.contracts[0].initial_price
    stops.column(state, "stop")[:] = start - 1 - np.floor((np.arange(count) + 0.5) * cluster / count).astype(np.int64)
    market.run_until(_AT)
    quiet = 0
    while quiet < _QUIET and market.tick < _STEPS:
        before = int(state.meta[M_FILLS_TOTAL])
        market.advance(1)
        quiet = quiet + 1 if int(state.meta[M_FILLS_TOTAL]) == before else 0
    fall = start - int(state.quotes["last"][0])
    predicted = 1 / (1 - gain) if gain < 1 else (sale + gain * cluster) / sale
    found = {
        "gain": gain,
        "fall": fall,
        "measured": fall / sale,
        "predicted": predicted,
        "relative_error": fall / sale / predicted - 1,
        "stops": count,
        "off": int((state.positions["lots"][rows, 0] == 0).sum()),
        "steps": market.tick - _AT - quiet,
    }
    market.close()
    return found


def _market(count: int, depth: int, sale: int, ticks: int, trigger: str) -> tuple[Market, Any]:
    """The market before its first step, and its stop-loss traders."""
    info = agents.MarketInfo(("flat",), 60.0, 1440)
    start = 20 * ticks
    contract = Contract("flat", initial_price=start, max_price=2 * start, max_lots=2**40, price_band=0.99)
    provider = Providers(
        "provider", ProviderParams(price=start, asks=count, depth=depth, ticks=ticks, wall=False), info
    )
    stated: dict[str, Any] = {
        "count": count, "pause": 0.01, "hold": 1e9, "size_mean": 1, "long_share": 1.0, "trigger": trigger,
    }  # fmt: skip
    stops = agents.create("stop_loss_traders", "stops", stated, info)
    event = ScriptedEvent("sale", "metaorder", _AT, side=-1, lots=depth * sale, steps=1)
    populations: list[Any] = [provider, stops]
    market = Market(
        MarketConfig(steps=_STEPS), [contract], build_world(ConstantWorld(), [contract], _STEPS, 60.0, 1440, 0, ()),
        margin.create("static", {"initial": 0.05, "maintenance": 0.04}), populations, (event,),
        ClearingConfig(mark="last", policy=policy("full")), RecordConfig(), views=False,
    )  # fmt: skip
    return market, stops


def lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """The result as a Markdown table."""
    shown = ["| g | predicted | measured | error | stops | went off | steps |", "|---|---|---|---|---|---|---|"]
    for one in found:
        shown.append(
            f"| {one['gain']:g} | {one['predicted']:.4g} | {one['measured']:.4g} | {one['relative_error']:+.2%} | "
            f"{one['stops']} | {one['off']} | {one['steps']} |"
        )
    return shown


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit status."""
    from experiments.cli.options import numbers

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gain", default=",".join(f"{gain:g}" for gain in GAINS), help="gains by commas")
    parser.add_argument("--depth", type=int, default=10, help="bid lots per tick")
    parser.add_argument("--sale", type=int, default=100, help="exogenous fall, ticks")
    parser.add_argument("--trigger", choices=("last", "mark"), default="last", help="price that triggers stops")
    parser.add_argument("--json", action="store_true", help="the whole result on standard output")
    given = parser.parse_args(arguments)
    try:
        gains = numbers("--gain", given.gain)
        found = [measure(gain, depth=given.depth, sale=given.sale, trigger=given.trigger) for gain in gains]
    except MarginLabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found, indent=1) if given.json else "\n".join(lines(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
