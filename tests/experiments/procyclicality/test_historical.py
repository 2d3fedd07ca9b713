from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.drawing import canvas
from experiments.procyclicality import historical
from experiments.procyclicality.historical import Prices, check_days, measure
from margin.backtest import expand, load_prices
from margin.backtests.models import Setting
from margin.backtests.procyclicality import ewma_step_response
from sim.errors import ConfigError

SP500 = ("arch:sp500", "adj close")


def asked(models: str, **options: Any) -> Prices:
    given: dict[str, Any] = {"seeds": tuple(range(3)), "step_days": 20, "start": "2004-01-01"} | options
    return Prices(load_prices(*SP500), expand([models]), Setting(), **given)


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(historical, "RESAMPLES", 50)
        return measure(asked("ewma:0.94,ewma:0.99,hs:250,flat:0.03", seeds=tuple(range(40)), step_days=40))


def test_figures_are_those_of_the_backtester(result: dict[str, Any]) -> None:
    """Reference values, computed apart from this program: S&P 500, adjusted closes, 2004 to 2018."""
    fast, historical = result["models"]["ewma:0.94"], result["models"]["hs:250"]
    assert round(100 * fast["mean_margin"], 2) == 2.23
    assert (fast["exceedances"], fast["observations"]) == (89, 3775)
    assert [round(fast["peak_to_trough"], 2), round(100 * fast["rise_1d"], 1)] == [17.15, 129.8]
    assert [round(100 * fast[f"rise_{span}"], 1) for span in ("5d", "30d")] == [181.7, 319.6]
    assert [historical["exceedances"], round(historical["peak_to_trough"], 2)] == [66, 6.81]
    assert result["models"]["flat:0.03"]["correlation_volatility"] is None


def test_response_of_an_ewma_is_the_known_one(result: dict[str, Any]) -> None:
    for decay in (0.94, 0.99):
        found = result["response"]["models"][f"ewma:{decay:g}"]["log_ratio"]
        for day in (5, 20, 40):
            expected = np.log(ewma_step_response(decay, day, 2.0))
            assert found["mean"][day] == pytest.approx(expected, abs=0.06)
            assert found["low"][day] <= found["mean"][day] <= found["high"][day]
        assert found["mean"][0] == 0.0  # known before the step
    assert result["response"]["models"]["flat:0.03"]["peak"]["mean"] == 1.0
    assert result["response"]["models"]["ewma:0.94"]["days_to_half"] in range(4, 10)


def test_memory_decides_how_far_margin_lags(result: dict[str, Any]) -> None:
    fast, slow = (result["models"][name] for name in ("ewma:0.94", "ewma:0.99"))
    assert fast["correlation_volatility"] > slow["correlation_volatility"] > 0.5
    assert slow["lag_volatility_days"] > fast["lag_volatility_days"]
    assert fast["correlation_price"] < -0.05  # margin rises after falls


def test_at_equal_cost_every_mean_is_that_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(historical, "RESAMPLES", 50)
    found = measure(asked("ewma:0.97,hs:250,ewma:0.97+cap=1", equal_cost=True))
    means = [one["mean_margin"] for one in found["models"].values()]
    assert means[0] == pytest.approx(means[1], rel=1e-12)
    assert found["models"]["hs:250"]["scale"] == pytest.approx(means[0] / 0.0282, rel=0.01)
    assert found["models"]["hs:250"]["peak_to_trough"] == pytest.approx(6.81, abs=0.01)
    assert found["frontier"]["resamples"] == 50
    costs = {by["mean_margin"] for by in found["frontier"]["values"].values()}
    assert len(costs) == 1  # not apart by a rounding error, on which a place on the frontier would hang
    assert found["frontier"]["support"]["ewma:0.97"] == found["frontier"]["support"]["ewma:0.97+cap=1"]


def test_days_are_read_or_refused() -> None:
    assert (check_days("--x", "5d"), check_days("--x", "7")) == (5, 7)
    for text in ("1h", "0", "d", "2000d"):
        with pytest.raises(ConfigError, match="whole days"):
            check_days("--x", text)


def test_the_command(marginlab: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(historical, "RESAMPLES", 50)
    monkeypatch.setattr(canvas, "printed", False)  # widths of print have tests of their own
    days = np.datetime64("2020-01-01") + np.arange(700)
    price = 100 * np.exp(np.cumsum(0.01 * np.random.default_rng(3).standard_normal(700)))
    rows = "\n".join(f"{day},{value:.4f}" for day, value in zip(days, price, strict=True))
    (tmp_path / "mine.csv").write_text("date,close\n" + rows + "\n")
    common = ("procyclicality", "mine.csv", "--margin", "ewma:0.97,flat", "--seeds", "2", "--step-for", "5")
    done = marginlab(*common, "--out", "out")
    assert done.returncode == 0, done.stderr
    assert "not dominated" in done.stdout
    names = {path.name for path in (tmp_path / "out" / "tables").glob("*.md")}
    assert names == {"procyclicality.md", "impulse-response.md", "frontier.md"}
    assert {path.stem for path in (tmp_path / "out" / "figures").glob("*.png")} == {
        "frontier", "impulse-response", "lead-lag",
    }  # fmt: skip
    kept = json.loads((tmp_path / "out" / "summary.json").read_text())
    found = json.loads(marginlab(*common, "--json").stdout)
    assert found == kept
    for extra, told in (
        (("--set", "market.steps=5"), "allowed: nothing: it is an option of scenarios"),
        (("--event", "sale"), "--event"),
        (("--period", "1h"), "--period = '1h'; allowed: whole days"),
        (("--factor", "x"), "--factor"),
        (("--start", "2030-01-01"), "--start"),
        (("--margin", "ewna"), "--model"),
    ):
        bad = marginlab(*common, *extra)
        assert bad.returncode != 0
        assert len(bad.stderr.strip().splitlines()) == 1
        assert told in bad.stderr, bad.stderr
