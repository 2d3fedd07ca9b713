"""The benchmark harness measures what it says; its plain Mesa agents follow the rule they stand for."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import pytest

from experiments.bench import __main__ as bench
from experiments.bench.calibration import Benchmark, Calibration, measure, select
from experiments.bench.plain_mesa import PlainMarket, Rule


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return Calibration()


def test_the_loop_has_a_rate(calibration: Calibration) -> None:
    assert calibration.rate() > 0


class Scripted(Calibration):
    """A calibration loop whose rates are given: before and after each round."""

    def __init__(self, *rates: float) -> None:
        self._rates = iter(rates)

    def rate(self) -> float:
        return next(self._rates)


def test_a_figure_is_the_median_of_its_rounds() -> None:
    seconds = iter([9.0, 1.0, 2.0, 4.0])  # the first call warms up and does not count
    loop = Scripted(1.0, 3.0, 10.0, 10.0, 4.0, 4.0)

    figure = measure(Benchmark("x.y", "things/s", lambda: lambda: (8.0, next(seconds)), rounds=3), loop)

    assert (figure.value, figure.best, figure.rounds) == (4.0, 8.0, 3)
    assert figure.calibration == 4.0
    assert figure.ratio == 0.5  # the median of 8/2, 4/10 and 2/4, not the ratio of the medians
    assert figure.command.endswith("--only x.y")


def test_times_are_reported_as_seconds() -> None:
    seconds = iter([9.0, 1.0, 2.0, 4.0])
    loop = Scripted(2.0, 2.0, 3.0, 3.0, 5.0, 5.0)

    figure = measure(Benchmark("x", "s", lambda: lambda: (1.0, next(seconds)), rounds=3, inverse=True), loop)

    assert (figure.value, figure.best) == (2.0, 1.0)
    assert figure.ratio == 6.0  # the median of 1 x 2, 2 x 3 and 4 x 5


def test_benchmarks_are_chosen_by_name_or_first_words() -> None:
    names = ("market.step.1000", "market.advance.1000", "book.mixed")
    found = [Benchmark(name, "1/s", lambda: lambda: (1.0, 1.0)) for name in names]

    assert [b.name for b in select(found, "market")] == list(names[:2])
    assert [b.name for b in select(found, "book.mixed,market.step.1000")] == [names[0], names[2]]
    assert len(select(found, "")) == 3
    assert select(found, "mark") == []


def test_the_file_holds_name_value_unit_and_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ticks = count(1)
    quick = Benchmark("some.thing", "things/s", lambda: lambda: (1.0, 1.0 + 0 * next(ticks)), rounds=2)
    monkeypatch.setattr(bench, "benchmarks", lambda: [quick])

    assert bench.main(["--out", str(tmp_path / "bench.json")]) == 0

    (row,) = json.loads((tmp_path / "bench.json").read_text())
    assert (row["name"], row["value"], row["unit"]) == ("some.thing", 1.0, "things/s")
    assert row["command"] and row["calibration"] > 0
    assert "some.thing" in capsys.readouterr().out


def test_an_unknown_name_is_told_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--only", "nothing"]) == 2
    assert "book.operations" in capsys.readouterr().err


def test_names_are_unique() -> None:
    names = [benchmark.name for benchmark in bench.benchmarks()]
    assert len(names) == len(set(names))


def test_plain_followers_open_on_a_trend_hold_and_leave_when_it_turns() -> None:
    up = [5000.0 * 1.001**step for step in range(400)]
    down = [up[-1] * 0.997**step for step in range(400)]
    rule = Rule(period=1, horizon_low=50, horizon_high=50, contrarian_share=0.0, attention=0.999999, bias=0.0)
    market = PlainMarket([price + (step % 2) * 5 for step, price in enumerate(up + down)], 20, rule)
    traders = list(market.agents)

    for _ in range(300):
        market.step()
    held = [trader.lots for trader in traders]
    assert all(lots > 0 for lots in held)
    assert all(trader.lots * trader.entry <= 45.0 * trader.cash * (1 + 1e-9) for trader in traders)

    for _ in range(90):
        market.step()
    assert [trader.lots for trader in traders] == held  # no rebalancing

    for _ in range(150):
        market.step()
    assert all(trader.lots <= 0 for trader in traders)
