"""``marginlab feedback``: the map of a moment, as a user asks for it."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.feedback.study import Feedback, lines, measure
from experiments.scenario import load
from experiments.studies import departure
from sim.errors import ConfigError
from tests.experiments.conftest import SMALL

Call = Callable[..., "subprocess.CompletedProcess[str]"]

OPTIONS = """
[[chains]]
name = "OPT"
underlying = "one"
expiry_days = [30, 60]
strikes = 5
tick_size = 0.1
tick_value = 10
priced_on = "mark"

[[populations]]
kind = "option_makers"
name = "dealers"
count = 2
quotes = false

[[events]]
name = "gamma"
kind = "seed_options"
at_step = 100
population = "dealers"
gamma_per_depth = -0.6
"""


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    path = tmp_path / "chain.toml"
    path.write_text(SMALL + OPTIONS, encoding="utf-8")
    return path


def test_the_command_maps_a_moment_and_writes_it(
    marginlab: Call, chain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("experiments.drawing.canvas.printed", False)
    out = tmp_path / "out"
    shown = marginlab("feedback", str(chain), "--at-event", "gamma", "--out", str(out), "--json")
    assert shown.returncode == 0, shown.stderr
    result = json.loads(shown.stdout)
    assert result == json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert result["at_step"] == 100
    assert result["hedgers"] == {"dealers": 1.0}
    assert result["gain"]["fall"]["gamma"] == pytest.approx(0.6, rel=0.1)
    with (out / "map.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(result["bands"])
    assert float(rows[0]["price"]) < float(rows[-1]["price"])
    assert (out / "figures" / "feedback.svg").is_file()
    again = marginlab("report", str(out))
    assert again.returncode == 0, again.stderr
    assert marginlab("feedback", str(chain), "--at-step", "100", "--out", str(out)).returncode != 0


def test_text_says_gains_regions_and_reach(chain: Path) -> None:
    told = "\n".join(lines(measure(Feedback(load(chain), at_event="gamma", width=0.08))))
    assert "Delta hedged by: dealers (1)" in told
    assert "Gain over a fall of 5 %" in told
    assert "sell 0.2 of depth" in told
    quiet = "\n".join(lines(measure(Feedback(load(chain), at_step=60, width=0.08))))
    assert "gamma 0.000" in quiet


def test_sizes_are_shares_of_what_rests_and_feedback_lengthens_the_way(chain: Path) -> None:
    result = measure(Feedback(load(chain), at_event="gamma"))
    for row in result["reach"]:
        rests = result["depth"]["bid" if row["side"] == "sell" else "ask"]
        assert row["lots"] == pytest.approx(row["size"] * rests)
        assert row["whole"] is None or row["whole"] >= row["alone"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--at-event", "nothing"], "--at-event = 'nothing'; allowed: one of"),
        (["--at-step", "500"], "--at-step = 500; allowed: a step of the run, 0 to 400"),
        (["--at-step", "1", "--at-event", "gamma"], "one of --at-step and --at-event"),
        (["--at-step", "x"], "--at-step"),
        (["--contract", "two"], "--contract = 'two'"),
        (["--contract", "OPT-30d-5000-C"], "a perpetual or future"),
        (["--populations", "dealers,nobody"], "--populations = 'nobody'"),
        (["--width", "1.5"], "--width"),
        (["--band", "0"], "--band"),
        (["--at-step", "60", "--band", "99999"], "--band = 99999; allowed: whole ticks"),
        (["--at-step", "60", "--smooth", "0.5"], "--smooth = 0.5; allowed: a share of the price"),
        (["--smooth", "-1"], "--smooth"),
        (["--margin", "nothing"], "margin.regime"),
        (["--seed", "x"], "--seed"),
    ],
)
def test_bad_input_is_one_clear_line(marginlab: Call, chain: Path, arguments: list[str], problem: str) -> None:
    done = marginlab("feedback", str(chain), *arguments)
    assert done.returncode != 0
    assert problem in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"gamma_per_depth": 0}, "gamma_per_depth"),
        ({"gamma_per_depth": None}, "one of gamma_per_depth and lots"),
        ({"lots": 4}, "one of gamma_per_depth and lots"),
        ({"gamma_per_depth": None, "lots": 0}, "lots"),
        ({"strikes": [1.1, 0.9]}, "the least strike first"),
        ({"strikes": [1.1]}, "strikes"),
        ({"chain": "other"}, "chain"),
        ({"expiry_days": [31]}, "an expiry of the chain: 30, 60"),
        ({"population": "nobody"}, "population"),
        ({"contract": "OPT-30d-5000-C"}, "a perpetual or future"),
        ({"leverage": 0}, "leverage"),
    ],
)
def test_events_that_cannot_be_are_refused(chain: Path, keys: dict[str, Any], problem: str) -> None:
    text = chain.read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if line.split(" = ")[0] not in keys or "[[events]]" not in text]
    head, _, tail = text.rpartition("[[events]]")
    kept = [line for line in tail.splitlines() if line.split(" = ")[0] not in keys]
    kept += [f"{key} = {json.dumps(value)}" for key, value in keys.items() if value is not None]
    chain.write_text(head + "[[events]]" + "\n".join(kept), encoding="utf-8")
    with pytest.raises(ConfigError, match=problem) as caught:
        load(chain)
    assert len(caught.value.problems) == 1


def test_the_table_of_the_ladder() -> None:
    row: dict[str, Any] = {
        "design": departure.Design(-0.3, 1.0).label,
        "g all": 0.4,
        **dict.fromkeys(departure.RUNGS, 2.0),
    }
    rows = [row, row | {"law": None, "market": 4.0}, row | {"law": None}]
    head, shown = departure.table(rows)
    cells = dict(zip(head, shown, strict=True))
    assert cells["design"] == "gamma -0.3 + longs 1"
    assert cells["g"] == "0.40"
    assert cells["law"] == "runs away (2.00 to runs away)"
    assert cells["market"] == "2.00 (2.00 to 4.00)"


@pytest.mark.study
def test_the_exchange_does_what_its_book_foretells() -> None:
    for design in (departure.Design(-0.3), departure.Design(0.0, 1.0), departure.Design(-0.2, 0.5)):
        for seed in (7, 8):
            row = departure.measure(design, seed, 0.2)
            assert row["map"] == pytest.approx(row["still"], rel=0.06)
            assert row["still, mid"] < row["still"]
