"""``marginlab calibrate`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments import scenario
from experiments.calibration import study as study_module
from experiments.calibration.bars import Bars
from experiments.calibration.moments import measure, parse
from experiments.calibration.simulate import Sampling, bars_of, light
from experiments.cli import main

SHORT = ["--set", "market.burn_in=60"]
FREE = ["--free", "populations.noise.arrivals=2:9:log"]
SMALL = ["--moments", "sd,acf:1,variance_ratio:5", "--seeds", "2", "--budget", "8", "--replications", "100",
         "--slices", "3", "--block", "20", "--step", "0.2"]  # fmt: skip


def _simulated(arrivals: float = 5.0, seed: int = 1000, steps: int = 460) -> Bars:
    sampling = Sampling(1, "last", "perp", "sd")
    texts = ["market.burn_in=60", f"market.steps={steps}", f"populations.noise.arrivals={arrivals}"]
    return bars_of(light(scenario.load("calm", texts), sampling), seed, sampling)


@pytest.fixture(scope="module")
def minutes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Minute bars of a simulated market, as a user's file."""
    bars = _simulated()
    time = pd.date_range("2024-05-01", periods=bars.count, freq="60s")
    path = tmp_path_factory.mktemp("data") / "minutes.csv"
    frame = pd.DataFrame({"time": time, "close": bars.price[1:], "volume": bars.volume})
    frame.to_csv(path, index=False)
    return path


def _run(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    code = ended.value.code
    return code if isinstance(code, int) else 0


def test_a_user_file_is_calibrated_to(minutes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    command = ["calibrate", "calm", "--data", str(minutes), *FREE, *SMALL, *SHORT, "--out", str(out), "--json"]
    assert _run(command) == 0
    result = json.loads(capsys.readouterr().out)
    (row,) = result["parameters"]
    assert 2.0 <= row["estimate"] <= 9.0
    assert result["data"]["bars"] == 399
    assert result["sampling"]["bars"] >= 399
    assert result["test"]["degrees"] == 2
    assert {"data", "low", "high", "simulated", "t", "inside"} <= set(result["moments"][0])
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "populations.noise.arrivals" in page
    assert "marginlab calibrate calm --data" in page
    assert (out / "figures" / "calibration.png").stat().st_size > 10_000
    assert row["name"] in (out / "tables" / "parameters.csv").read_text(encoding="utf-8")
    assert len((out / "tables" / "moments.csv").read_text(encoding="utf-8").splitlines()) == len(result["moments"]) + 1
    assert json.loads((out / "manifest.json").read_text())["status"] == "finished"


def test_a_killed_calibration_goes_on(
    minutes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job dies at its sixth run; asked again, it runs the rest alone and comes to the same result."""
    command = ["calibrate", "calm", "--data", str(minutes), *FREE, *SMALL, *SHORT, "--json"]
    assert _run(command) == 0
    whole = json.loads(capsys.readouterr().out)
    ran: list[Any] = []
    real = study_module.simulate

    def dying(task: Any) -> Any:
        if len(ran) == 5:
            raise KeyboardInterrupt
        ran.append(task)
        return real(task)

    monkeypatch.setattr(study_module, "simulate", dying)
    assert _run([*command, "--out", str(tmp_path / "out")]) == 130
    capsys.readouterr()
    kept = len(list((tmp_path / "out" / "evaluations").glob("*.json")))
    assert kept == 2
    ran.clear()

    def counted(task: Any) -> Any:
        ran.append(task)
        return real(task)

    monkeypatch.setattr(study_module, "simulate", counted)
    assert _run([*command, "--out", str(tmp_path / "out")]) == 0
    resumed = json.loads(capsys.readouterr().out)
    assert resumed["results_hash"] == whole["results_hash"]
    assert resumed["parameters"] == whole["parameters"]
    assert len(ran) == whole["search"]["runs"] - 2 * kept


def test_recovery_from_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    command = ["calibrate", "calm", *FREE, *SMALL, *SHORT, "--recover", "2", "--bar", "60", "--bars", "400"]
    assert _run([*command, "--set", "populations.noise.arrivals=5", "--out", str(out)]) == 0
    told = capsys.readouterr().out
    assert "2 series of" in told
    assert "coverage" in told
    assert (out / "tables" / "recovery.csv").read_text(encoding="utf-8").startswith("parameter,truth,mean,bias")


def test_moments_answer_to_parameters_as_they_should() -> None:
    """More takers on the same book: a noisier close. The simulated series is sampled at the data's bar length."""
    calm, busy = _simulated(2.0, steps=1060), _simulated(9.0, steps=1060)
    sd = parse("sd")
    assert measure(busy, sd)[0] > 1.2 * measure(calm, sd)[0]
    fives = Sampling(5, "mid", "perp", "sd,spread")
    texts = ["market.burn_in=60", "market.steps=460"]
    sampled = bars_of(light(scenario.load("calm", texts), fives), 1000, fives)
    assert (sampled.seconds, sampled.count) == (300.0, 80)
    assert sampled.spread is not None
    assert 1e-4 < sampled.spread.mean() < 1e-2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--free"),
        (["--free", "world.volatility=0.01:0.1"], "--data"),
        (["--free", "world.volatilty=0.01:0.1", "--data", "FILE"], "did you mean"),
        (["--free", "world.volatility=0.01:0.1", "--data", "nothing.csv"], "nothing.csv"),
        (["--free", "world.volatility=0.01:0.1", "--data", "FILE", "--moments", "spread"], "spread"),
        (["--free", "world.volatility=0.01:0.1", "--data", "FILE", "--moments", "acf_abs:300"], "acf_abs:300"),
        (["--free", "world.volatility=0.01:0.1", "--free", "world.drift=0:0.1", "--data", "FILE", "--moments", "sd"],
         "--moments"),
        (["--free", "world.volatility=0.01:0.1", "--data", "FILE", "--global", "guess"], "--global"),
        (["--free", "world.volatility=0.01:0.1", "--data", "FILE", "--budget", "2"], "--budget"),
        (["--free", "world.volatility=0.01:0.1", "--data", "FILE", "--bar", "90"], "--bar"),
        (["--free", "world.volatility=0.01:0.1", "--data", "FILE", "--contract", "btc"], "--contract"),
        (["--free", "world.volatility=0.01:0.1", "--data", "FILE", "--recover", "5"], "--recover"),
        (["--free", "world.volatility=0.01:0.1", "--data", "FILE", "--error-seeds", "3"], "--error-seeds"),
        (["--free", "populations.hedgers.count=2.5:9", "--data", "FILE"], "whole bounds"),
        (["--free", "margin.params.initial=0.01:0.1", "--recover", "3", "--seeds", "999:1003"], "--data-seeds"),
    ],
)  # fmt: skip
def test_bad_input_is_told_before_any_run(
    arguments: list[str], said: str, minutes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(minutes) if text == "FILE" else text for text in arguments]
    assert _run(["calibrate", "calm", *given]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err
    assert "Traceback" not in shown.err


def test_a_step_that_is_no_part_of_a_bar_is_refused(
    minutes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_csv(minutes)
    frame["time"] = pd.date_range("2024-05-01", periods=len(frame), freq="30s")
    path = tmp_path / "halves.csv"
    frame.to_csv(path, index=False)
    command = ["calibrate", "calm", "--data", str(path), *FREE, "--set", "market.dt_seconds=20"]
    assert _run(command) == 2
    assert "multiple of the scenario's step of 20 s" in capsys.readouterr().err
