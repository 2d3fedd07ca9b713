from __future__ import annotations

import json
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from margin.backtest import Backtest, backtest, expand, load_prices
from margin.backtests.frontier import dominating
from margin.backtests.models import FAMILIES, Setting
from sim.errors import ConfigError

# Mean margin %, exceedances, Kupiec, peak over trough, largest 1, 5 and 30 day increase in %, from 2004 to 2018
SP500 = {
    "ewma:0.94": (2.23, 89, 50.87, 17.15, 129.8, 181.7, 319.6),
    "ewma:0.97": (2.28, 85, 44.08, 12.82, 69.0, 132.1, 211.3),
    "ewma:0.99": (2.37, 83, 40.83, 7.46, 28.0, 63.9, 103.6),
    "hs:250": (2.82, 66, 17.46, 6.81, 45.8, 63.0, 132.7),
    "hs:500": (2.97, 63, 14.20, 4.23, 17.2, 22.9, 66.5),
    "hs:1250": (3.46, 54, 6.23, 2.44, 8.7, 12.6, 47.3),
    "fhs:0.97/500": (2.82, 53, 5.53, 13.38, 76.8, 228.0, 340.0),
    "ewma:0.97+floor": (3.26, 29, 2.23, 4.20, 27.5, 57.2, 204.2),
    "ewma:0.97+stress": (3.88, 9, 31.91, 4.89, 25.5, 41.8, 148.2),
    "ewma:0.97+buffer": (2.70, 42, 0.47, 10.26, 69.0, 124.6, 200.7),
    "ewma:0.97+speed": (2.26, 90, 52.62, 12.78, 5.0, 27.6, 184.7),
}


@cache
def of_the_sp500() -> Backtest:
    return backtest(load_prices("arch:sp500", "Adj Close"), expand([*SP500, "garch,gjr,flat"]), start="2004-01-02")


@pytest.mark.parametrize("name", SP500)
def test_t20_table_of_the_sp500(name: str) -> None:
    figures = {one["name"]: one for one in of_the_sp500().as_dict()["models"]}[name]
    mean, exceedances, kupiec, ratio, *increases = SP500[name]
    assert len(of_the_sp500().dates) == figures["observations"] == 3775
    assert 100 * figures["mean_margin"] == pytest.approx(mean, rel=0.01)
    assert figures["exceedances"] == exceedances
    assert figures["kupiec"]["statistic"] == pytest.approx(kupiec, rel=0.01)
    assert figures["peak_to_trough"] == pytest.approx(ratio, rel=0.01)
    assert [100 * figures["increases"][days] for days in ("1", "5", "30")] == pytest.approx(increases, rel=0.01)


def test_t20_shape_of_the_table() -> None:
    """Longer memory lowers peak over trough; a filter reacts more; a speed limit spreads calls and keeps their sum."""
    by_name = {one["name"]: one for one in of_the_sp500().as_dict()["models"]}
    for names in (("ewma:0.94", "ewma:0.97", "ewma:0.99"), ("hs:250", "hs:500", "hs:1250")):
        for measure in (lambda one: one["peak_to_trough"], lambda one: one["increases"]["30"]):
            values = [measure(by_name[name]) for name in names]
            assert values == sorted(values, reverse=True)
    assert by_name["fhs:0.97/500"]["increases"]["30"] > by_name["ewma:0.97"]["increases"]["30"]
    assert by_name["ewma:0.97+speed"]["increases"]["1"] <= 0.05 + 1e-12
    assert by_name["ewma:0.97+speed"]["increases"]["30"] > 0.8 * by_name["ewma:0.97"]["increases"]["30"]


def test_the_frontier_and_the_best_forecast_are_named() -> None:
    result = of_the_sp500().as_dict()
    frontier = result["frontier"]
    assert frontier["dominated_by"]["fhs:0.97/500"] == "garch"
    assert set(frontier["non_dominated"]) | set(frontier["dominated_by"]) == {one["name"] for one in result["models"]}
    assert [one["name"] for one in result["forecasts"]] == ["gjr", "ewma:0.94", "ewma:0.97", "garch", "ewma:0.99"]
    json.dumps(result, allow_nan=False)


def write(folder: Path, prices: Any, header: str = "date,close") -> str:
    path = folder / "prices.csv"
    first = date(2020, 1, 1)
    lines = [f"{(first + timedelta(i)).isoformat()},{price}" for i, price in enumerate(prices)]
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return str(path)


WALK = 100.0 * np.exp(np.cumsum(0.01 * np.random.default_rng(1).standard_normal(700)))


