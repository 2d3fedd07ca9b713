from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import margin
from margin.backtests.models import RateModel, Setting, calculated
from margin.historical import normal_multiple, tail_place
from margin.kernels.historical import replace_sorted
from margin.portfolio import Portfolio
from sim.errors import ConfigError
from sim.kernels.state import RATE_ONE
from tests.margin import markets

RETURNS = 0.01 * np.random.default_rng(12).standard_t(4, 420)
DAILY = {"sample_interval": "1d", "update_interval": "1d", "horizon": "1d", "scaling": "sqrt", "tails": "long"}


def rates(regime: str, params: dict[str, Any], returns: np.ndarray = RETURNS) -> np.ndarray:
    """Initial rate of one contract by step, as a fraction."""
    contracts = markets.table(1, 86_400, 1)
    model = margin.create(regime, DAILY | params)
    state = markets.market(contracts, window_cells=model.window_cells(contracts))
    markets.install(state, 0, model, contracts)
    found = []
    for step, level in enumerate(np.concatenate([[0.0], np.cumsum(returns)])):
        state.quotes["mark"] = int(np.rint(8e8 * np.exp(level)))
        markets.publish(state, model, step)
        found.append(state.model_rates[0, 0, 0] / RATE_ONE)
    return np.array(found)


@given(values=st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=30), new=st.floats(-2.0, 2.0), data=st.data())
def test_replacing_a_value_keeps_the_order(values: list[float], new: float, data: st.DataObject) -> None:
    old = data.draw(st.sampled_from(values))
    row = np.array([9.0, *sorted(values), -9.0])
    replace_sorted(row, 1, len(values), old, new)
    left = list(values)
    left.remove(old)
    assert row.tolist() == [9.0, *sorted([*left, new]), -9.0]


@pytest.mark.parametrize("regime", ["hs", "hs_es"])
@pytest.mark.parametrize("confidence", [0.9, 0.975])
def test_a_full_window_is_the_backtests_historical_simulation(regime: str, confidence: float) -> None:
    window = 120
    found = rates(regime, {"window": window, "confidence": confidence})
    measure = "es" if regime == "hs_es" else "var"
    expected = calculated(RateModel("hs", measure, window=window), np.append(RETURNS, 0.0), Setting(confidence)).margin  # type: ignore[arg-type]
    assert found[window:] == pytest.approx(expected[window:], abs=3e-8)


@pytest.mark.parametrize("regime", ["fhs", "fhs_rescaled"])
@pytest.mark.parametrize("days", [1, 4])
def test_a_full_window_is_the_backtests_filtered_simulation(regime: str, days: int) -> None:
    """Long after the start, when neither side remembers its own first variance."""
    window = 100
    scaling = "overlapping" if days > 1 else "sqrt"
    found = rates(
        regime,
        {"window": window, "confidence": 0.95, "decay": 0.9, "horizon": f"{days}d", "scaling": scaling},
    )
    setting = Setting(0.95, days=days, scaling=scaling)  # type: ignore[arg-type]
    expected = calculated(RateModel(regime, decay=0.9, window=window), np.append(RETURNS, 0.0), setting).margin
    assert found[400:] == pytest.approx(expected[400:], rel=1e-6)


@pytest.mark.parametrize("regime", ["hs", "hs_es", "fhs", "fhs_rescaled", "fhs_es", "ewma", "garch"])
def test_the_first_rate_is_the_normal_multiple_of_the_start(regime: str) -> None:
    params = margin.presets()[regime].params
    contracts = markets.table(1, 86_400, 1)
    model = margin.create(regime)
    state = markets.market(contracts, window_cells=model.window_cells(contracts))
    markets.install(state, 0, model, contracts)
    markets.publish(state, model, 0)
    multiple = normal_multiple(params["confidence"], params.get("measure", "var"))
    expected = multiple * np.sqrt(2.0) * params["initial_volatility"]
    assert state.model_rates[0, 0, 0] / RATE_ONE == pytest.approx(expected, abs=1e-9)


def test_the_start_leaves_sample_by_sample() -> None:
    """A window that starts at one per cent and sees half a per cent has forgotten its start after W samples."""
    moves = 0.005 * np.sign(np.sin(np.arange(200) * 2.1))
    path = rates("hs", {"window": 100, "confidence": 0.9, "initial_volatility": 0.01}, moves)
    assert path[0] == pytest.approx(normal_multiple(0.9) * 0.01, abs=1e-8)
    assert np.all(path[100:] == pytest.approx(0.005, abs=1e-6))
    assert path[50] < path[0]


