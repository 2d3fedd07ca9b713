"""Oracles: venues, aggregation, reports, faults, staleness; on paths made before the run and inside the step."""

from __future__ import annotations

import math
from statistics import fmean, median
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sim.contracts import Contract
from sim.errors import ConfigError
from sim.kernels import oracle as kernels
from sim.kernels import state as s
from sim.world import ConstantWorld, GbmWorld, Oracle, OracleFault, build_world

SUB = s.SUBTICKS
DT = 60.0
STEPS = 300
PERP = Contract("perp", underlying="BTC", max_price=1 << 20)
OTHER = Contract("other", initial_price=700, max_price=1 << 20)
SPOT = Contract("spot", "spot", base_currency="BTC", base_lot=10**6, tick_size=0.5, tick_value=50,
                initial_price=10_000, max_price=1 << 21, underlying="BTC")  # fmt: skip
EXTERNAL = [{"name": "a"}, {"name": "b", "noise": 0.01, "latency_seconds": 120.0}, {"name": "c", "noise": 0.002}]
OWN = {"name": "own", "kind": "spot", "contract": "spot"}


def world(oracle: dict[str, Any], contracts: Any = (PERP, OTHER, SPOT), events: Any = (), seed: int = 1, **more: Any):
    kind = GbmWorld(volatility=0.05, oracle=oracle) if not more else ConstantWorld(oracle=oracle)
    return build_world(kind, list(contracts), STEPS, DT, 1440, seed, events)


def nearest(price: np.ndarray) -> np.ndarray:
    return np.floor(price * SUB + 0.5).astype(np.int64)


# -- aggregation and venues


@given(st.lists(st.tuples(st.floats(1, 1000), st.integers(1, 5)), min_size=1, max_size=9))
def test_one_price_of_several(sources: list[tuple[float, int]]) -> None:
    values = np.array([value for value, _ in sources])
    weights = np.array([float(weight) for _, weight in sources])

    def made(how: int) -> float:
        return float(kernels.aggregate(values.copy(), weights.copy(), how))

    repeated = [value for value, weight in sources for _ in range(weight)]
    assert made(s.MEDIAN) == median(values.tolist())
    assert made(s.WEIGHTED_MEDIAN) == median(repeated)
    assert made(s.WEIGHTED_MEAN) == pytest.approx(fmean(repeated), rel=1e-12)


def test_a_venue_scatters_around_the_value() -> None:
    long = build_world(GbmWorld(volatility=0.02, oracle={"sources": [{"name": "a", "noise": 0.01}]}), [PERP], 10_000,
                       DT, 1440, 2)  # fmt: skip
    log = np.log(long.index[:, 0] / SUB / long.value[:, 0])
    assert log.std() == pytest.approx(0.01, rel=0.15)
    decay = math.exp(-60 / 600)
    assert np.corrcoef(log[1:], log[:-1])[0, 1] == pytest.approx(decay, abs=0.03)


def test_venues_are_keyed_by_their_names() -> None:
    alone = world({"sources": [{"name": "c", "noise": 0.01}]})
    among = world({"sources": [*EXTERNAL[:2], {"name": "c", "noise": 0.01}], "aggregation": "weighted_median"})
    again = world({"sources": [{"name": "d", "noise": 0.01}]})
    assert not np.array_equal(alone.index, again.index)
    assert np.array_equal(alone.value, among.value)
    heavy = world({"sources": [*EXTERNAL[:2], {"name": "c", "noise": 0.01, "weight": 9}],
                   "aggregation": "weighted_median"})  # fmt: skip
    assert np.array_equal(heavy.index, alone.index)


def test_contracts_about_one_underlying_see_the_same_venue() -> None:
    made = world({"sources": [{"name": "a", "noise": 0.01}]})
    spot, perp, other = made.index[:, 2] * 0.5, made.index[:, 0], made.index[:, 1]
    assert np.abs(spot - perp).max() <= 1
    noise = np.log(perp / SUB / made.value[:, 0]), np.log(other / SUB / made.value[:, 1])
    assert abs(np.corrcoef(*noise)[0, 1]) < 0.9


def test_the_median_of_venues_is_what_is_published() -> None:
    made = world({"sources": EXTERNAL}, [PERP])
    single = [world({"sources": [source]}, [PERP]).index[:, 0] for source in EXTERNAL]
    assert np.array_equal(made.index[:, 0], np.median(single, axis=0).astype(np.int64))
    assert np.array_equal(single[0], nearest(made.value[:, 0]))


