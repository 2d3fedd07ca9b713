"""``marginlab validate`` as a user calls it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments import cli
from experiments.validation.checks import registered

Call = Callable[..., "subprocess.CompletedProcess[str]"]
Here = Callable[..., tuple[int, str, str]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """Call the command within this process, which has the compiled code: exit code, standard output and error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as end:
            cli.main(["validate", *arguments])
        assert isinstance(end.value.code, int)
        return end.value.code, *capsys.readouterr()

    return call


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--bands", "facts-spred"], ["--bands", "facts-spread"]),
        (["--seeds-from", "-1"], ["--seeds-from", "whole number"]),
        (["--seeds-from", "1e3"], ["--seeds-from", "whole number"]),
        (["--jobs", "0"], ["--jobs"]),
        (["--scenario", "clam"], ["clam", "calm"]),
        (["--shock", "calm"], ["seed_open_interest"]),
        (["--set", "market.stepz=5"], ["market.stepz"]),
        (["--scenario", "calm", "--bands", "impact-prefactor-r0-1"], ["--shock"]),
    ],
)
def test_bad_input_is_refused_before_any_work(
    here: Here, tmp_path: Path, arguments: list[str], parts: list[str]
) -> None:
    code, output, problem = here(*arguments, "--out", "out")
    assert (code, output) == (2, "")
    assert len(problem.strip().splitlines()) == 1, problem
    for part in parts:
        assert part in problem
    assert not list(tmp_path.iterdir())


def test_the_list_of_bands_runs_nothing(here: Here) -> None:
    code, output, _ = here("--list", "--json")
    assert code == 0
    assert {band["id"] for band in json.loads(output)} == {b.id for check in registered() for b in check.bands}


def test_a_validation_of_a_users_market_is_kept_and_reported(marginlab: Call, here: Here, tmp_path: Path) -> None:
    short = ["--set", "market.steps=2000", "--set", "market.burn_in=500"]
    arguments = ["--scenario", "calm", "--quick", "--bands", "facts", *short, "--jobs", "1"]
    done = marginlab("validate", *arguments, "--out", "out", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {row["group"] for row in result["rows"]} == {"stylised facts"}
    assert result["markets"] == {"calm": "calm"}
    assert "1 of 1 checks" in done.stderr
    assert json.loads((tmp_path / "out/summary.json").read_text()) == result
    page = (tmp_path / "out/validation.md").read_text()
    assert all(f"`{row['id']}`" in page for row in result["rows"])
    assert (tmp_path / "out/figures/bands.png").is_file()
    assert "(figures/bands.png)" in page
    assert all(row["id"] in (tmp_path / "out/tables/validation.csv").read_text() for row in result["rows"])
    code, _, problem = here(*arguments, "--out", "out")
    assert code != 0
    assert "finished run" in problem


def test_strict_ends_with_an_error_on_a_miss(here: Here) -> None:
    wide = ["--scenario", "calm", "--quick", "--bands", "facts-spread", "--jobs", "1", "--set", "market.steps=2000"]
    spoilt = [*wide, "--set", "populations.makers.half_spread_ticks=60", "--set", "populations.latent.arrivals=0.5"]
    code, output, _ = here(*spoilt)
    assert code == 0
    assert "MISS   facts-spread" in output
    assert here(*spoilt, "--strict")[0] == 1


@pytest.mark.study
def test_the_quick_run_measures_every_band(marginlab: Call) -> None:
    done = marginlab("validate", "--quick", "--jobs", "2", "--seeds-from", "1000", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["errors"] == {}
    assert {row["id"] for row in result["rows"]} == {
        band.id for check in registered() for band in check.bands if band.quick_seeds
    }
    assert all(row["value"] is not None for row in result["rows"])
