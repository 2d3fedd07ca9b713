"""The oracles' share of the exogenous world: sources, faults, the published index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.contracts import Contract, references
from sim.errors import ConfigError, Problem
from sim.kernels import oracle as kernels
from sim.kernels import state as s
from sim.kernels.realmath import exp
from sim.keyed import stream
from sim.problems import one_of
from sim.world.config import Oracle, Source
from sim.world.events import OracleFault, WorldEvent

if TYPE_CHECKING:
    from sim.world.build import Asset

AGGREGATIONS = {"median": s.MEDIAN, "weighted_median": s.WEIGHTED_MEDIAN, "mean": s.WEIGHTED_MEAN}
POLICIES = {"hold": s.STALE_HOLD, "pause_liquidations": s.STALE_PAUSE, "mid": s.STALE_MID}
_RING = 4000  # steps; what the own spot contract showed longer ago is not kept


def build(
    config: Oracle,
    contracts: Sequence[Asset],
    value: np.ndarray,
    dt_seconds: float,
    seed: int,
    events: Sequence[WorldEvent] = (),
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Publish the index of every contract, and make what its oracle needs inside the step.

    A venue's noise is keyed by its name and that of the contract that prices the underlying, so contracts about one
    underlying see the same venue.

    Args:
        config: the ``[world.oracle]`` table.
        contracts: the contracts.
        value: float64[T + 1, C], ticks.
        dt_seconds: simulated seconds per step.
        seed: seed of the run.
        events: scripted events; faults are taken from them.

    Returns:
        Index, int64[T + 1, C] in sub-ticks; parameters and exogenous paths of oracles with a part in the step, both
        ``None`` where there is none.

    Raises:
        ConfigError: a source or a fault does not fit the market.
    """
    faults = [event for event in events if isinstance(event, OracleFault)]
    found = problems(config, contracts, dt_seconds) + _unknown_sources(config, faults)
    if found:
        raise ConfigError(found)
    made = _Maker(config, contracts, value, dt_seconds, seed, faults)
    index = np.empty(value.shape, np.int64)
    for c in range(len(contracts)):
        index[:, c] = made.index(c)
    return (index, None, None) if made.path is None else (index, made.cells, made.path)


def problems(config: Oracle, contracts: Sequence[Any], dt_seconds: float) -> list[Problem]:
    """What does not fit between the oracle's sources and the contracts.

    Args:
        config: the ``[world.oracle]`` table.
        contracts: contracts, or the sections of a scenario that describe them.
        dt_seconds: simulated seconds per step.
    """
    found = []
    spots = {contract.name: contract for contract in contracts if getattr(contract, "kind", "") == "spot"}
    seen: set[str] = set()
    for source in config.sources:
        if source.kind != "spot":
            continue
        key = f"world.oracle.sources.{source.name}"
        if source.contract not in spots:
            allowed = one_of(source.contract, spots) or "none: the market has no spot contract"
            found.append(Problem("", f"{key}.contract", source.contract, allowed))
            continue
        about = _about(spots[source.contract])
        if about in seen:
            allowed = f"one spot contract of this market about {about}"
            found.append(Problem("", f"{key}.contract", source.contract, allowed))
        seen.add(about)
        if _steps(config.latency_seconds + source.latency_seconds, dt_seconds) > _RING:
            allowed = f"a latency of at most {_RING * dt_seconds:g} seconds with world.oracle.latency_seconds"
            found.append(Problem("", f"{key}.latency_seconds", source.latency_seconds, allowed))
    return found


def _about(contract: Any) -> str:
    """The underlying of a spot contract or of the section that describes it."""
    return str(contract.about if isinstance(contract, Contract) else contract.underlying or contract.base_currency)


def _unknown_sources(config: Oracle, faults: Sequence[OracleFault]) -> list[Problem]:
    names = [source.name for source in (*config.sources, *config.perpetuals)]
    return [
        Problem("", f"events.{fault.name}.sources", name, one_of(name, names) or "none: the oracle has no sources")
        for fault in faults
        for name in fault.sources
        if name not in names
    ]


def _steps(seconds: float, dt_seconds: float) -> int:
    return round(seconds / dt_seconds)


def factors(fault: OracleFault) -> np.ndarray:
    """What a fault multiplies observations by, float64[duration]; zeros for one that freezes them."""
    if fault.mode == "frozen":
        return np.zeros(fault.duration)
    size = float(fault.log_size)
    left = [1.0 if fault.mode == "bias" else 1.0 - k / fault.duration for k in range(fault.duration)]
    return np.array([exp(size * part) for part in left])