def test_the_latency_of_a_venue_delays_it_alone() -> None:
    made = world({"sources": [{"name": "a", "latency_seconds": 180.0}]}, [PERP])
    assert np.array_equal(made.index[3:, 0], nearest(made.value[:-3, 0]))
    assert np.all(made.index[:3, 0] == nearest(made.value[0, 0]))


def test_without_sources_nothing_but_the_value_is_published() -> None:
    made = world({})
    assert made.oracle is None and made.oracle_path is None
    assert np.array_equal(made.index, nearest(made.value))


# -- faults


def faulty(mode: str, size: float = 0.0, *, duration: int = 10, oracle: Any = None, **more: Any) -> np.ndarray:
    fault = OracleFault(100, duration, mode, size, **more)
    return world({"sources": EXTERNAL[:1]} if oracle is None else oracle, [PERP, OTHER], [fault]).index


def test_a_frozen_oracle_repeats_its_last_report() -> None:
    sound, frozen = world({"sources": EXTERNAL[:1]}, [PERP, OTHER]).index, faulty("frozen")
    assert np.all(frozen[100:110] == frozen[99])
    assert np.array_equal(np.delete(frozen, range(100, 110), 0), np.delete(sound, range(100, 110), 0))


def test_a_frozen_source_is_outvoted() -> None:
    oracle = {"sources": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}
    assert np.array_equal(faulty("frozen", oracle=oracle, sources=("b",)), world(oracle, [PERP, OTHER]).index)
    assert not np.array_equal(
        faulty("frozen", oracle=oracle, sources=("b", "c")), world(oracle, [PERP, OTHER]).index
    )  # fmt: skip


@pytest.mark.parametrize("sources", [(), ("a",)])
def test_a_spike_fades_and_a_bias_stays(sources: tuple[str, ...]) -> None:
    sound = world({"sources": EXTERNAL[:1]}, [PERP, OTHER]).value
    spike = faulty("spike", -0.2, duration=4, sources=sources)
    for k, log in enumerate([0.0, -0.2, -0.15, -0.1, -0.05, 0.0, 0.0]):
        assert np.abs(spike[99 + k] / SUB - sound[99 + k] * math.exp(log)).max() <= 1 / SUB
    bias = faulty("bias", 0.1, duration=5, contract="perp", sources=sources)
    assert np.array_equal(bias[:, 1], nearest(sound[:, 1]))
    assert np.abs(bias[100:105, 0] / SUB - sound[100:105, 0] * math.exp(0.1)).max() <= 1 / SUB
    assert np.array_equal(bias[105:], nearest(sound[105:]))


def test_a_fault_between_two_reports_is_not_seen() -> None:
    hourly = {"update_seconds": 3600.0}
    assert np.array_equal(faulty("bias", 0.1, oracle=hourly), world(hourly, [PERP, OTHER]).index)
    on_time = {"update_seconds": 3600.0, "deviation": 0.05}
    assert not np.array_equal(faulty("bias", 0.1, oracle=on_time), world(on_time, [PERP, OTHER]).index)


def test_a_fault_cannot_lead_outside_the_prices_of_a_contract() -> None:
    tiny = Contract("perp", initial_price=5, max_price=16)
    for size, index in ((5.0, 16 * SUB), (-5.0, 1)):
        fault = OracleFault(100, 10, "bias", size)
        made = build_world(ConstantWorld(), [tiny], STEPS, DT, 1440, 1, [fault])
        assert np.all(made.index[100:110] == index)


# -- staleness


def test_a_report_grows_old_until_the_next_one() -> None:
    made = world({"update_seconds": 600.0, "latency_seconds": 60.0, "staleness_seconds": 300.0}, [PERP])
    age = (np.arange(STEPS + 1) - 1) % 10 + 1
    age[0] = 0
    assert np.array_equal(made.oracle_path[:, 0, s.OP_STALE], age > 5)


def test_a_frozen_oracle_becomes_stale_and_recovers() -> None:
    fault = OracleFault(100, 20, "frozen")
    made = world({"staleness_seconds": 300.0}, [PERP], [fault])
    assert np.flatnonzero(made.oracle_path[:, 0, s.OP_STALE]).tolist() == [*range(105, 120)]


# -- the own spot contract among the sources


