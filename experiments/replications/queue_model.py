"""Exact probabilities in the queue model of Cont, Stoikov and Talreja (Operations Research 58(3), 549-563, 2010).

Orders of one lot; limit orders arrive at distance i ticks from the opposite best price at rate lambda(i), each order at
that distance is cancelled at rate theta(i), market orders of each side arrive at rate mu. Until the mid first moves, the
two best queues are independent birth-death chains (Proposition 3 of the paper), and with a spread S of more than a tick
orders that fall inside it, at rate lambda(1) + ... + lambda(S - 1) a side, move the mid as well. Instead of the Laplace
inversion of the paper the first-passage problem is solved as the linear system that it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.errors import ConfigError

LIMIT = (1.85, 1.51, 1.09, 0.88, 0.77)
CANCEL = (0.71, 0.81, 0.68, 0.56, 0.47)
MARKET = 0.94
"""The paper's estimates for a stock of the Tokyo exchange, per minute, orders counted in units of the mean size."""
POWER = (1.92, 0.52)
"""k and alpha of the power law k / i**alpha that the paper fits to the arrival rates."""

_SIZES = (32, 64, 128, 256, 512)
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Rates:
    """Rates of one market.

    Attributes:
        limit: of bids at distance 1, 2, ... from the best ask.
        cancel: of each bid at that distance.
        market: of market sells, which hit bids.
        ask_limit: of asks from the best bid; as the bids' if left out.
        ask_cancel: of each ask; as the bids' if left out.
        ask_market: of market buys, which lift asks; as the sells' if left out.
    """

    limit: tuple[float, ...] = LIMIT
    cancel: tuple[float, ...] = CANCEL
    market: float = MARKET
    ask_limit: tuple[float, ...] | None = None
    ask_cancel: tuple[float, ...] | None = None
    ask_market: float | None = None

    def __post_init__(self) -> None:
        """Refuse rates that are not rates.

        Raises:
            ConfigError: negative or infinite, or lists of different lengths.
        """
        limit, cancel, _ = self.asks
        columns = {"--limit": self.limit, "--cancel": self.cancel, "--ask-limit": limit, "--ask-cancel": cancel}
        for key, values in columns.items():
            if not values or any(not 0 <= value < 1e6 for value in values):
                raise ConfigError.of(key, ",".join(f"{v:g}" for v in values), "rates from 0 up, by commas")
            if len(values) != len(self.limit):
                raise ConfigError.of(
                    key, ",".join(f"{v:g}" for v in values), f"{len(self.limit)} rates, one a distance"
                )
        for key, value in (("--market", self.market), ("--ask-market", self.asks[2])):
            if not 0 <= value < 1e6:
                raise ConfigError.of(key, value, "a rate from 0 up")

    @property
    def asks(self) -> tuple[tuple[float, ...], tuple[float, ...], float]:
        """Limit, cancellation and market rates of the ask side."""
        return (
            self.limit if self.ask_limit is None else self.ask_limit,
            self.cancel if self.ask_cancel is None else self.ask_cancel,
            self.market if self.ask_market is None else self.ask_market,
        )

    def at(self, spread: int) -> Race:
        """The two queues at a spread.

        Raises:
            ConfigError: no rate is given for that distance.
        """
        if not 1 <= spread <= len(self.limit):
            raise ConfigError.of("--spread", spread, f"1 to {len(self.limit)}, the distances that rates are given for")
        limit, cancel, market = self.asks
        i = spread - 1
        return Race(
            self.limit[i], self.cancel[i], self.market, sum(self.limit[:i]), limit[i], cancel[i], market, sum(limit[:i])
        )

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """float64[2, levels] limit and cancel (row 0 bids), and float64[2] market buys and sells, as the kernel's."""
        limit, cancel, market = self.asks
        return np.array([self.limit, limit]), np.array([self.cancel, cancel]), np.array([market, self.market])


@dataclass(frozen=True)
class Race:
    """The two best queues until the mid moves.

    Attributes:
        birth, cancel, market: of the bid queue: arrivals, cancellation of each order, market sells.
        inside: arrivals of bids inside the spread.
        ask_birth, ask_cancel, ask_market, ask_inside: of the asks.
    """

    birth: float
    cancel: float
    market: float
    inside: float
    ask_birth: float
    ask_cancel: float
    ask_market: float
    ask_inside: float

    @property
    def bids(self) -> tuple[float, float, float]:
        """Birth, cancellation and market rates of the bid queue."""
        return self.birth, self.cancel, self.market

    @property
    def asks(self) -> tuple[float, float, float]:
        """Birth, cancellation and market rates of the ask queue."""
        return self.ask_birth, self.ask_cancel, self.ask_market


