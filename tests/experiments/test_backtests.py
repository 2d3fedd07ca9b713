"""The command ``marginlab backtest``: output, files, figures, errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.cli import main

SP500 = ("backtest", "arch:sp500", "--column", "adj close", "--start", "2004-01-01", "--end", "2009-12-31")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    return int(left.value.code or 0)


def test_table_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    out = tmp_path / "out"
    assert run(*SP500, "--model", "ewma:0.94,hs:250", "--model", "flat", "--overlay", "floor", "--out", str(out)) == 0
    text = capsys.readouterr().out
    for word in ("ewma:0.94+floor", "hs:250", "Kupiec", "peak/trough", "Frontier", "QLIKE", "not dominated"):
        assert word in text
    assert {path.name for path in out.iterdir()} == {
        "backtest.json", "models.csv", "margins.csv", "figures", "tables", "paper.tex",
    }  # fmt: skip
    assert {path.name for path in (out / "figures").iterdir()} == {
        f"{name}.{end}" for name in ("frontier", "margins") for end in ("png", "svg")
    }
    assert "| ewma:0.94+floor |" in (out / "tables" / "coverage.md").read_text(encoding="utf-8")
    assert "\\input{\\marginlabdir/tables/procyclicality.tex}" in (out / "paper.tex").read_text(encoding="utf-8")
    kept = json.loads((out / "backtest.json").read_text(encoding="utf-8"))
    assert len((out / "margins.csv").read_text(encoding="utf-8").splitlines()) == kept["window"]["returns"] + 1
    assert (out / "figures" / "frontier.svg").stat().st_size > 10_000
    assert run(*SP500, "--out", str(out)) == 2
    assert "a new or empty folder" in capsys.readouterr().err


def test_json_is_all_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*SP500, "--model", "all", "--window", "250", "--horizon", "2d", "--scaling", "linear", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert len(result["models"]) == 13
    garch = next(one for one in result["models"] if one["name"] == "garch")["garch"]
    assert 2.0 < garch["tail_index"] < 20.0
    assert result["fitted"] == "returns to 2003-12-31, once"
    assert result["setting"]["scaling"] == "linear"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.csv"], ["PRICES", "nothing.csv"]),
        (["arch:sp500", "--column", "price"], ["--column", "adj close"]),
        (["arch:sp500", "--model", "foo"], ["--model", "ewma"]),
        (["arch:sp500", "--confidence", "1.5"], ["--confidence", "below 1"]),
        (["arch:sp500", "--confidence", "much"], ["--confidence", "a number"]),
        (["arch:sp500", "--model", "hs", "--window", "9999"], ["--window", "9999"]),
        (["arch:sp500", "--window", "1"], ["--window", "at least 2"]),
        (["arch:sp500", "--lambda", "1"], ["--lambda"]),
        (["arch:sp500", "--start", "2010-01-01", "--end", "2009-01-01"], ["--start", "--end"]),
        (["arch:sp500", "--horizon", "90min"], ["--horizon", "whole days"]),
        (["arch:sp500", "--scaling", "cubic"], ["--scaling", "sqrt"]),
        (["arch:sp500", "--side", "up"], ["--side", "long"]),
        (["arch:sp500", "--overlay", "cap"], ["--overlay", "cap=RATE"]),
        (["arch:sp500", "--refit", "-3"], ["--refit"]),
    ],
)
def test_bad_options_are_one_line(arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("backtest", *arguments) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert len(found.err.strip().splitlines()) == 1
    for word in words:
        assert word in found.err