class Live:
    """Oracles as the step runs them, with mids of the spot contract that are given."""

    def __init__(self, made: Any, contracts: Any) -> None:
        self.state = s.allocate(
            traders=1, contracts=len(contracts), steps=STEPS, oracle_columns=made.oracle_path.shape[2], pool=8, tape=8
        )
        self.state.oracle[:] = made.oracle
        self.state.oracle_path[:] = made.oracle_path
        self.state.contracts["max_price"] = [contract.max_price for contract in contracts]
        self.state.meta[s.M_HISTORY] = 64
        self.state.price_history[:, :, s.PRICE_MID] = [c.initial_price * SUB for c in contracts]

    def step(self, mid: int) -> np.ndarray:
        """Begin a step, then end it with a mid of the spot contract, the last one; returns the indexes."""
        self.state.meta[s.M_STEP] += 1
        kernels.read_oracles(self.state)
        self.state.price_history[self.state.meta[s.M_STEP] & 63, -1, s.PRICE_MID] = mid
        return self.state.quotes["index"].copy()


@settings(max_examples=30)
@given(
    mids=st.lists(st.integers(9000 * SUB, 11_000 * SUB), min_size=30, max_size=30),
    externals=st.integers(0, 3),
    aggregation=st.sampled_from(["median", "weighted_median", "mean"]),
    weight=st.integers(1, 4),
    own_latency=st.integers(0, 3),
    latency=st.integers(0, 3),
    interval=st.integers(1, 7),
    deviation=st.sampled_from([0.0, 0.005]),
    mode=st.sampled_from(["none", "frozen", "spike", "bias"]),
    faulty_source=st.booleans(),
)
def test_the_oracle_in_the_step_is_its_definition(
    mids: list[int], externals: int, aggregation: str, weight: int, own_latency: int, latency: int, interval: int,
    deviation: float, mode: str, faulty_source: bool,
) -> None:  # fmt: skip
    """Observe, combine, report when due, publish late; with faults on the own source or the oracle as a whole."""
    oracle = {
        "sources": [*EXTERNAL[:externals], OWN | {"weight": weight, "latency_seconds": own_latency * DT}],
        "aggregation": aggregation, "latency_seconds": latency * DT, "update_seconds": interval * DT,
        "deviation": deviation, "staleness_seconds": 8 * DT, "stale_policy": "pause_liquidations",
    }  # fmt: skip
    size = 0.0 if mode == "frozen" else 0.05
    names = ("own",) if faulty_source else ()
    events = [] if mode == "none" else [OracleFault(10, 6, mode, size, sources=names)]
    made = world(oracle, [PERP, SPOT], events)
    live = Live(made, [PERP, SPOT])
    factors = np.ones(31)
    if events:
        factors[10:16] = [0.0] * 6 if mode == "frozen" else [
            math.exp(0.05 * (1 if mode == "bias" else 1 - k / 6)) for k in range(6)
        ]  # fmt: skip
    known = [SPOT.initial_price * SUB, *mids]  # by step, as the book was left
    views = [world({"sources": [source]}, [PERP, SPOT]).index[:, 0] / SUB for source in EXTERNAL[:externals]]
    exact = [made.oracle_path[:, 0, s.OP_SOURCE + i] for i in range(externals)]
    for shown, path in zip(views, exact, strict=True):
        assert np.abs(shown - path).max() <= 0.5 / SUB + 1e-9
    report, reported, held = None, 0, float(PERP.initial_price)
    for t in range(1, 31):
        index = live.step(mids[t - 1])
        seen = t - latency
        if seen > 0:
            factor = factors[seen] if not faulty_source else 1.0
            own_factor = factors[seen] if faulty_source else 1.0
            if own_factor:
                held = known[max(seen - 1 - own_latency, 0)] / SUB * 0.5 * own_factor
            values = [*(path[seen] for path in exact), held]
            weights = [*(1 for _ in exact), weight]
            repeated = [v for v, w in zip(values, weights, strict=True) for _ in range(w)]
            now = {"median": median(values), "weighted_median": median(repeated), "mean": fmean(repeated)}[aggregation]
            last = live_first(made) if report is None else report
            if factor and (seen % interval == 0 or (deviation and abs(now * factor - last) > deviation * last)):
                report, reported = now * factor, seen
        expected = (live_first(made) if report is None else report) * SUB
        assert abs(index[0] - expected) <= 0.5 + 1e-6
        assert live.state.oracle[0, s.OR_STALE] == (t - reported > 8)
        assert abs(index[1] - 2 * expected) <= 0.5 + 1e-6
        assert live.state.oracle[0, s.OR_PAUSED] == 2 * (t - reported > 8)


def live_first(made: Any) -> float:
    """The report at step 0: sources as they are there, the own contract at its initial price."""
    return float(made.oracle[0, s.OR_REPORT])