@dataclass(frozen=True)
class Answer:
    """Probabilities with their error.

    Attributes:
        values: float64[bids, asks], rows bid queue 1, 2, ..., columns ask queue.
        error: bound of the error that cutting the queues at ``longest`` makes.
        longest: queue length at which they are cut.
    """

    values: np.ndarray
    error: float
    longest: int


def _chain(n: int, birth: float, cancel: float, market: float) -> tuple[Any, np.ndarray, np.ndarray]:
    """Generator of a queue of 1 .. n, its rate to 0 and its rate beyond n.

    Returns:
        sparse[n, n], float64[n] absorption at 0, float64[n] absorption above n.
    """
    from scipy import sparse

    length = np.arange(1, n + 1)
    deaths, births = market + cancel * length, np.full(n, birth)
    inner = sparse.diags([deaths[1:], -(deaths + births), births[:-1]], [-1, 0, 1], format="csr")
    empty, beyond = np.zeros(n), np.zeros(n)
    empty[0], beyond[-1] = deaths[0], birth
    return inner, empty, beyond


def _ahead(n: int, cancel: float, market: float) -> tuple[Any, np.ndarray]:
    """An own order that is the k-th of its queue: those before it go, those behind do not matter, it stays itself."""
    from scipy import sparse

    place = np.arange(1, n + 1)
    deaths = market + cancel * (place - 1)
    inner = sparse.diags([deaths[1:], -deaths], [-1, 0], format="csr")
    filled = np.zeros(n)
    filled[0] = deaths[0]
    return inner, filled


def _solve(parts: Sequence[Any], killed: float, sources: np.ndarray) -> np.ndarray:
    """Expected reward at absorption of independent chains that run side by side and are killed at a rate.

    Args:
        parts: generators, sparse, one a chain.
        killed: rate at which all end with what ``sources`` says.
        sources: float64[..., r]: reward rates of each joint state; r right-hand sides.
    """
    from scipy import sparse
    from scipy.sparse.linalg import splu

    sizes = [part.shape[0] for part in parts]
    total = sparse.csc_matrix((int(np.prod(sizes)),) * 2)
    for k, part in enumerate(parts):
        left = sparse.identity(int(np.prod(sizes[:k])))
        right = sparse.identity(int(np.prod(sizes[k + 1 :])))
        total = total + sparse.kron(sparse.kron(left, part), right)
    system = (killed * sparse.identity(total.shape[0]) - total).tocsc()
    flat = sources.reshape(total.shape[0], -1)
    return splu(system).solve(flat).reshape(sources.shape)


def _refined(solve: Callable[[int], tuple[np.ndarray, np.ndarray]], shape: tuple[int, int], tolerance: float) -> Answer:
    """Cut the queues further and further off until lower and upper bound meet.

    ``solve(n)`` gives both bounds: what goes beyond n counts as lost, or as won.
    """
    largest = max(shape)
    for n in _SIZES:
        if n < 2 * largest:
            continue
        low, high = (bound[: shape[0], : shape[1]] for bound in solve(n))
        error = float(np.max(high - low)) / 2
        if error <= tolerance:
            return Answer((low + high) / 2, error, n)
    raise _endless(error)


def _endless(error: float) -> ConfigError:
    allowed = f"rates at which queues stay below {_SIZES[-1]} orders; with these the solution errs by {error:.2g}"
    return ConfigError.of("--cancel", "rates", allowed)


def mid_up(rates: Rates, spread: int, bids: int, asks: int, tolerance: float = _TOLERANCE) -> Answer:
    """Probability that the next move of the mid is up, for bid queues 1 .. ``bids`` and ask queues 1 .. ``asks``.

    The mid rises if the ask queue empties or a bid falls inside the spread before the bid queue empties or an ask falls
    inside.

    Raises:
        ConfigError: queues below 1, no rate at that distance, or queues that grow without end.
    """
    race = rates.at(spread)
    _check_queues(bids, asks)

    def solve(n: int) -> tuple[np.ndarray, np.ndarray]:
        bid_part, _, bid_beyond = _chain(n, *race.bids)
        ask_part, ask_empty, ask_beyond = _chain(n, *race.asks)
        won = np.add.outer(np.zeros(n), ask_empty) + race.inside
        lost_track = np.add.outer(bid_beyond, ask_beyond)
        both = _solve([bid_part, ask_part], race.inside + race.ask_inside, np.stack([won, won + lost_track], -1))
        return both[..., 0], both[..., 1]

    return _refined(solve, (bids, asks), tolerance)