def test_tails_of_a_long_and_a_short() -> None:
    falls = np.where(np.arange(150) % 10 == 0, -0.05, 0.004)
    params = {"window": 100, "confidence": 0.93, "initial_volatility": 0.01}
    long, short, both = (rates("hs", params | {"tails": tails}, falls)[-1] for tails in ("long", "short", "both"))
    assert long == both == pytest.approx(0.05, abs=1e-6)
    assert short == pytest.approx(0.004, abs=1e-6)


def test_linear_liquidation_scales_the_rate() -> None:
    base = {"decay": 0.94, "initial_volatility": 0.01, "confidence": 0.99}
    one = rates("ewma", base)
    linear = rates("ewma", base | {"horizon": "5d", "scaling": "linear"})
    assert linear == pytest.approx(one * np.sqrt(6 * 11 / 30), rel=1e-6)
    shortfall = rates("ewma", base | {"measure": "es"})
    assert shortfall == pytest.approx(one * normal_multiple(0.99, "es") / normal_multiple(0.99), rel=1e-6)


@given(size=st.integers(2, 800), tail=st.sampled_from([0.005, 0.01, 0.025, 0.05, 0.1, 0.25]))
def test_the_place_of_a_quantile(size: int, tail: float) -> None:
    count, part = tail_place(size, tail)
    values = np.arange(size) ** 1.5
    found = values[count - 1] + part * (values[min(count, size - 1)] - values[count - 1])
    assert found == pytest.approx(np.quantile(values, tail), rel=1e-6, abs=1e-6)
    assert 0.0 <= part < 1.0


@pytest.mark.parametrize(
    ("regime", "params", "message"),
    [
        ("hs", {"window": 1}, "window"),
        ("hs", {"decay": 0.9}, "half_life, decay and initial_samples"),
        ("hs", {"quantile": 2.0}, "confidence instead of quantile"),
        ("hs", {"confidence": 1.0}, "confidence"),
        ("hs", {"tails": "up"}, "tails"),
        ("ewma", {"window": 100}, "window only with"),
        ("ewma", {"scaling": "overlapping"}, "only with a window"),
        ("ewma", {"measure": "es", "quantile": 2.0}, "confidence instead of quantile"),
        ("ewma", {"estimator": "hs"}, "window, with estimator"),
        ("fhs", {"alpha": 0.1}, 'only with estimator = "garch"'),
        ("dynamic_buffer", {"buffer_whole_volatility": 0.01}, "or neither"),
        ("dynamic_buffer_level", {"buffer_whole_volatility": 0.05}, "not above buffer_gone_volatility"),
    ],
)
def test_bad_parameters(regime: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        margin.create(regime, params)
    assert len(caught.value.problems) == 1


def test_calibrated_starts() -> None:
    series = {"dataset": "arch:sp500", "end": "2006-12-31"}
    by_window = margin.create("hs", {"calibrate": series}).parameters["initial_volatility"]
    assert by_window == margin.presets()["hs"].params["initial_volatility"]
    filtered = margin.create("fhs", {"calibrate": series}).parameters["initial_volatility"]
    assert filtered == margin.presets()["fhs"].params["initial_volatility"]


@pytest.mark.parametrize(
    ("name", "rate", "initial", "maintenance"),
    [("hs", 0.0193, 96.50, 48.25), ("dynamic_buffer_level", 0.0392571, 196.29, 98.14)],
)
def test_worked_examples_of_the_docs(
    project_root: Path, name: str, rate: float, initial: float, maintenance: float
) -> None:
    text = (project_root / "docs" / "portfolios" / f"{name}.toml").read_text(encoding="utf-8")
    page = "volatility" if name == "hs" else "procyclicality"
    shown = (project_root / "docs" / "regimes" / f"{page}.md").read_text(encoding="utf-8")
    assert text.split("\n\n[[underlyings]]")[0].partition("\n")[2] in shown
    file = Portfolio(**tomllib.loads(text))
    assert file.regime is not None
    snapshot, model = file.snapshot(), margin.create(file.regime, file.params)
    risk, _ = model.publish(snapshot.market, model.init(snapshot.contracts))  # type: ignore[arg-type]
    required = model.requirement(snapshot.portfolio, risk)
    assert risk.rate_initial[0] / RATE_ONE == pytest.approx(rate, abs=5e-8)
    assert required.initial[0] / snapshot.minor == pytest.approx(initial, abs=0.005)
    assert required.maintenance[0] / snapshot.minor == pytest.approx(maintenance, abs=0.005)