def test_other_underlyings_do_not_see_the_spot_contract() -> None:
    made = world({"sources": [OWN]})
    assert made.oracle[:, s.OR_OWN].tolist() == [2, -1, 2]
    assert np.array_equal(made.index[:, 1], nearest(made.value[:, 1]))


def test_one_source_of_three_moves_no_median() -> None:
    """A venue's own spot market, however it is pushed, and any one external venue, frozen or biased."""
    oracle = {"sources": [*EXTERNAL[:1], {"name": "b"}, OWN]}
    made = world(oracle, [PERP, SPOT], constant=True)
    live = Live(made, [PERP, SPOT])
    for mid in (10_000, 30_000, 30_000, 100, 1):
        assert live.step(mid * SUB)[0] == 5000 * SUB
    for source in ("a", "b"):
        fault = OracleFault(2, 3, "bias", 1.0, sources=(source,))
        live = Live(world(oracle, [PERP, SPOT], [fault], constant=True), [PERP, SPOT])
        assert all(live.step(10_000 * SUB)[0] == 5000 * SUB for _ in range(8))


def test_the_mean_moves_with_every_source() -> None:
    oracle = {"sources": [*EXTERNAL[:1], {"name": "b"}, OWN], "aggregation": "mean"}
    live = Live(world(oracle, [PERP, SPOT], constant=True), [PERP, SPOT])
    live.step(13_000 * SUB)
    assert live.step(13_000 * SUB)[0] == 5500 * SUB


# -- bad input


@pytest.mark.parametrize(
    ("oracle", "key"),
    [
        ({"sources": [OWN | {"contract": "perp"}]}, "world.oracle.sources.own.contract"),
        ({"sources": [OWN | {"contract": "moon"}]}, "world.oracle.sources.own.contract"),
        ({"sources": [OWN, OWN | {"name": "twice"}]}, "world.oracle.sources.twice.contract"),
        ({"sources": [OWN | {"latency_seconds": 1e6}]}, "world.oracle.sources.own.latency_seconds"),
    ],
)
def test_sources_that_do_not_fit_the_market_are_refused(oracle: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        world(oracle)
    assert [problem.key for problem in caught.value.problems] == [key]


@pytest.mark.parametrize(
    "table",
    [
        {"sources": [{"name": "a", "weight": 0.0}]},
        {"sources": [{"name": "a", "weight": -1.0}]},
        {"sources": [{"name": "a", "noise": -0.1}]},
        {"sources": [{"name": "a"}, {"name": "a"}]},
        {"sources": [{"name": "a"}], "perpetuals": [{"name": "a"}]},
        {"sources": [{"name": "a", "contract": "spot"}]},
        {"sources": [{"name": "a", "kind": "spot"}]},
        {"sources": [OWN | {"noise": 0.1}]},
        {"perpetuals": [OWN]},
        {"aggregation": "mode"},
        {"stale_policy": "panic"},
        {"staleness_seconds": 60.0, "latency_seconds": 60.0},
        {"sources": [{"name": f"s{i}"} for i in range(17)]},
    ],
)
def test_bad_oracles_are_refused(table: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Oracle.model_validate(table)


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        (OracleFault(5, 0, "frozen"), "events.oracle_fault.duration_steps"),
        (OracleFault(5, 3, "melted"), "events.oracle_fault.mode"),
        (OracleFault(5, 3, "bias", math.nan), "events.oracle_fault.log_size"),
        (OracleFault(0, 3, "frozen"), "events.oracle_fault.at_step"),
        (OracleFault(5, 3, "frozen", contract="moon"), "events.oracle_fault.contract"),
        (OracleFault(5, 3, "frozen", sources=("moon",), name="night"), "events.night.sources"),
    ],
)
def test_bad_faults_are_refused(fault: OracleFault, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        world({"sources": EXTERNAL}, events=[fault])
    assert [problem.key for problem in caught.value.problems] == [key]


# -- perpetuals elsewhere


def test_perpetuals_elsewhere_have_a_weighted_median() -> None:
    weights = (3, 2, 2, 1, 1)
    venues = [{"name": f"v{i}", "noise": 0.01, "weight": weight} for i, weight in enumerate(weights)]
    made = world({"perpetuals": venues}, [PERP])
    single = [world({"perpetuals": [venue]}, [PERP]).oracle_path[:, 0, s.OP_PERP] for venue in venues]
    for t in range(STEPS + 1):
        repeated = [path[t] for path, weight in zip(single, weights, strict=True) for _ in range(weight)]
        assert made.oracle_path[t, 0, s.OP_PERP] == median(repeated)
    assert np.array_equal(made.index, nearest(made.value))