def bid_filled(rates: Rates, spread: int, bids: int, asks: int, tolerance: float = _TOLERANCE) -> Answer:
    """Probability that the last order of the bid queue is filled before the mid moves, if it is never cancelled.

    The queue before it only shrinks; the mid moves when the ask queue empties or an order falls inside the spread
    (Proposition 4 of the paper). Rows: place of the order in the bid queue.

    Raises:
        ConfigError: as `mid_up`.
    """
    race = rates.at(spread)
    _check_queues(bids, asks)

    def solve(n: int) -> tuple[np.ndarray, np.ndarray]:
        own, filled = _ahead(bids, race.cancel, race.market)
        ask_part, _, ask_beyond = _chain(n, *race.asks)
        won = np.add.outer(filled, np.zeros(n))
        lost_track = np.add.outer(np.zeros(bids), ask_beyond)
        both = _solve([own, ask_part], race.inside + race.ask_inside, np.stack([won, won + lost_track], -1))
        return both[..., 0], both[..., 1]

    return _refined(solve, (bids, asks), tolerance)


def spread_made(rates: Rates, spread: int, bids: int, asks: int, tolerance: float = _TOLERANCE) -> Answer:
    """Probability that the last orders of both queues are filled before the mid moves, if neither is cancelled.

    Until the first of the two is filled nothing can empty; from then on the orders that came in behind it are all that
    keeps its price (Proposition 5 of the paper). The mid moves at once if there are none.

    Raises:
        ConfigError: as `mid_up`.
    """
    race = rates.at(spread)
    _check_queues(bids, asks)
    killed = race.inside + race.ask_inside

    Chain = tuple[float, float, float]

    def first_filled(n: int, own: Chain, other: Chain, orders: int, others: int, lost: float) -> np.ndarray:
        """The own order filled before the other side's: [orders, others]; ``lost`` is what going beyond n counts."""
        # after it: the other order still has j before and with it, m orders stand where the own one was
        waiting, filled = _ahead(others, other[1], other[2])
        queue, _, beyond = _chain(n, *own)
        won = np.add.outer(filled, np.zeros(n)) + lost * np.add.outer(np.zeros(others), beyond)
        after = _solve([waiting, queue], killed, won)
        # before it: both orders wait, m = 0 .. n have come in behind the own one
        mine, mine_filled = _ahead(orders, own[1], own[2])
        theirs, _ = _ahead(others, other[1], other[2])  # that theirs is filled first is the other term's
        behind, behind_beyond = _behind(n, own[0], own[1])
        reward = np.zeros((orders, others, n + 1))
        reward[..., 1:] = mine_filled[:, None, None] * after[None]
        reward[..., -1] += lost * behind_beyond
        return _solve([mine, theirs, behind], killed, reward)[..., 0]

    def solve(n: int) -> tuple[np.ndarray, np.ndarray]:
        bounds = []
        for lost in (0.0, 1.0):
            ask_first = first_filled(n, race.asks, race.bids, asks, bids, lost).T
            bounds.append(first_filled(n, race.bids, race.asks, bids, asks, lost) + ask_first)
        return bounds[0], bounds[1]

    return _refined(solve, (bids, asks), tolerance)


def _behind(n: int, birth: float, cancel: float) -> tuple[Any, float]:
    """Orders 0 .. n behind an own one: they come and are cancelled; and the rate beyond n."""
    from scipy import sparse

    count = np.arange(n + 1)
    births = np.full(n + 1, birth)
    deaths = cancel * count
    return sparse.diags([deaths[1:], -(births + deaths), births[:-1]], [-1, 0, 1], format="csr"), birth


def mean_time(rates: Rates, spread: int, bids: int, asks: int, tolerance: float = 1e-6) -> Answer:
    """Mean time to the first move of the mid, in the unit of the rates.

    The error bound compares queues that stop taking orders at n with those that stop at n / 2.

    Raises:
        ConfigError: as `mid_up`.
    """
    from scipy import sparse

    race = rates.at(spread)
    _check_queues(bids, asks)
    previous: np.ndarray | None = None
    error = np.inf
    for n in _SIZES:
        if n < 2 * max(bids, asks):
            continue
        parts = []
        for chain in (race.bids, race.asks):
            part, _, beyond = _chain(n, *chain)
            parts.append(part + sparse.diags(beyond))  # an order beyond n is not taken
        values = _solve(parts, race.inside + race.ask_inside, np.ones((n, n)))[:bids, :asks]
        if previous is not None:
            error = float(np.max(np.abs(values - previous) / values))
            if error <= tolerance:
                return Answer(values, error, n)
        previous = values
    raise _endless(error)


def _check_queues(bids: int, asks: int) -> None:
    for key, value in (("--bids", bids), ("--asks", asks)):
        if not 1 <= value <= 64:
            raise ConfigError.of(key, value, "1 to 64 orders")
