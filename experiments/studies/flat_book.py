"""The flat-book law: on a book of constant depth, liquidations multiply a fall by 1 / (1 - g).

A book holds the same number of bid lots at every tick below the start price and is not refilled. Leveraged longs stand
below it, their liquidation prices spread evenly: ``rho`` lots per tick. A sale of as many lots as rest on D ticks moves
the price D ticks down; that liquidates ``rho D`` lots, which move it ``g D`` further with ``g = rho / depth``, and so
on: D (1 + g + g^2 + ...) = D / (1 - g), and for g >= 1 down to where the longs end. Nothing in it is modelled apart:
the trades go through a real :class:`sim.market.Market`, its book, its clearing and a margin regime of the registry, so
the law tests them all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

import margin
from agents.columns import PopulationParams
from agents.python_agent import PythonPopulation, PythonTrader
from agents.registry import MarketInfo
from sim.config import MARK_RULES, ClearingConfig, MarketConfig, RecordConfig, ScriptedEvent
from sim.contracts import Contract
from sim.errors import ConfigError
from sim.liquidation import POLICIES, policy
from sim.market import Market
from sim.world import ConstantWorld, build_world

if TYPE_CHECKING:
    from sim.interfaces import PopulationSetup

GAINS = (0.2, 0.5, 0.8, 1.2)
_MAINTENANCE = 0.05  # initial margin is the same, so that longs may stand right under the start price
_TICK_VALUE = 1_000  # minor units per tick and lot: liquidation prices are exact to a thousandth of a tick
_ROOM = 1.25  # length of the cluster over the fall that the law foretells
_RUNAWAY = 10  # length of the cluster over the exogenous fall where the law foretells no end
_SELL, _BUY, _BID, _SALE = 1, 2, 3, 4  # steps
_QUIET, _LONGEST = 30, 2_000  # steps without a trade that end a run where marks or policies take time; most steps
_MOST_TICKS = 200_000
_TWO_SIDED = ("mid", "ema", "twap", "hyperliquid", "deribit")  # marks that need asks to follow a fall


@dataclass(frozen=True)
class FlatBook:
    """One measurement.

    Attributes:
        gain: liquidated lots per tick over bid lots per tick, g.
        accounts: leveraged longs.
        depth: bid lots per tick.
        sale: exogenous sale, in ticks' worth of lots.
        mark: rule of the mark.
        policy: liquidation policy.
    """

    gain: float
    accounts: int = 2_000
    depth: int = 240
    sale: int = 200
    mark: str = "last"
    policy: str = "full"

    def __post_init__(self) -> None:
        """Refuse what cannot be laid out.

        Raises:
            ConfigError: a number out of range, no such mark or policy, or a cluster too long or too thin.
        """
        for key, value, low, high in (
            ("--gain", self.gain, 0.01, 10.0),
            ("--accounts", self.accounts, 1, 100_000),
            ("--depth", self.depth, 1, 10_000),
            ("--sale", self.sale, 1, 10_000),
        ):
            if not low <= value <= high:
                raise ConfigError.of(key, value, f"a number from {low:,} to {high:,}".replace(",", ""))
        if self.mark not in MARK_RULES:
            raise ConfigError.of("--mark", self.mark, "one of " + ", ".join(MARK_RULES))
        if self.policy not in POLICIES:
            raise ConfigError.of("--policy", self.policy, "one of " + ", ".join(POLICIES))
        if self.cluster > _MOST_TICKS:
            allowed = f"a gain and a sale whose fall stays within {_MOST_TICKS} ticks"
            raise ConfigError.of("--gain", self.gain, allowed)
        if self.density * self.cluster < self.accounts:
            most = math.floor(self.density * self.cluster)
            allowed = f"at most {most}, the lots that gain {self.gain:g} puts below this book, or a deeper book"
            raise ConfigError.of("--accounts", self.accounts, allowed)

    @property
    def exact_gain(self) -> Fraction:
        """The gain as the decimal number that was given."""
        return Fraction(repr(self.gain))

    @property
    def density(self) -> Fraction:
        """Lots that are liquidated per tick, rho."""
        return self.exact_gain * self.depth

    @property
    def two_sided(self) -> bool:
        """True where asks stand above the start price: a mid follows a fall of the bid by half."""
        return self.mark in _TWO_SIDED

    @property
    def loop_gain(self) -> float:
        """Gain around the loop: half of g where the mark is a mid, whose ask side stands still."""
        return self.gain / 2 if self.two_sided else self.gain

    @property
    def cluster(self) -> int:
        """Ticks over which liquidation prices are spread, below the start price."""
        if self.loop_gain < 1:
            return math.ceil(_ROOM * self.sale / (1 - self.loop_gain)) + 1
        return _RUNAWAY * self.sale

    @property
    def end(self) -> float:
        """Fall in ticks when the whole cluster is sold: what was sold by all, over the depth."""
        return self.sale + float(self.exact_gain * self.cluster)

    @property
    def bid_ticks(self) -> int:
        """Ticks that bids stand on: enough for the whole cluster."""
        return math.ceil(self.end) + 10

    @property
    def start(self) -> int:
        """Start price, ticks: far enough above zero that the deepest fall is less than a quarter of it."""
        return 4 * max(self.bid_ticks, self.cluster)

    @property
    def predicted(self) -> float | None:
        """Amplification that the law foretells; None where no law is known for mark and policy.

        With the last price as mark and full liquidation 1 / (1 - g), from g = 1 on the fall to the cluster's end over
        the exogenous one. With a mid (or its average, once it has caught up) half of g.
        """
        if self.policy != "full" or self.mark not in ("last", "mid", "ema"):
            return None
        return 1 / (1 - self.loop_gain) if self.loop_gain < 1 else self.end / self.sale

    @property
    def integer_bound(self) -> float:
        """Largest relative error of the fall that whole ticks, lots and accounts cause below a gain of one.

        The price stands on the tick on which the last lot was sold, up to one tick lower than the lots ask for; the
        accounts' steps are off by half an account, their lots by half a lot: (1 + g h / 2 + 1 / (2 depth)) / D, h being
        the ticks between two accounts.
        """
        step = self.cluster / self.accounts
        return (1 + self.loop_gain * step / 2 + 1 / (2 * self.depth)) / self.sale

    def lots(self) -> list[int]:
        """Lots of every account, nearest to the start price first: rho x the ticks above each, rounded, differenced."""
        total = self.density * self.cluster
        edges = [round(total * i / self.accounts) for i in range(self.accounts + 1)]
        return [high - low for low, high in pairwise(edges)]

    def deposits(self) -> list[int]:
        """Deposit of every account, minor units: it falls below maintenance half a step below its upper neighbour.

        A long of L lots from P0 with a deposit of c is in breach under P once c < L tick_value (P0 - P (1 - m)).
        """
        rate = Fraction(repr(_MAINTENANCE))
        step = Fraction(self.cluster, self.accounts)
        found = []
        for i, lots in enumerate(self.lots()):
            price = self.start - (i + Fraction(1, 2)) * step
            found.append(math.floor(lots * _TICK_VALUE * (self.start - price * (1 - rate))))
        return found


class ProviderParams(PopulationParams):
    """What the provider quotes."""

    price: int = Field(ge=2, description="start price, ticks")
    asks: int = Field(ge=1, description="lots sold at the start price")
    depth: int = Field(ge=1, description="bid lots per tick")
    ticks: int = Field(ge=1, description="ticks with bids, from one below the start price")
    wall: bool = Field(description="stand asks one tick above the start price too")


class Provider(PythonTrader):
    """Sells the longs their positions, then rests bids of constant depth, once."""

    def step(self) -> None:
        """Act in two steps only: what is taken from the book is not put back."""
        p = self.params
        if self.now == _SELL:
            self.limit(-p.asks, p.price)
        elif self.now == _BID:
            for tick in range(p.price - p.ticks, p.price):
                self.limit(p.depth, tick)
            if p.wall:
                self.limit(-p.depth, p.price + 1)


class Providers(PythonPopulation):
    """A flat book: bids of constant depth per tick, never refilled."""

    Params = ProviderParams
    agent = Provider

    def capital(self, setup: PopulationSetup) -> np.ndarray:
        """Cash that pays for every lot in full, several times."""
        p = self.params
        return np.array([4 * p.price * _TICK_VALUE * (p.asks + p.depth * p.ticks)], np.int64)


class HolderParams(PopulationParams):
    """The longs below the book."""

    price: int = Field(ge=2, description="start price, ticks")
    lots: tuple[int, ...] = Field(description="position of each account")
    deposits: tuple[int, ...] = Field(description="deposit of each account, minor units")


class Holder(PythonTrader):
    """Buys once at the start price and then holds."""

    def step(self) -> None:
        """Buy in the second step."""
        if self.now == _BUY:
            self.limit(self.params.lots[self.row], self.params.price)


class Holders(PythonPopulation):
    """Leveraged longs whose liquidation prices are spread evenly."""

    Params: ClassVar[type[PopulationParams]] = HolderParams
    agent = Holder

    def capital(self, setup: PopulationSetup) -> np.ndarray:
        """The deposits that put each liquidation price where it belongs."""
        return np.array(self.params.deposits, np.int64)

    def decide_python(self, market: Any) -> None:
        """Ask the longs in the one step in which they act."""
        if market.tick == _BUY:
            super().decide_python(market)


def market(book: FlatBook, *, causes: bool = False) -> Market:
    """The market of a measurement, before its first step.

    Args:
        book: what is measured.
        causes: keep what moved each mark and what brought each account into liquidation.
    """
    lots = book.lots()
    info = MarketInfo(("flat",), 60.0, 1440)
    contract = Contract(
        "flat", initial_price=book.start, max_price=2 * book.start, max_lots=2**40, tick_value=_TICK_VALUE,
        price_band=0.99, fee_taker=0.0, fee_maker=0.0, fee_liquidation=0.0,
    )  # fmt: skip
    provider = Providers(
        "provider",
        ProviderParams(
            price=book.start, asks=sum(lots), depth=book.depth, ticks=book.bid_ticks, wall=book.two_sided
        ),
        info,
    )  # fmt: skip
    holders = Holders(
        "longs",
        HolderParams(
            count=book.accounts, price=book.start, lots=tuple(lots), deposits=tuple(book.deposits())
        ),
        info,
    )  # fmt: skip
    populations: list[Any] = [provider, holders]
    sale = ScriptedEvent("sale", "metaorder", _SALE - 1, side=-1, lots=book.depth * book.sale, steps=1)
    clearing = ClearingConfig(
        mark=book.mark, mark_ema_half_life_seconds=60.0, policy=policy(book.policy), max_rounds=10**9,
        fund_initial=book.start * _TICK_VALUE * sum(lots),
    )  # fmt: skip
    steps = _SALE + _LONGEST
    world = build_world(ConstantWorld(), [contract], steps, 60.0, 1440, 0, ())
    rule = margin.create("static", {"initial": _MAINTENANCE, "maintenance": _MAINTENANCE})
    return Market(
        MarketConfig(steps=steps), [contract], world, rule, populations, (sale,), clearing,
        RecordConfig(causes=causes), views=False,
    )  # fmt: skip


def _last(exchange: Market) -> int:
    return int(exchange.state.quotes["last"][0])


def settle(exchange: Market, book: FlatBook) -> int:
    """Make the sale and go on until the price rests; returns the steps it took.

    With the last price or the mid as mark, clearing follows the fall to its end within the step of the sale. Averages
    and policies with a pace take more; the price has come to rest when nothing has traded for thirty steps.
    """
    from sim.kernels.state import M_FILLS_TOTAL

    exchange.run_until(_SALE)
    at_once = book.mark in ("last", "mid") and book.policy == "full"
    moved = exchange.tick
    while exchange.tick - moved < (1 if at_once else _QUIET) and exchange.tick < exchange.config.steps:
        before = int(exchange.state.meta[M_FILLS_TOTAL])
        exchange.advance(1)
        if int(exchange.state.meta[M_FILLS_TOTAL]) != before:
            moved = exchange.tick
    return moved - _SALE + 1


def measure(book: FlatBook) -> dict[str, Any]:
    """Run one book with liquidations and its twin without them.

    Returns:
        Plain data: ``gain``, ``loop_gain``, ``sale``, ``exogenous_fall`` and ``fall`` (ticks), ``measured`` (their
        ratio), ``predicted``, ``relative_error``, ``integer_bound``, ``cluster`` (ticks), ``end`` (fall when all of it
        is sold), ``exhausted``, ``runaway``, ``liquidated`` and ``accounts``, ``rounds`` in the step of the sale,
        ``steps`` until the price rests, ``bad_debt`` (minor units).
    """
    from sim.kernels.state import M_BAD_DEBT, M_ROUNDS

    exchange = market(book)
    exchange.run_until(_SALE - 1)
    twin = exchange.fork(liquidations=False)
    settle(twin, book)
    exogenous = book.start - _last(twin)
    twin.close()
    exchange.run_until(_SALE)
    rounds = int(exchange.state.meta[M_ROUNDS])
    steps = settle(exchange, book)
    exchange.check()
    fall = book.start - _last(exchange)
    longs = slice(1, 1 + book.accounts)
    left = int((exchange.state.positions["lots"][longs, 0] > 0).sum())
    hit = int((exchange.state.accounts["liquidated"][longs] > 0).sum())
    bad_debt = int(exchange.state.meta[M_BAD_DEBT])
    digest = exchange.results_hash()
    exchange.close()
    measured = fall / exogenous
    predicted = book.predicted
    return {
        "gain": book.gain,
        "loop_gain": book.loop_gain,
        "sale": book.sale,
        "cluster": book.cluster,
        "exogenous_fall": exogenous,
        "fall": fall,
        "end": book.end,
        "exhausted": left == 0,
        "runaway": book.loop_gain >= 1,
        "predicted": predicted,
        "measured": measured,
        "relative_error": None if predicted is None else measured / predicted - 1,
        "integer_bound": book.integer_bound,
        "accounts": book.accounts,
        "liquidated": hit,
        "rounds": rounds,
        "steps": steps,
        "bad_debt": bad_debt,
        "results_hash": digest,
    }


@dataclass(frozen=True)
class FlatBooks:
    """Measurements over several gains and sales.

    Attributes:
        gains: values of g.
        sales: exogenous sales, in ticks' worth of lots.
        accounts: leveraged longs.
        depth: bid lots per tick.
        mark: rule of the mark.
        policy: liquidation policy.
    """

    gains: tuple[float, ...] = GAINS
    sales: tuple[int, ...] = (200,)
    accounts: int = 2_000
    depth: int = 240
    mark: str = "last"
    policy: str = "full"

    def books(self) -> list[FlatBook]:
        """Every combination, all of them checked."""
        return [
            FlatBook(gain, self.accounts, self.depth, sale, self.mark, self.policy)
            for sale in self.sales
            for gain in self.gains
        ]


def study(asked: FlatBooks) -> dict[str, Any]:
    """Measure every book.

    Raises:
        ConfigError: one of them cannot be laid out.
    """
    rows = [measure(book) for book in asked.books()]
    return {
        "command": "flat-book", "mark": asked.mark, "policy": asked.policy, "depth": asked.depth,
        "accounts": asked.accounts, "rows": rows,
    }  # fmt: skip


def lines(result: Mapping[str, Any]) -> Sequence[str]:
    """The result as a table of text."""
    shown = [
        f"flat book: {result['depth']} bid lots per tick, {result['accounts']} longs, mark {result['mark']}, "
        f"policy {result['policy']}",
        f"{'sale':>6} {'g':>6} {'predicted':>10} {'measured':>9} {'error':>9} {'integers':>9} {'fall':>7} "
        f"{'liquidated':>10} {'rounds':>7}",
    ]
    for row in result["rows"]:
        predicted = "-" if row["predicted"] is None else f"{row['predicted']:.3f}"
        error = "-" if row["relative_error"] is None else f"{100 * row['relative_error']:+.2f} %"
        bound = "-" if row["predicted"] is None or row["runaway"] else f"{100 * row['integer_bound']:.2f} %"
        told = "  runs away to the cluster's end" if row["exhausted"] and row["runaway"] else ""
        shown.append(
            f"{row['sale']:>6} {row['gain']:>6g} {predicted:>10} {row['measured']:>9.3f} {error:>9} {bound:>9} "
            f"{row['fall']:>7} {row['liquidated']:>10} {row['rounds']:>7}{told}"
        )
    return shown