@pytest.mark.parametrize(("scaling", "side"), [("sqrt", "long"), ("linear", "short"), ("overlapping", "both")])
def test_every_model_and_tool_runs_on_any_file(tmp_path: Path, scaling: Any, side: Any) -> None:
    models = expand(["all"], ["all,cap=0.2", "floor+speed=0.1"], window=60)
    setting = Setting(confidence=0.95, days=3, scaling=scaling, side=side, lookback=120)
    test = backtest(load_prices(write(tmp_path, WALK)), models, setting)
    names = [one.model.name for one in test.models]
    assert len(set(names)) == len(names) == (2 * len(FAMILIES) - 1) * 8
    for one in test.models:
        assert np.all(np.isfinite(one.margin)) and np.all(one.margin > 0.0)
        assert len(one.hits) == len(test.dates) // 3
    json.dumps(test.as_dict(), allow_nan=False)


def test_losses_of_periods_that_do_not_overlap(tmp_path: Path) -> None:
    series = load_prices(write(tmp_path, WALK))
    test = backtest(series, expand(["flat:0.02"]), Setting(days=5), start="2021-01-01", end="2021-06-30")
    begin = series.dates.index("2021-01-01")
    prices = series.prices[begin - 1 :]
    losses = [-np.log(prices[i + 5] / prices[i]) for i in range(0, len(test.dates) - 4, 5)]
    assert test.models[0].hits.tolist() == [loss > 0.02 for loss in losses]
    figures = test.models[0].figures
    assert figures["worst_shortfall"] == pytest.approx(max(max(losses) - 0.02, 0.0))
    assert (test.dates[0], test.dates[-1]) == ("2021-01-01", "2021-06-30")


def test_a_true_model_is_accepted(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    prices = 100.0 * np.exp(np.cumsum(0.01 * rng.standard_normal(4000)))
    test = backtest(load_prices(write(tmp_path, prices)), expand(["flat:0.0232635,ewma:0.99"]))
    for one in test.models:
        assert one.figures["kupiec"]["accepted"] and one.figures["conditional_coverage"]["accepted"]


def test_the_default_window_begins_when_every_model_is_ready(tmp_path: Path) -> None:
    series = load_prices(write(tmp_path, WALK))
    test = backtest(series, expand(["hs:300,ewma"]))
    assert test.dates[0] == series.dates[301]
    assert expand(["ewma,hs"], ["speed"])[1].name == "ewma:0.97+speed"


BAD: dict[str, tuple[Any, dict[str, Any], str]] = {
    "negative price": ([100.0, -1.0, 100.0], {}, "line 3"),
    "missing price": ([100.0, "nan", 100.0], {}, "line 3"),
    "too short": (WALK[:50], {}, "more than 250 returns"),
    "long window": (WALK, {"models": ["hs:900"]}, "hs:900 needs"),
    "early start": (WALK, {"start": "2020-03-01"}, "needs 250 returns"),
    "late start": (WALK, {"start": "2030-01-01"}, "--start"),
    "start after end": (WALK, {"start": "2021-05-01", "end": "2021-04-01"}, "not after --end"),
    "no day": (WALK, {"start": "2021-02-30"}, "a date, YYYY-MM-DD"),
    "early end": (WALK, {"end": "2020-02-01"}, "--end"),
    "confidence of one": (WALK, {"setting": Setting(confidence=1.0)}, "--confidence"),
    "confidence of none": (WALK, {"setting": Setting(confidence=0.0)}, "--confidence"),
    "no horizon": (WALK, {"setting": Setting(days=0)}, "--horizon"),
    "nothing moves": (np.full(400, 7.0), {}, "prices that move"),
    "no floor yet": (WALK, {"models": ["ewma+floor"]}, "ewma:0.97\\+floor needs"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line(tmp_path: Path, case: str) -> None:
    prices, options, message = BAD[case]
    path = write(tmp_path, prices)
    models = expand(options.get("models", ["ewma"]))
    others = {key: value for key, value in options.items() if key != "models"}
    with pytest.raises(ConfigError, match=message) as caught:
        backtest(load_prices(path), models, **others)
    assert len(caught.value.problems) == 1


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"PRICES.*a file that can be read"):
        load_prices(str(tmp_path / "none.csv"))
    with pytest.raises(ConfigError, match=r"--column.*one of the file's columns"):
        load_prices(write(tmp_path, WALK), "price")
    with pytest.raises(ConfigError, match=r"PRICES.*arch:sp500"):
        load_prices("arch:dax")
    path = tmp_path / "unsorted.csv"
    path.write_text("date,close\n2020-01-02,1\n2020-01-01,2\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="dates in order"):
        load_prices(str(path))


def test_dominating_is_pareto() -> None:
    rng = np.random.default_rng(0)
    table = rng.integers(0, 4, (30, 3)).astype(float)
    for i, by in enumerate(dominating(table)):
        better = [j for j in range(30) if np.all(table[j] <= table[i]) and np.any(table[j] < table[i])]
        assert (by == -1) == (not better)
        assert by in [-1, *better]
    assert dominating([[1.0, np.nan], [1.0, 2.0]]) == [1, -1]
