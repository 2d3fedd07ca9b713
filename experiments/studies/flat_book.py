"""The flat-book law: on a book of constant depth, liquidations and hedging multiply a fall by 1 / (1 - g).

A book holds the same number of bid lots at every tick below the start price and is not refilled. Leveraged longs stand
below it, their liquidation prices spread evenly: ``rho`` lots per tick. A sale of as many lots as rest on D ticks moves
the price D ticks down; that liquidates ``rho D`` lots, which move it ``g D`` further with ``g = rho / depth``, and so
on: D (1 + g + g^2 + ...) = D / (1 - g), and for g >= 1 down to where the longs end. Nothing in it is modelled apart:
the trades go through a real :class:`sim.market.Market`, its book, its clearing and a margin regime of the registry, so
the law tests them all.

Dealers who have sold options and hedge their delta do the same with a gain of their own: short gamma in lots per tick
over depth. Their options are calls at evenly spaced strikes, as many of each: the gamma of such a strip is the same at
every price that is well inside it, since the sum of C(S, K) over all K is proportional to S^2. Both gains add up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import margin
from agents.registry import MarketInfo
from experiments.studies.flat_options import DEALERS, Strip, dealers
from experiments.studies.flat_traders import SALE, TICK_VALUE, HolderParams, Holders, ProviderParams, Providers
from sim.config import MARK_RULES, ClearingConfig, MarketConfig, RecordConfig, ScriptedEvent
from sim.contracts import Contract
from sim.errors import ConfigError
from sim.liquidation import POLICIES, policy
from sim.market import Market
from sim.world import ConstantWorld, build_world

GAINS = (0.2, 0.5, 0.8, 1.2)
_MAINTENANCE = 0.05  # initial margin is the same, so that longs may stand right under the start price
_ROOM = 1.25  # length of the cluster over the fall that the law foretells
_RUNAWAY = 10  # length of the cluster over the exogenous fall where the law foretells no end
_QUIET, _LONGEST = 30, 2_000  # steps without a trade that end a run where marks or policies take time; most steps
_MOST_TICKS = 200_000
_DAY = 1440  # steps
_TWO_SIDED = ("mid", "ema", "twap", "hyperliquid", "deribit")  # marks that need asks to follow a fall


@dataclass(frozen=True)
class FlatBook:
    """One measurement.

    Attributes:
        gain: liquidated lots per tick over bid lots per tick; 0: there are no longs.
        accounts: leveraged longs.
        depth: bid lots per tick.
        sale: exogenous sale, in ticks' worth of lots.
        mark: rule of the mark.
        policy: liquidation policy.
        gamma_gain: lots per tick that dealers sell into a fall to hedge short options, over bid lots per tick.
    """

    gain: float
    accounts: int = 2_000
    depth: int = 240
    sale: int = 200
    mark: str = "last"
    policy: str = "full"
    gamma_gain: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be laid out.

        Raises:
            ConfigError: a number out of range, no such mark or policy, or a cluster too long or too thin.
        """
        for key, value, low, high in (
            ("--gain", self.gain, 0.01 if self.gain else 0.0, 10.0),
            ("--gamma-gain", self.gamma_gain, 0.01 if self.gamma_gain else 0.0, 10.0),
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
        if self.gain and self.density * self.cluster < self.accounts:
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
        """Gain around the loop: half of the sum where the mark is a mid, whose ask side stands still."""
        total = self.gain + self.gamma_gain
        return total / 2 if self.two_sided else total

    @property
    def cluster(self) -> int:
        """Ticks over which liquidation prices are spread, below the start price."""
        if self.loop_gain < 1:
            return math.ceil(_ROOM * self.sale / (1 - self.loop_gain)) + 1
        return _RUNAWAY * self.sale

    @property
    def end(self) -> float:
        """Fall in ticks when the whole cluster is sold: what was sold by all, over the depth."""
        return self.sale + float(self.exact_gain * self.cluster) + self.hedged / self.depth

    @property
    def hedged(self) -> float:
        """Lots that dealers sell until their options are worth nothing."""
        return Strip(4 * self.cluster, self.cluster, self.gamma_gain * self.depth).end if self.gamma_gain else 0.0

    @property
    def strip(self) -> Strip | None:
        """The options that dealers have sold."""
        return Strip(self.start, self.cluster, self.gamma_gain * self.depth) if self.gamma_gain else None

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
        the ticks between two accounts. Whole lots of options put gamma off by what is added.
        """
        step = self.cluster / self.accounts
        found = (1 + self.gain * step / 2 + 1 / (2 * self.depth)) / self.sale
        if self.strip is not None:
            off = abs(self.strip.exact_gamma / self.depth - self.gamma_gain)
            found += off / (1 - self.loop_gain) if self.loop_gain < 1 else 0.0
        return found

    def lots(self) -> list[int]:
        """Lots of every account, nearest to the start price first: rho x the ticks above each, rounded, differenced."""
        total = self.density * self.cluster
        if not total:
            return []
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
            found.append(math.floor(lots * TICK_VALUE * (self.start - price * (1 - rate))))
        return found


def market(book: FlatBook, *, causes: bool = False) -> Market:
    """The market of a measurement, before its first step.

    Args:
        book: what is measured.
        causes: keep what moved each mark and what brought each account into liquidation.
    """
    lots = book.lots()
    strip = book.strip
    contract = Contract(
        "flat", initial_price=book.start, max_price=2 * book.start, max_lots=2**40, tick_value=TICK_VALUE,
        price_band=0.99, fee_taker=0.0, fee_maker=0.0, fee_liquidation=0.0,
    )  # fmt: skip
    contracts = [contract, *(strip.contracts(contract, _DAY) if strip is not None else ())]
    info = MarketInfo(tuple(one.name for one in contracts), 60.0, _DAY)
    provider = Providers(
        "provider",
        ProviderParams(
            price=book.start, asks=sum(lots), depth=book.depth, ticks=book.bid_ticks, wall=book.two_sided
        ),
        info,
    )  # fmt: skip
    populations: list[Any] = [provider]
    events = [ScriptedEvent("sale", "metaorder", SALE - 1, side=-1, lots=book.depth * book.sale, steps=1)]
    if lots:
        params = HolderParams(
            count=book.accounts, price=book.start, lots=tuple(lots), deposits=tuple(book.deposits())
        )  # fmt: skip
        populations.append(Holders("longs", params, info))
    if strip is not None:
        populations.append(dealers(strip, info))
        seeded = ScriptedEvent(
            "options", "seed_options", SALE - 1, lots=-strip.lots, population=DEALERS, strikes=(0.0, math.inf),
            options=tuple(range(1, len(contracts))),
        )  # fmt: skip
        events.insert(0, seeded)
    clearing = ClearingConfig(
        mark=book.mark, mark_ema_half_life_seconds=60.0, policy=policy(book.policy), max_rounds=10**9,
        fund_initial=book.start * TICK_VALUE * max(sum(lots), 1),
    )  # fmt: skip
    steps = SALE + _LONGEST
    world = build_world(ConstantWorld(), contracts, steps, 60.0, _DAY, 0, ())
    rule = margin.create("static", {"initial": _MAINTENANCE, "maintenance": _MAINTENANCE})
    return Market(
        MarketConfig(steps=steps), contracts, world, rule, populations, events, clearing,
        RecordConfig(causes=causes), views=False,
    )  # fmt: skip


def _last(exchange: Market) -> int:
    return int(exchange.state.quotes["last"][0])


def settle(exchange: Market, book: FlatBook) -> int:
    """Make the sale and go on until the price rests; returns the steps it took.

    With the last price or the mid as mark, clearing follows the fall to its end within the step of the sale. Averages,
    policies with a pace and dealers, who hedge once per step, take more; the price has come to rest when nothing has
    traded for thirty steps.
    """
    from sim.kernels.state import M_FILLS_TOTAL

    exchange.run_until(SALE)
    at_once = book.mark in ("last", "mid") and book.policy == "full" and not book.gamma_gain
    moved = exchange.tick
    while exchange.tick - moved < (1 if at_once else _QUIET) and exchange.tick < exchange.config.steps:
        before = int(exchange.state.meta[M_FILLS_TOTAL])
        exchange.advance(1)
        if int(exchange.state.meta[M_FILLS_TOTAL]) != before:
            moved = exchange.tick
    return moved - SALE + 1


def measure(book: FlatBook) -> dict[str, Any]:
    """Run one book with liquidations and its twin without them.

    Returns:
        Plain data: ``gain``, ``loop_gain``, ``sale``, ``exogenous_fall`` and ``fall`` (ticks), ``measured`` (their
        ratio), ``predicted``, ``relative_error``, ``integer_bound``, ``cluster`` (ticks), ``end`` (fall when all of it
        is sold), ``exhausted``, ``runaway``, ``liquidated`` and ``accounts``, ``rounds`` in the step of the sale,
        ``steps`` until the price rests, ``bad_debt`` (minor units), ``branching_ratio``: the mean share of forced fills
        in what brought accounts down, from the record of causes. Whoever the sale itself brings down has none of it,
        whoever falls later all, so that it is (F - D) / F, on this book g.
    """
    from experiments.cascade_tree import cascade_measures
    from sim.causes import causes_table
    from sim.kernels.state import M_BAD_DEBT, M_ROUNDS

    exchange = market(book, causes=True)
    exchange.run_until(SALE - 1)
    twin = exchange.fork(liquidations=False)
    twin.run_until(SALE)  # before anyone answers the sale
    exogenous = book.start - _last(twin)
    twin.close()
    exchange.run_until(SALE)
    rounds = int(exchange.state.meta[M_ROUNDS])
    steps = settle(exchange, book)
    exchange.check()
    fall = book.start - _last(exchange)
    longs = slice(1, 1 + (book.accounts if book.gain else 0))
    left = int((exchange.state.positions["lots"][longs, 0] > 0).sum())
    hit = int((exchange.state.accounts["liquidated"][longs] > 0).sum())
    bad_debt = int(exchange.state.meta[M_BAD_DEBT])
    digest = exchange.results_hash()
    branching = cascade_measures(causes_table(exchange))["branching_ratio"]
    exchange.close()
    measured = fall / exogenous
    strip = book.strip
    predicted = book.predicted
    return {
        "gain": book.gain,
        "gamma_gain": book.gamma_gain,
        "loop_gain": book.loop_gain,
        "sale": book.sale,
        "cluster": book.cluster,
        "exogenous_fall": exogenous,
        "fall": fall,
        "end": book.end,
        "exhausted": left == 0 and book.loop_gain > 0 and (strip is None or fall >= strip.below * strip.spacing),
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
        "branching_ratio": branching if math.isfinite(branching) else None,
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
        gamma_gains: gains of the dealers' hedging.
    """

    gains: tuple[float, ...] = GAINS
    sales: tuple[int, ...] = (200,)
    accounts: int = 2_000
    depth: int = 240
    mark: str = "last"
    policy: str = "full"
    gamma_gains: tuple[float, ...] = (0.0,)

    def books(self) -> list[FlatBook]:
        """Every combination, all of them checked."""
        return [
            FlatBook(gain, self.accounts, self.depth, sale, self.mark, self.policy, gamma)
            for sale in self.sales
            for gamma in self.gamma_gains
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
        f"policy {result['policy']}; gains of liquidations (g) and of dealers' hedging (gamma)",
        f"{'sale':>6} {'g':>6} {'gamma':>6} {'predicted':>10} {'measured':>9} {'error':>9} {'integers':>9} "
        f"{'branching':>10} {'fall':>7} {'liquidated':>10} {'steps':>6}",
    ]
    for row in result["rows"]:
        predicted = "-" if row["predicted"] is None else f"{row['predicted']:.3f}"
        error = "-" if row["relative_error"] is None else f"{100 * row['relative_error']:+.2f} %"
        bound = "-" if row["predicted"] is None or row["runaway"] else f"{100 * row['integer_bound']:.2f} %"
        branching = "-" if row["branching_ratio"] is None else f"{row['branching_ratio']:.3f}"
        told = "  runs away to the end" if row["exhausted"] and row["runaway"] else ""
        shown.append(
            f"{row['sale']:>6} {row['gain']:>6g} {row['gamma_gain']:>6g} {predicted:>10} {row['measured']:>9.3f} "
            f"{error:>9} {bound:>9} {branching:>10} {row['fall']:>7} {row['liquidated']:>10} {row['steps']:>6}{told}"
        )
    return shown
