"""The catalogue on tapes of known truth, and the sheet that judges it."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from experiments.facts.catalogue import FACTS, fact, measure
from experiments.facts.curves import curves
from experiments.facts.sheet import median_interval, sheet
from experiments.facts.tape import DAY, Tape
from tests.experiments.facts.truth import prices

PROMISED = (
    "spread_bp", "ac1", "ac2", "ac60_abs", "hill_10min", "kurtosis_1min", "kurtosis_5min", "kurtosis_10min",
    "kurtosis_60min", "kurtosis_fall", "kurtosis_day",
)  # fmt: skip


def tape(days: int = 6, dt: float = 60.0, seed: int = 0) -> Tape:
    """A heavy-tailed random walk with a constant spread of ten basis points."""
    n = round(days * DAY / dt)
    rng = np.random.default_rng(seed)
    mid = prices(2e-4 * np.sqrt(dt / 60.0) * rng.standard_t(3, n - 1))
    return Tape(
        "walk", dt, round(DAY / dt), mid, bid=mid * (1 - 5e-4), ask=mid * (1 + 5e-4), depth_bid=np.full(n, 100.0),
        depth_ask=np.full(n, 300.0), volume=rng.poisson(50, n).astype(float),
        order_signs=rng.choice([-1.0, 1.0], 20_000), order_lots=np.ones(20_000),
    )  # fmt: skip


def test_names_are_unique_and_those_that_others_use_are_there() -> None:
    names = [known.name for known in FACTS]
    assert len(set(names)) == len(names)
    assert set(PROMISED) <= set(names)
    for known in FACTS:
        assert known.low <= known.high
        assert known.source or not known.judged, known.name
        assert known.note or not known.judged or known.source, known.name


def test_a_walk_with_known_numbers() -> None:
    found = measure(tape())
    assert found["spread_bp"] == pytest.approx(10.0)
    assert found["one_sided"] == 0.0
    assert found["depth_lots"] == 200.0
    assert found["depth_days"] == pytest.approx(200.0 / (50 * 1440), rel=0.01)
    # variance of a Student t with three degrees of freedom is 3
    assert found["volatility_day"] == pytest.approx(100 * 2e-4 * math.sqrt(3 * 1440), rel=0.15)
    assert abs(found["ac1"]) < 0.05
    assert abs(found["ac2"]) < 0.05
    assert abs(found["ac60_abs"]) < 0.02
    assert found["hurst"] == pytest.approx(0.5, abs=0.05)
    assert found["signature_ratio"] == pytest.approx(1.0, abs=0.1)
    assert found["kurtosis_fall"] > 0
    assert abs(found["sign_ac1"]) < 0.03
    assert math.isnan(found["sign_decay"])
    assert abs(found["volume_volatility"]) < 0.12
    assert math.isnan(found["ac1_day"])
    assert math.isnan(found["hill_day"])


@pytest.mark.parametrize("dt", [10.0, 12.0, 30.0])
def test_facts_are_those_of_their_horizon_whatever_the_step(dt: float) -> None:
    fine = tape(days=3, dt=dt)
    k = round(60.0 / dt)
    # prices at whole minutes, as a file of minute bars would have them
    coarse = Tape("minutes", 60.0, 1440, fine.mid[::k])
    a, b = measure(fine), measure(coarse)
    for name in ("ac1", "ac2", "ac60_abs", "hurst", "abs_decay", "ac1_30min"):
        assert a[name] == pytest.approx(b[name], abs=1e-9, nan_ok=True), name
    assert a["kurtosis_10min"] == pytest.approx(b["kurtosis_10min"], rel=0.2)


def test_what_a_series_cannot_give_is_unknown_and_not_guessed() -> None:
    bare = Tape("prices", 60.0, 1440, tape().mid)
    found = measure(bare)
    for name in ("spread_bp", "depth_lots", "volume_volatility", "sign_ac1", "sign_decay"):
        assert math.isnan(found[name]), name
    hourly = measure(Tape("hours", 3600.0, 24, tape(days=60).mid[::60]))
    assert [name for name, value in hourly.items() if not math.isnan(value)] == ["volatility_day", "kurtosis_60min"]
    few = measure(Tape("few", 60.0, 1440, tape().mid[:50]))
    assert math.isnan(few["hill_10min"])
    assert math.isnan(few["kurtosis_60min"])


def test_garch_has_the_volatility_facts_of_daily_series() -> None:
    from arch.univariate import GARCH, StudentsT, ZeroMean

    model = ZeroMean(volatility=GARCH(1, 0, 1), distribution=StudentsT(seed=np.random.default_rng(1)))
    simulated = model.simulate([0.02, 0.08, 0.91, 6.0], 5000)
    mid = prices(simulated["data"].to_numpy() / 100)
    found = measure(Tape("garch", DAY, 1, mid, price="close"))
    for name in ("ac1_day", "ac20_abs_day", "hurst_abs_day", "hill_day", "tail_ml_day", "kurtosis_day", "hurst_day"):
        assert fact(name).holds(found[name]), (name, found[name])
    assert abs(found["leverage_day"]) < 0.04


def test_a_constant_price_breaks_nothing() -> None:
    flat = Tape("flat", 60.0, 1440, np.full(5000, 100.0), volume=np.zeros(5000))
    found = measure(flat)
    assert math.isnan(found["ac1"])
    assert math.isnan(found["hill_10min"])
    json.dumps(curves(flat), allow_nan=False)


def test_missing_prices_and_an_empty_side_break_nothing() -> None:
    one = tape()
    assert one.bid is not None
    mid, bid = one.mid.copy(), one.bid.copy()
    mid[100:200] = math.nan
    bid[:864] = math.nan
    found = measure(replace(one, mid=mid, bid=bid))
    assert found["one_sided"] == pytest.approx(0.1)
    assert found["spread_bp"] == pytest.approx(10.0)
    assert abs(found["ac1"]) < 0.05


def test_returns_are_not_taken_over_night() -> None:
    rng = np.random.default_rng(4)
    index = pd.DatetimeIndex(
        [pd.Timestamp("2024-01-02 09:30") + pd.Timedelta(days=d, minutes=m) for d in range(20) for m in range(390)]
    )
    steps = 1e-4 * rng.normal(size=len(index))
    steps[::390] = 0.05 * rng.choice([-1.0, 1.0], 20)  # gaps over night, 500 times a minute's move
    close = 100 * np.exp(np.cumsum(steps))
    found = measure(Tape.from_bars(pd.DataFrame({"close": close}, index)))
    assert found["kurtosis_1min"] == pytest.approx(0.0, abs=0.2)
    assert found["signature_ratio"] == pytest.approx(1.0, abs=0.1)


def test_verdicts() -> None:
    nothing = dict.fromkeys((known.name for known in FACTS), math.nan)
    rows = [nothing | {"spread_bp": s, "hill_10min": h, "depth_lots": 1.0} for s, h in ((5, 2.0), (25, 2.5), (9, 4.0))]
    rows += [nothing | {"spread_bp": 8.0, "ac1": 0.0}]
    made = sheet(rows)
    by = {row["name"]: row for row in made["facts"]}
    assert by["spread_bp"]["verdict"] == "pass"
    assert by["spread_bp"]["median"] == 8.5
    assert by["spread_bp"]["share_in_range"] == 0.75
    assert by["hill_10min"]["verdict"] == "miss"
    assert by["hill_10min"]["n"] == 3
    assert by["ac1"]["verdict"] == "not measurable"  # one seed of four
    assert by["depth_lots"]["verdict"] == "reported"
    assert made["verdicts"]["pass"] == 1
    assert made["verdicts"]["miss"] == 1
    json.dumps(made, allow_nan=False)
    with pytest.raises(ValueError, match="no measurements"):
        sheet([])


def test_the_interval_of_a_median_covers_it() -> None:
    rng = np.random.default_rng(5)
    covered = [low <= 0.0 <= high for low, high in (median_interval(rng.normal(size=21)) for _ in range(120))]  # type: ignore[operator]
    assert 0.88 <= np.mean(covered) <= 1.0
    assert median_interval(np.array([1.0])) == (None, None)
    assert median_interval(np.array([2.0, 2.0])) == (2.0, 2.0)
