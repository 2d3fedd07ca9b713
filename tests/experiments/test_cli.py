"""The command line as a user meets it: what is printed, the exit code, and that bad input writes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.experiments.conftest import ROOT

Call = Callable[..., "subprocess.CompletedProcess[str]"]


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def refused(result: subprocess.CompletedProcess[str], folder: Path, before: set[str], *parts: str) -> None:
    """One clear line, exit code 2, nothing on standard output, nothing written."""
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("marginlab: ")
    for part in parts:
        assert part in lines[0], lines[0]
    assert files(folder) == before


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, experiments.cli as cli\n"
        "try:\n    cli.main(['--help'])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "heavy = {'mesa', 'numba', 'pandas', 'matplotlib', 'numpy', 'scipy', 'pyarrow', 'pydantic', 'rich'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


def test_help_answers_at_once() -> None:
    resource = pytest.importorskip("resource")

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "experiments", "--help"], cwd=ROOT, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # processor time: on a busy machine the clock says more about its neighbours
    assert min(seconds() for _ in range(5)) < 0.3


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--set", "margin.regime=statik"], ["--set", "margin.regime", "'statik'", 'did you mean "static"']),
        (["--set", "populations.noise.kind=noisy"], ["populations.noise.kind", "'noisy'", 'did you mean "noise"']),
        (["--set", "clearing.marc=mid"], ["clearing.marc", "'mid'", 'did you mean "mark"']),
        (["--set", "contracts.one.tick_value=2.5"], ["contracts.one.tick_value", "2.5", "nearest is 2"]),
        (["--set", "contracts.one.tick_value=900000000000"], ["contracts.one.tick_value", "2^62", "at most"]),
        (["--set", "populations.noise.count=0"], ["populations.noise.count", "0", "at least 1"]),
        (["--seed", "1.5"], ["--seed", "'1.5'", "whole number"]),
        (["--seeds", "a:b"], ["--seeds", "'a:b'", "50000:50080"]),
        (["--margin", "portfolo"], ["portfolo", 'did you mean "portfolio"']),
        (["--plugin", "missing.py"], ["--plugin", "missing.py"]),
        (["--nonsense"], ["--nonsense"]),
        (["--jobs", "0"], ["--jobs", "0"]),
    ],
)
def test_bad_input_is_one_line(
    marginlab: Call, small: Path, tmp_path: Path, arguments: list[str], parts: list[str]
) -> None:
    before = files(tmp_path)
    refused(marginlab("run", str(small), "--out", "out", *arguments), tmp_path, before, *parts)


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        ("2020-01-02,100\n2020-01-03,-1\n2020-01-06,100\n2020-01-07,101\n2020-01-08,99\n", "-1"),
        ("2020-01-02,100\n2020-01-03,nan\n2020-01-06,100\n2020-01-07,101\n2020-01-08,99\n", "nan"),
        ("2020-01-02,100\n2020-01-03,99\n2020-03-06,100\n2020-03-07,101\n2020-03-09,99\n", "2020-03-06"),
    ],
)
def test_bad_prices_are_one_line(marginlab: Call, small: Path, tmp_path: Path, rows: str, part: str) -> None:
    (tmp_path / "prices.csv").write_text("date,close\n" + rows, encoding="utf-8")
    world = 'kind = "gbm"\nvolatility = 0.03'
    text = small.read_text(encoding="utf-8").replace(world, 'kind = "historical"\npath = "prices.csv"')
    small.write_text(text, encoding="utf-8")
    before = files(tmp_path)
    refused(marginlab("run", str(small), "--out", "out"), tmp_path, before, "prices.csv", part)


def test_bad_input_ends_a_process_as_it_ends_the_command(marginlab_process: Call, small: Path, tmp_path: Path) -> None:
    before = files(tmp_path)
    arguments = ("run", str(small), "--out", "out", "--set", "margin.regime=statik")
    refused(marginlab_process(*arguments), tmp_path, before, "margin.regime", "'statik'")


def test_every_mistake_of_a_file_is_told_at_once_with_the_name_of_the_file(
    marginlab: Call, small: Path, tmp_path: Path
) -> None:
    text = small.read_text(encoding="utf-8")
    text = text.replace('regime = "static"', 'regime = "statik"').replace("steps = 400", "stepps = 400")
    small.write_text(text, encoding="utf-8")
    result = marginlab("compare", str(small), "--out", "out")
    assert result.returncode == 2
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"marginlab: {small}: ") for line in lines)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_empty_is_refused(marginlab: Call, small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine", encoding="utf-8")
    refused(marginlab("run", str(small), "--out", "full"), folder, {"thesis.txt"}, "--out", "full", "not empty")


def test_a_run_gives_json_and_a_whole_folder(
    marginlab: Call, marginlab_process: Call, small: Path, tmp_path: Path
) -> None:
    options = ("--seed", "3", "--check", "--json", "--out", "out", "--set", "record.trades=true")
    result = marginlab_process("run", str(small), *options)
    assert result.returncode == 0, result.stderr
    printed = json.loads(result.stdout)
    folder = tmp_path / "out"
    assert printed == json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert printed["seed"] == 3
    assert {"r0_event", "open_interest_event", "drawdown", "bad_debt"} <= printed["measures"].keys()
    for name in ("steps", "events", "accounts", "trades"):
        assert (folder / f"{name}.parquet").is_file()
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["status"] == "finished"
    assert manifest["results_hash"] == printed["results_hash"]
    assert manifest["scenario"]["market"]["steps"] == 400
    assert manifest["environment"]["versions"]["numba"]
    assert (folder / "report.html").is_file()
    for name in ("tables/outcomes.csv", "figures/column/leverage.pdf", "figures/double/leverage.svg", "paper.tex"):
        assert (folder / name).stat().st_size > 100
    assert not list(folder.rglob("*.partial"))
    refused(marginlab("run", str(small), "--seed", "3", "--out", "out"), folder, files(folder), "--out", "finished run")


def test_listings(marginlab: Call) -> None:
    assert set(json.loads(marginlab("scenarios", "--json").stdout)) >= {"calm", "shock", "crisis-2008"}
    assert "portfolio" in marginlab("regimes").stdout
    assert "count" in marginlab("agents", "noise").stdout
    shown = marginlab("scenarios", "shok")
    assert shown.returncode == 2
    assert 'did you mean "shock"' in shown.stderr


def test_a_folder_that_shadows_a_package_is_named(marginlab_process: Call, tmp_path: Path) -> None:
    (tmp_path / "margin").mkdir()
    (tmp_path / "margin" / "__init__.py").write_text("", encoding="utf-8")
    result = marginlab_process("regimes", PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert result.returncode == 2
    assert str(tmp_path / "margin") in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