class _Maker:
    """Builds one contract after the other."""

    def __init__(
        self,
        config: Oracle,
        contracts: Sequence[Asset],
        value: np.ndarray,
        dt_seconds: float,
        seed: int,
        faults: Sequence[OracleFault],
    ) -> None:
        self.config = config
        self.contracts: list[Any] = list(contracts)
        self.value = value
        self.dt_seconds = dt_seconds
        self.seed = seed
        self.faults = faults
        known = all(isinstance(contract, Contract) for contract in contracts)
        self.leaders = references(self.contracts) if known else list(range(len(contracts)))
        self.cells = np.zeros((len(contracts), s.ORACLE_CELLS))
        self.cells[:, s.OR_OWN] = -1
        self.path: np.ndarray | None = None  # made where an oracle has a part in the step
        if config.perpetuals or config.staleness_seconds or any(source.kind == "spot" for source in config.sources):
            self.path = np.zeros((len(value), len(contracts), s.OP_SOURCE + len(config.sources)))

    def index(self, c: int) -> np.ndarray:
        """The index of a contract, int64[T + 1]; its parameters and its paths are written where the step needs them."""
        config, contract = self.config, self.contracts[c]
        option = getattr(contract, "is_option", False)  # its index is the model value on that of its underlying
        external = [] if option else [source for source in config.sources if source.kind == "external"]
        prices = np.stack([self._venue(c, source) for source in external], 1) if external else None
        weights = np.array([float(source.weight) for source in external])
        how = AGGREGATIONS[config.aggregation]
        observed = self.value[:, c].copy()
        if prices is not None:
            kernels.combine(prices, weights, how, observed)
        factor = np.ones(len(observed)) if option else self._factor(contract.name, None)
        latency, interval = (_steps(x, self.dt_seconds) for x in (config.latency_seconds, config.update_seconds))
        interval = max(1, interval)
        index, age = np.empty(len(observed), np.int64), np.empty(len(observed), np.int64)
        kernels.publish(observed, factor, latency, interval, float(config.deviation), contract.max_price, index, age)
        limit = -int(-config.staleness_seconds // self.dt_seconds)
        if self.path is None:
            return index
        path, cells = self.path[:, c], self.cells[c]
        path[:, s.OP_STALE] = (age > limit) if limit else 0.0
        path[:, s.OP_FACTOR] = factor
        for place, value in (
            (s.OR_AGGREGATION, how), (s.OR_LATENCY, latency), (s.OR_INTERVAL, interval),
            (s.OR_DEVIATION, config.deviation), (s.OR_STALE_STEPS, limit),
            (s.OR_STALE_POLICY, POLICIES[config.stale_policy]), (s.OR_SOURCES, len(external)),
        ):  # fmt: skip
            cells[place] = value
        if config.perpetuals and not option:
            mids = np.stack([self._venue(c, source) for source in config.perpetuals], 1)
            shares = np.array([float(source.weight) for source in config.perpetuals])
            kernels.combine(mids, shares, s.WEIGHTED_MEDIAN, observed)
            path[:, s.OP_PERP] = observed
        own = None if option else self._own(c)
        if own is not None:
            index[0] = self._join(path, c, own, prices, weights)
        return index

    def _own(self, c: int) -> Source | None:
        """The source that is this market's own spot contract about the same underlying."""
        names = [contract.name for contract in self.contracts]
        for source in self.config.sources:
            if source.kind == "spot" and source.contract is not None:
                spot = self.contracts[names.index(source.contract)]
                if spot.about == self.contracts[c].about:
                    return source
        return None

    def _join(self, path: np.ndarray, c: int, own: Source, prices: np.ndarray | None, weights: np.ndarray) -> int:
        """Let the oracle of a contract run inside the step, with the own spot contract among its sources.

        Returns:
            The index at step 0.
        """
        contract, cells = self.contracts[c], self.cells[c]
        number = [other.name for other in self.contracts].index(str(own.contract))
        spot = self.contracts[number]
        ratio = spot.tick_size / contract.tick_size
        initial = spot.initial_price * ratio
        count = len(weights)
        if prices is not None:
            path[:, s.OP_SOURCE : s.OP_SOURCE + count] = prices
            cells[s.OR_WEIGHT : s.OR_WEIGHT + count] = weights
        path[:, s.OP_OWN_FACTOR] = self._factor(contract.name, own.name)
        first = np.array([*path[0, s.OP_SOURCE : s.OP_SOURCE + count], initial])
        report = kernels.aggregate(first, np.array([*weights, float(own.weight)]), int(cells[s.OR_AGGREGATION]))
        for place, value in (
            (s.OR_OWN, number), (s.OR_OWN_WEIGHT, own.weight), (s.OR_OWN_TICKS, ratio),
            (s.OR_OWN_LATENCY, _steps(own.latency_seconds, self.dt_seconds)), (s.OR_OWN_HELD, initial),
            (s.OR_REPORT, report),
        ):  # fmt: skip
            cells[place] = value
        return int(kernels.subticks(report, contract.max_price))

    def _venue(self, c: int, source: Source) -> np.ndarray:
        """What the oracle sees of an external venue, faults included, float64[T + 1]."""
        leader = self.contracts[self.leaders[c]].name
        decay = exp(-self.dt_seconds / float(source.noise_seconds))
        price = np.empty(len(self.value))
        kernels.venue(
            self.seed, stream(f"world.source.{source.name}.{leader}"), float(source.noise), decay,
            _steps(source.latency_seconds, self.dt_seconds), np.ascontiguousarray(self.value[:, c]), price,
        )  # fmt: skip
        for fault in self._faults(self.contracts[c].name, source.name):
            span = slice(fault.step, min(fault.step + fault.duration, len(price)))
            if fault.mode == "frozen":
                price[span] = price[fault.step - 1]
            else:
                price[span] *= factors(fault)[: span.stop - span.start]
        return price

    def _factor(self, contract: str, source: str | None) -> np.ndarray:
        """The product of faults on the oracle as a whole, or on its own spot source, float64[T + 1]."""
        factor = np.ones(len(self.value))
        for fault in self._faults(contract, source):
            span = slice(fault.step, min(fault.step + fault.duration, len(factor)))
            factor[span] *= factors(fault)[: span.stop - span.start]
        return factor

    def _faults(self, contract: str, source: str | None) -> list[OracleFault]:
        return [
            fault
            for fault in self.faults
            if fault.contract in (None, contract) and (source in fault.sources if source else not fault.sources)
        ]
