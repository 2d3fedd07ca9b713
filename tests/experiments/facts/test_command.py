"""``marginlab stylized-facts`` as a user runs it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import scenario
from experiments.drawing.facts import figure
from experiments.facts.command import lines
from experiments.facts.series import is_series, read
from experiments.studies.stylized_facts import StylizedFacts, measure, measure_series
from sim.errors import ConfigError
from tests.experiments.facts.truth import prices

Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def daily(tmp_path: Path) -> Path:
    """Fifteen hundred daily closes as a plain file."""
    rng = np.random.default_rng(0)
    index = pd.bdate_range("2015-01-01", periods=1501)
    frame = pd.DataFrame({"Date": index.strftime("%Y-%m-%d"), "Close": prices(0.01 * rng.standard_t(4, 1500)).round(4),
                          "Volume": rng.integers(1_000, 9_000, 1501)})  # fmt: skip
    path = tmp_path / "daily.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture
def trades(tmp_path: Path) -> Path:
    """A day of trades with sides."""
    rng = np.random.default_rng(1)
    n = 20_000
    time = pd.Timestamp("2024-03-01") + pd.to_timedelta(np.sort(rng.uniform(0, 86_399, n)), unit="s")
    frame = pd.DataFrame({"time": time.strftime("%Y-%m-%dT%H:%M:%S.%f"), "price": prices(1e-4 * rng.normal(size=n - 1)),
                          "size": rng.integers(1, 9, n), "side": rng.choice(["buy", "sell"], n)})  # fmt: skip
    path = tmp_path / "trades.csv"
    frame.to_csv(path, index=False)
    return path


def test_which_sources_are_files() -> None:
    assert all(is_series(text) for text in ("arch:sp500", "a/b.csv", "x.CSV", "x.parquet", "t.csv.gz"))
    assert not any(is_series(text) for text in ("calm", "my.toml", "folder/shock"))


def test_a_daily_file(marginlab: Call, daily: Path) -> None:
    result = marginlab("stylized-facts", str(daily))
    assert result.returncode == 0, result.stderr
    assert "autocorrelation of daily returns, lag 1" in result.stdout
    assert "Not measurable on this series:" in result.stdout
    assert "need quotes" in result.stdout
    assert "Results hash:" in result.stdout


def test_a_daily_file_has_daily_facts_and_a_page(daily: Path, tmp_path: Path) -> None:
    result = measure_series(*read(str(daily)))
    by = {row["name"]: row for row in result["sheet"]["facts"]}
    assert by["hill_day"]["median"] == pytest.approx(3.2, abs=0.8)
    assert by["volume_volatility_day"]["median"] is not None
    assert by["ac1"]["verdict"] == by["spread_bp"]["verdict"] == "not measurable"
    drawn = figure(result, tmp_path)
    assert drawn.png.stat().st_size > 20_000
    assert drawn.svg.is_file()
    assert "stylised facts" in drawn.title


def test_minute_bars_and_trades_go_through_the_same_measures(trades: Path) -> None:
    tape, described = read(str(trades))
    assert tape.dt_seconds == 60.0
    assert tape.has == ("volume", "order_signs", "order_lots")
    assert described["rows"] == {"trades": 20_000}
    found = {row["name"]: row for row in measure_series(tape, described)["sheet"]["facts"]}
    assert found["ac1"]["verdict"] == "pass"
    assert found["sign_ac1"]["verdict"] == "miss"  # independent signs
    assert found["sign_ac1"]["median"] == pytest.approx(0.0, abs=0.03)
    finer, _ = read(str(trades), bar_seconds=10.0)
    assert finer.dt_seconds == 10.0


def test_a_scenario_over_seeds(marginlab: Call, small: Path, tmp_path: Path) -> None:
    result = marginlab("stylized-facts", str(small), "--seeds", "2", "--json", "--out", "kept")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["seeds"] == [0, 1]
    assert found["events"] == ["positions", "sale"]
    assert {run["seed"] for run in found["runs"]} == {0, 1}
    assert (tmp_path / "kept" / "figures" / "stylized-facts.svg").is_file()
    assert "| mean quoted spread " in (tmp_path / "kept" / "tables" / "stylized-facts.md").read_text(encoding="utf-8")
    assert measure(StylizedFacts(scenario.load(small), (0, 1)))["results_hash"] == found["results_hash"]


def test_days_are_those_after_the_burn_in() -> None:
    study = StylizedFacts(scenario.load("calm"), (0,), days=2.0)
    assert study.measured.steps == 1440 + 2 * 1440
    result = measure(StylizedFacts(scenario.load("calm"), (0, 1), days=1.0))
    assert result["days"] == 1.0
    by = {row["name"]: row for row in result["sheet"]["facts"]}
    assert 5 < by["spread_bp"]["median"] < 60
    assert by["ac1"]["n"] == 2
    assert by["volatility_day"]["verdict"] == "not measurable"  # a day has too few hours
    text = "\n".join(lines(result))
    assert "2 seeds x 1 days" in text
    assert "order signs" in text


def test_a_scenario_that_keeps_few_steps_is_measured_at_every_step() -> None:
    sparse = scenario.load("calm", ["market.steps=4320", "record.every=7"])
    fine = scenario.load("calm", ["market.steps=4320"])
    assert measure(StylizedFacts(sparse, (0,)))["sheet"] == measure(StylizedFacts(fine, (0,)))["sheet"]


def test_results_are_those_of_a_run_without_the_record_of_trades() -> None:
    from experiments import build, run

    loaded = scenario.load("calm", ["market.steps=1600"])
    market = build.market(loaded, 5)
    run.advance(market, 1600, 1600)
    assert measure(StylizedFacts(loaded, (5,)))["runs"][0]["results_hash"] == market.results_hash()
    market.close()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("nowhere.csv",), "nowhere.csv"),
        (("arch:dax",), "arch:sp500"),
        (("arch:sp500", "--column", "Price"), "--column"),
        (("arch:sp500", "--seeds", "3"), "--seeds"),
        (("arch:sp500", "--set", "market.steps=3"), "--set"),
        (("calm", "--column", "Close"), "--column"),
        (("calm", "--days", "-1"), "--days"),
        (("calm", "--days", "x"), "--days"),
        (("calm", "--contract", "other"), "--contract"),
        (("calm", "--set", "market.steps=1450"), "market.steps"),
        (("shock", "--days", "0.1"), "--days"),
        (("unknown",), "unknown"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(arguments: tuple[str, ...], part: str, tmp_path: Path,
                                                  capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    from experiments.cli import main

    out = tmp_path / "out"
    with pytest.raises(SystemExit) as ended:
        main(["stylized-facts", *arguments, "--out", str(out)])
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.strip().splitlines()) == 1
    assert part in shown.err
    assert not out.exists()


def test_a_series_needs_a_date_column(tmp_path: Path) -> None:
    path = tmp_path / "bare.csv"
    path.write_text("a,b\n1,2\n3,4\n", encoding="utf-8")
    with pytest.raises(ConfigError):
        read(str(path))
