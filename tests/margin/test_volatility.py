from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import margin
from margin.calibration import SeriesParameters, log_returns
from margin.volatility import (
    calibrate_ewma,
    calibrate_garch,
    decay_of_half_life,
    half_life_of_decay,
    recursion,
)
from sim.errors import ConfigError

BEFORE_2007 = {"dataset": "arch:sp500", "end": "2006-12-31"}


@pytest.mark.parametrize(("decay", "half_life"), [(0.94, 11.2), (0.97, 22.8), (0.99, 69.0)])
def test_half_lives_of_the_usual_decays(decay: float, half_life: float) -> None:
    assert half_life_of_decay(decay) == pytest.approx(half_life, abs=0.05)
    assert decay_of_half_life(half_life_of_decay(decay)) == pytest.approx(decay, abs=1e-14)


@pytest.mark.parametrize(("decay", "ratio"), [(0.94, 3.695), (0.97, 3.160), (0.99, 2.215)])
def test_response_to_a_step_of_volatility_from_1_to_4_percent(decay: float, ratio: float) -> None:
    """Expected sigma over its start after 30 samples, sqrt(lambda^n + (1 - lambda^n) 16)."""
    variance = recursion(np.full(30, 0.04), 0.0, 1.0 - decay, decay, 0.01**2)
    assert np.sqrt(variance[-1]) / 0.01 == pytest.approx(ratio, abs=5e-4)


def test_ewma_over_the_sp500_up_to_2006_is_what_the_presets_hold() -> None:
    returns = log_returns(SeriesParameters(**BEFORE_2007))
    assert len(returns) == 2010
    found = calibrate_ewma(returns, 0.97)
    assert found.volatility == margin.presets()["dynamic_daily"].params["initial_volatility"]
    root_mean_square = float(np.sqrt(np.mean(returns**2)))
    assert root_mean_square == pytest.approx(margin.presets()["dynamic_floor"].params["floor_volatility"], rel=1e-5)
    years = [np.sqrt(np.mean(returns[i - 250 : i] ** 2)) for i in range(250, len(returns) + 1)]
    assert max(years) == pytest.approx(margin.presets()["dynamic_stress"].params["stress_volatility"], rel=1e-4)


def test_garch_over_the_sp500_up_to_2006_is_what_the_preset_holds() -> None:
    found = calibrate_garch(log_returns(SeriesParameters(**BEFORE_2007)))
    stored = margin.presets()["dynamic_garch"].params
    assert found.alpha == pytest.approx(stored["alpha"], rel=1e-2)
    assert found.beta == pytest.approx(stored["beta"], rel=1e-3)
    assert found.omega == pytest.approx(stored["omega"], rel=2e-2)
    assert found.volatility == pytest.approx(stored["initial_volatility"], rel=1e-3)


def test_garch_over_the_whole_sp500_series() -> None:
    """Zero-mean normal GARCH(1,1) on 100 x log returns, 1999-2018: (0.0172, 0.0981, 0.8892)."""
    found = calibrate_garch(log_returns(SeriesParameters(dataset="arch:sp500")))
    assert (found.omega * 1e4, found.alpha, found.beta) == pytest.approx((0.0172, 0.0981, 0.8892), abs=2e-4)


def test_correlation_of_the_portfolio_preset() -> None:
    series = [
        log_returns(SeriesParameters(**BEFORE_2007 | {"dataset": f"arch:{name}"})) for name in ("sp500", "nasdaq")
    ]
    assert np.corrcoef(series)[0, 1] == pytest.approx(margin.presets()["portfolio"].params["correlation"], abs=5e-4)


@pytest.mark.parametrize("regime", ["dynamic_daily", "dynamic_garch"])
def test_a_calibration_becomes_stored_parameters_that_repeat_it(regime: str) -> None:
    each = {"a": BEFORE_2007, "b": BEFORE_2007 | {"dataset": "arch:nasdaq"}}
    model = margin.create(regime, {"calibrate": each})
    stored = model.parameters
    assert "calibrate" not in stored
    assert stored["initial_volatility"]["a"] < stored["initial_volatility"]["b"]
    again = margin.create(regime, stored)
    assert again.parameters == stored


def test_calibration_on_a_file_and_what_it_refuses(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    closes = 100.0 * np.exp(np.cumsum(0.01 * rng.standard_normal(400)))
    days = np.datetime64("2001-01-01") + np.arange(400)
    file = tmp_path / "prices.csv"
    file.write_text("date,close\n" + "\n".join(f"{d},{p!r}" for d, p in zip(days, closes.tolist(), strict=True)))
    found = margin.create("dynamic_daily", {"calibrate": {"path": str(file)}, "decay": 0.99}).parameters
    assert found["initial_volatility"] == pytest.approx(0.01, rel=0.15)
    with pytest.raises(ConfigError, match=r"margin\.params\.calibrate"):
        margin.create("dynamic_daily", {"calibrate": {"path": str(tmp_path / "none.csv")}})
    with pytest.raises(ConfigError, match="at least 250"):
        margin.create("dynamic_daily", {"calibrate": {"path": str(file), "end": "2001-03-01"}})
    with pytest.raises(ConfigError, match=r"margin\.params\.calibrate\.dataset"):
        margin.create("dynamic_daily", {"calibrate": {"dataset": "arch:none"}})
    with pytest.raises(ConfigError, match="exactly one of dataset, path"):
        margin.create("dynamic_daily", {"calibrate": {"column": "close"}})
    with pytest.raises(ConfigError, match="sample_interval"):
        margin.create("dynamic", {"calibrate": {"path": str(file)}})
