"""What a price would set off: hedging, liquidations and stops by price, the depth that meets them, and the gain.

All of it is read from one moment of a market. Prices of the underlying, of what is traded on it and of its options are
moved together, options are revalued, and the market's own test says who would be short of maintenance margin; nothing
is traded and nothing of the market changes.

The gain ``g(p) = (short gamma(p) + liquidation density(p)) / depth(p)`` is the number of lots that hedging and
liquidations add per lot that the book holds at a price. On a book of constant depth without refilling a fall of D is
amplified by ``1 / (1 - g)``; where g reaches one the feedback sells more than the book takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim.deltas import hedge_lots, live_options
from sim.errors import ConfigError
from sim.kernels import clearing, marks
from sim.kernels import state as s
from sim.kernels.depth import depth_within

if TYPE_CHECKING:
    import pandas as pd

    from sim.contracts import Contract
    from sim.market import Market

Floats = NDArray[np.float64]
MOST_LEVELS = 2_000  # prices on either side
_LEVELS = 40


@dataclass(frozen=True)
class PriceMap:
    """What prices around the mark would set off, on either side of it.

    Rows are bands of ``step`` ticks, from the mark outwards: row i below the mark is ``(mark - (i + 1) step, mark - i
    step]``, above it the mirror image. Densities are lots per tick of the band.

    Attributes:
        contract: its number.
        name: its name.
        at_step: completed steps.
        mark: whole ticks.
        tick_size: price units per tick.
        step: ticks in a band.
        side: int64[rows], -1 below the mark, 1 above it.
        price: outer edge of the band, ticks, int64[rows].
        dealer_delta: delta of the hedgers' options at the outer edge, lots of the contract; positive: long.
        dealer_gamma: change of that delta per tick of price; positive: long gamma, whose hedge buys into a fall.
        liquidated: lots of positions that come short of maintenance in the band and are sold (below the mark) or bought
            (above it), net of those the other way.
        stops: lots of stop orders that the band sets off.
        depth: lots resting in the book: bids below the mark, asks above it.
        due_long: lots of longs that are short of maintenance at the mark already.
        due_short: lots of shorts that are.
        smooth: width of price, as a share of the mark, over which gains are averaged: a spread or a single empty price
            is no hole in the book.
    """

    contract: int
    name: str
    at_step: int
    mark: int
    tick_size: float
    step: int
    side: NDArray[np.int64]
    price: NDArray[np.int64]
    dealer_delta: Floats
    dealer_gamma: Floats
    liquidated: Floats
    stops: Floats
    depth: Floats
    due_long: int
    due_short: int
    smooth: float = 0.01

    @property
    def feedback(self) -> Floats:
        """Lots per tick that hedging, liquidations and stops trade with the move: sales below the mark, buys above."""
        return -self.dealer_gamma + self.liquidated + self.stops

    @property
    def gain(self) -> Floats:
        """The gain g(p): feedback over depth, both over ``smooth``; inf where something is set off and no lot rests."""
        return self._over_depth(self.feedback)

    def _over_depth(self, lots: Floats) -> Floats:
        """Lots over depth, both summed over the bands within half of ``smooth``, on one side of the mark."""
        found = np.empty(len(lots))
        window = np.ones(2 * round(self.smooth * self.mark / (2 * self.step)) + 1)
        for side in (-1, 1):
            rows = np.flatnonzero(self.side == side)
            if not len(rows):
                continue
            sums = [_moving_sum(one[rows], window) for one in (lots, self.depth)]
            found[rows] = _ratio(sums[0], sums[1])
        return found

    def parts(self) -> dict[str, Floats]:
        """The gain of each mechanism alone: ``gamma``, ``liquidations``, ``stops``."""
        return {
            "gamma": self._over_depth(0.0 - self.dealer_gamma),
            "liquidations": self._over_depth(self.liquidated),
            "stops": self._over_depth(self.stops),
        }

    def mean_gain(self, fall: float = 0.05) -> dict[str, float]:
        """Gain over a whole move: lots that hedging, liquidations and stops trade over the lots that rest on the way.

        Args:
            fall: size of the move as a share of the mark; negative for a rise.

        Returns:
            ``gamma``, ``liquidations``, ``stops`` and ``all``; NaN where no lot rests.
        """
        chosen = self.within(fall)
        rests = float(self.depth[chosen].sum())
        found = {
            "gamma": float((0.0 - self.dealer_gamma[chosen]).sum()),
            "liquidations": float(self.liquidated[chosen].sum()),
            "stops": float(self.stops[chosen].sum()),
        }
        found["all"] = sum(found.values())
        return {name: value / rests if rests > 0 else float("nan") for name, value in found.items()}

    def within(self, fall: float) -> NDArray[np.bool_]:
        """Bands that a fall (negative: a rise) by a share of the mark covers, bool[rows]."""
        side = -1 if fall > 0 else 1
        return (self.side == side) & (abs(self.price - self.mark) <= abs(fall) * self.mark + 1e-9)

    @property
    def runaway(self) -> list[tuple[float, float]]:
        """Regions of price, (low, high) in price units, in which the gain is at least one."""
        found: list[tuple[float, float]] = []
        for side in (-1, 1):
            rows = np.flatnonzero(self.side == side)
            over = self.gain[rows] >= 1.0
            edges = np.flatnonzero(np.diff(np.r_[False, over, False].astype(np.int8)))
            for first, past in zip(edges[::2], edges[1::2], strict=True):
                near = self.price[rows[first]] - side * self.step
                ends = sorted((near * self.tick_size, self.price[rows[past - 1]] * self.tick_size))
                found.append((float(ends[0]), float(ends[1])))
        return sorted(found)

    def reach(self, lots: float, *, feedback: Sequence[str] = ("gamma", "liquidations", "stops")) -> float | None:
        """Move in ticks at which this book would stop an order, if nothing were put back while it is worked.

        The least distance x at which the depth within x meets the order and all that the move to x sets off: the law of
        the flat book without its constants.

        Args:
            lots: signed; negative sells.
            feedback: mechanisms that answer the move; none gives the order's own impact on the resting book.

        Returns:
            Ticks from the mark; None where the move leaves the map.
        """
        rows = np.flatnonzero(self.side == (-1 if lots < 0 else 1))
        parts = {"gamma": -self.dealer_gamma, "liquidations": self.liquidated, "stops": self.stops}
        net = self.depth[rows] - sum((parts[name][rows] for name in feedback), np.zeros(len(rows)))
        total = np.cumsum(net) * self.step
        past = np.flatnonzero(total >= abs(lots))
        if not len(past):
            return None
        first = int(past[0])
        before = float(total[first - 1]) if first else 0.0
        return self.step * (first + (abs(lots) - before) / (float(total[first]) - before))

    def frame(self) -> pd.DataFrame:
        """One row per band, by price: price units and ticks, change from the mark, what it sets off, depth and gain."""
        import pandas as pd

        parts = self.parts()
        order = np.argsort(self.price)
        table = pd.DataFrame(
            {
                "contract": self.name,
                "side": np.where(self.side < 0, "below", "above"),
                "ticks": self.price,
                "price": self.price * self.tick_size,
                "change": self.price / self.mark - 1.0,
                "dealer_delta": self.dealer_delta,
                "dealer_gamma": self.dealer_gamma,
                "liquidated": self.liquidated,
                "stops": self.stops,
                "depth": self.depth,
                "gain_gamma": parts["gamma"],
                "gain_liquidations": parts["liquidations"],
                "gain_stops": parts["stops"],
                "gain": self.gain,
            }
        )
        return table.iloc[order].reset_index(drop=True)


def price_map(
    market: Market,
    contract: int = 0,
    populations: Sequence[str] | None = None,
    width: float = 0.1,
    step: int | None = None,
    smooth: float = 0.01,
) -> PriceMap:
    """Map what prices around the mark would set off.

    Args:
        market: the market, between two steps; it is not changed.
        contract: number of a perpetual or future.
        populations: names of the populations whose option delta is hedged in ``contract``; None takes those that say so
            (:func:`hedgers`), each with the share of its delta that it hedges. Named ones count in full.
        width: how far from the mark the map goes, share of it.
        step: ticks in a band; a fortieth of the width if None.
        smooth: width of price over which gains are averaged, share of the mark; 0 for single bands.

    Raises:
        ConfigError: no perpetual or future, no such population, or a width, step or smooth out of range.
    """
    terms = _terms(market, contract)
    state = market.state
    mark = max(int(state.quotes["mark"][contract]) >> 4, 1)
    reach = width * mark if 0.0 < width < 1.0 else 0.0
    if reach < 1.0:
        raise ConfigError.of("width", width, f"a share of the price from one tick (1/{mark}) to below 1")
    band = step if step is not None else max(round(reach / _LEVELS), 1)
    if band < 1 or not 1 <= reach / band <= MOST_LEVELS:
        raise ConfigError.of("step", step, f"whole ticks, from {max(-(-int(reach) // MOST_LEVELS), 1)} to {int(reach)}")
    if not 0.0 <= smooth <= width:
        raise ConfigError.of("smooth", smooth, f"a share of the price from 0 to the width, {width:g}")
    levels = int(reach / band)
    distance = np.arange(0, levels + 1) * band
    shares = hedgers(market, contract) if populations is None else _named(market, populations)
    sides = (-1, 1)
    columns: dict[str, list[Floats]] = {name: [] for name in ("delta", "gamma", "liquidated", "depth", "stops")}
    due = (0, 0)
    for side in sides:
        ticks = mark + side * distance
        delta = _option_delta(market, contract, shares, ticks / mark)
        columns["delta"].append(delta[1:])
        columns["gamma"].append(np.diff(delta) / (side * band))
        fallen, due = _liquidated(market, contract, ticks / mark)
        columns["liquidated"].append(-side * fallen / band + 0.0)
        columns["depth"].append(_depth(market, contract, side, ticks) / band)
        columns["stops"].append(_stops(market, contract, side, ticks) / band)
    joined = {name: np.concatenate(pair) for name, pair in columns.items()}
    return PriceMap(
        contract=contract,
        name=terms.name,
        at_step=int(market.tick),
        mark=mark,
        tick_size=float(terms.tick_size),
        step=band,
        side=np.repeat(np.array(sides, np.int64), levels),
        price=np.concatenate([mark + side * distance[1:] for side in sides]),
        dealer_delta=joined["delta"],
        dealer_gamma=joined["gamma"],
        liquidated=joined["liquidated"],
        stops=joined["stops"],
        depth=joined["depth"],
        due_long=due[0],
        due_short=due[1],
        smooth=smooth,
    )


def hedgers(market: Market, contract: int) -> dict[str, float]:
    """The populations that hedge the delta of their options in a contract, and the share of it that they hedge.

    A population says so by a method ``hedged_share(market)``.
    """
    found = {}
    for population in market.populations:
        ask = getattr(population, "hedged_share", None)
        if ask is not None and getattr(population, "contract", -1) == contract:
            found[population.name] = float(ask(market))
    return found


def option_lots(market: Market, name: str) -> NDArray[np.int64]:
    """Lots that a population holds of every contract, int64[C]."""
    population = market.population_number(name)
    first = int(market.state.pop_ints[population, s.PI_FIRST])
    count = int(market.state.pop_ints[population, s.PI_COUNT])
    return market.state.positions["lots"][first : first + count].sum(axis=0)


def _terms(market: Market, contract: int) -> Contract:
    if not 0 <= contract < len(market.contracts):
        names = ", ".join(one.name for one in market.contracts)
        raise ConfigError.of("contract", contract, f"the number of a contract: {names}")
    terms = market.contracts[contract]
    if terms.is_option or terms.kind == "spot":
        raise ConfigError.of("contract", terms.name, "a perpetual or future")
    return terms


def _named(market: Market, populations: Sequence[str]) -> dict[str, float]:
    known = [population.name for population in market.populations]
    for name in populations:
        if name not in known:
            raise ConfigError.of("populations", name, "one of " + ", ".join(known))
    return dict.fromkeys(populations, 1.0)


def _ratio(lots: Floats, depth: Floats) -> Floats:
    empty = np.where(lots > 0, np.inf, np.where(lots < 0, -np.inf, 0.0))
    return np.where(depth > 0, lots / np.where(depth > 0, depth, 1.0), empty)


def _moving_sum(values: Floats, window: Floats) -> Floats:
    """Sums over a centred window that is cut off at both ends."""
    return np.convolve(values, window)[len(window) // 2 :][: len(values)]


def _option_delta(market: Market, contract: int, shares: dict[str, float], factors: Floats) -> Floats:
    """Hedged delta of the options of populations, lots of the contract, at each factor on the price."""
    options = live_options(market, contract)
    total = np.zeros(len(factors))
    if not options or not shares:
        return total
    held = sum((share * option_lots(market, name)[options] for name, share in shares.items()), np.zeros(len(options)))
    return held @ hedge_lots(market, contract, options, factors)


def _depth(market: Market, contract: int, side: int, ticks: NDArray[np.int64]) -> Floats:
    """Lots resting in each band; what rests on the near side of the mark belongs to the first."""
    state = market.state
    found = np.zeros(len(ticks) - 1)
    best = int(state.quotes["bid" if side < 0 else "ask"][contract])
    if best <= 0:
        return found
    for i, (near, far) in enumerate(pairwise(ticks)):
        if side < 0:
            low, high = int(far) + 1, max(int(near), best) if i == 0 else int(near)
            low, high = max(low, 1), min(high, best)
        else:
            low, high = min(int(near), best) if i == 0 else int(near), int(far) - 1
            low = max(low, best)
        if low <= high:
            found[i] = int(depth_within(state, contract, low, high))
    return found


def _stops(market: Market, contract: int, side: int, ticks: NDArray[np.int64]) -> Floats:
    """Lots of stops set off in each band: of the traders who keep a column ``stop``, a level in ticks (0: none).

    A long sells all of its position at its stop or below, a short buys at its stop or above.
    """
    state = market.state
    found = np.zeros(len(ticks) - 1)
    band = int(abs(ticks[1] - ticks[0]))
    populations: Sequence[Any] = market.populations
    for population in populations:
        if "stop" not in getattr(population, "INTS", ()) or population.contract != contract:
            continue
        levels = population.column(state, "stop")
        lots = state.positions["lots"][population.first : population.first + population.count, contract]
        wanted = (lots * -side > 0) & (levels > 0)
        row = np.maximum(np.ceil(side * (levels[wanted] - ticks[0]) / band).astype(np.int64) - 1, 0)
        inside = row < len(found)
        np.add.at(found, row[inside], np.abs(lots[wanted][inside]))
    return found


@contextmanager
def _moved_prices(market: Market) -> Iterator[NDArray[np.void]]:
    """Let marks and what hangs on them be changed inside, and put everything back; gives the quotes as they were."""
    state = market.state
    quotes, conversion = state.quotes.copy(), state.conversion.copy()
    index_valid = int(state.meta[s.M_INDEX_VALID])
    asked = state.py_requirement.copy()
    try:
        state.meta[s.M_INDEX_VALID] = 0  # look at everyone, and leave the index of bankruptcy prices alone
        yield quotes
    finally:
        state.quotes[:] = quotes
        state.conversion[:] = conversion
        state.py_requirement[:] = asked
        state.meta[s.M_INDEX_VALID] = index_valid


def _move(market: Market, contract: int, factor: float, before: NDArray[np.void]) -> None:
    """Put everything on the underlying of a contract at a factor on its price, and revalue its options."""
    state = market.state
    about = state.contracts["reference"] == state.contracts["reference"][contract]
    for c in np.flatnonzero(about):
        if not market.contracts[c].is_option:
            for price in ("mark", "index"):
                state.quotes[price][c] = max(round(int(before[price][c]) * factor), 1)
    for k in live_options(market, contract):
        state.quotes["index"][k] = state.quotes["mark"][k] = marks.option_index(state, k)
    if len(state.conversion) > 1:
        marks.set_conversions(state)


def _liquidated(market: Market, contract: int, factors: Floats) -> tuple[Floats, tuple[int, int]]:
    """Signed lots of positions that come short of maintenance between two factors, and those that are short now.

    Each account counts where it is short first on the way out; policies that close a part of a position sell less.
    """
    from sim import numpy_rules

    state = market.state
    numpy_rule = market.margin.requirement_kernel is None
    lots = state.positions["lots"][:, contract]
    seen = np.zeros(len(lots), bool)
    found = np.zeros(len(factors) - 1)
    due = (0, 0)
    with _moved_prices(market) as before:
        for i, factor in enumerate(factors):
            _move(market, contract, float(factor), before)
            if numpy_rule:
                numpy_rules.store_requirement(market, initial=False)
            n = int(clearing.collect(state, market._evaluate))
            accounts, of = state.scratch_accounts[:n], state.scratch_contracts[:n]
            short = np.unique(accounts[(of < 0) | (of == contract)])
            new = short[~seen[short]]
            seen[new] = True
            held = lots[new]
            if i == 0:
                due = (int(held[held > 0].sum()), int(-held[held < 0].sum()))
            else:
                found[i - 1] = held.sum()
    return found, due
