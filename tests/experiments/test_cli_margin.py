"""``marginlab margin`` and ``marginlab regimes`` as a user meets them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import margin
from experiments import cli
from margin.portfolio import Portfolio
from tests.experiments.conftest import ROOT

PORTFOLIOS = sorted((ROOT / "docs" / "portfolios").glob("*.toml"))


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main(list(arguments))
    out = capsys.readouterr()
    return int(end.value.code or 0), out.out, out.err


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, parts: tuple[str, ...]) -> None:
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("marginlab: ")
    for part in parts:
        assert part in lines[0]


def check(found: dict[str, Any]) -> None:
    """What must hold of every result."""
    scale = max(1.0, abs(found["initial"]), abs(found["equity"]))
    close = 1e-9 * scale + len(found["parts"]) / found["minor_units"]["per_unit"]
    assert sum(found["parts"].values()) == pytest.approx(found["initial"], abs=close)
    assert sum(found["maintenance_parts"].values()) == pytest.approx(found["maintenance"], abs=close)
    assert found["excess"] == pytest.approx(found["margin_equity"] - found["initial"], abs=close)
    assert found["maintenance_excess"] == pytest.approx(found["margin_equity"] - found["maintenance"], abs=close)
    assert found["margin_equity"] + found["equity_excluded"] <= found["equity"] + close
    for position in found["positions"]:
        assert {"value", "profit", "initial", "maintenance", "liquidation_price", "bankruptcy_price"} <= set(position)


@pytest.mark.parametrize("path", PORTFOLIOS, ids=lambda path: path.stem)
def test_every_documented_portfolio_works(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "margin", str(path), "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    check(found)
    code, out, err = call(capsys, "margin", str(path))
    assert (code, err) == (0, "")
    assert out.startswith(found["regime"])
    for position in found["positions"]:
        assert position["contract"] in out


def test_the_pages_compute_what_they_say(capsys: pytest.CaptureFixture[str]) -> None:
    for page, printed in (
        ("calculator.md", ["100", "19698.49"]),
        ("liquidation-prices.md", ["5718.571", "5739.083"]),
    ):
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        for snippet in re.findall(r"^```python\n(.*?)^```", text, re.S | re.M):
            exec(compile(snippet, page, "exec"), {})
        out = capsys.readouterr().out
        assert all(number in out for number in printed)
    _, out, _ = call(capsys, "margin", str(ROOT / "docs" / "portfolios" / "linear.toml"))
    for number in ("17,010.00", "9,000.00", "3,750.00", "50,933.33", "3,646.83"):
        assert number in out
    page = (ROOT / "docs" / "calculator.md").read_text(encoding="utf-8")
    assert (ROOT / "docs" / "portfolios" / "linear.toml").read_text(encoding="utf-8") in page


def test_parameters_and_keys_can_be_set(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(ROOT / "docs" / "portfolios" / "linear.toml")
    code, out, _ = call(
        capsys, "margin", path, "--json", "--regime", "cross", "--set", "initial=0.2",
        "--set", "params.maintenance=0.1", "--set", "positions.0.size=1", "--set", "collateral.0.amount=50000.25",
    )  # fmt: skip
    assert code == 0
    found = json.loads(out)
    assert found["params"] == {"initial": 0.2, "maintenance": 0.1}
    assert found["positions"][0]["size"] == 1.0
    assert found["collateral"][0]["amount"] == 50000.25


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--regime", "statik"], ("--regime", "'statik'", "static")),
        (["--set", "initial=2"], ("linear.toml", "params.initial", "2", "less than or equal to 1")),
        (["--set", "positions.0.size=0"], ("linear.toml", "positions.0.size", "not zero")),
        (["--set", "underlyings.BTC.price=-1"], ("linear.toml", "underlyings.BTC.price", "-1", "above 0")),
        (["--set", "contracts.BTC-PERP.underlying=XRP"], ("contracts.BTC-PERP.underlying", "'XRP'", "BTC, ETH")),
        (["--regime", "dynamic_daily", "--set", "confidence=1.5"], ("params.confidence", "1.5", "less than 1")),
        (["--plugin", "missing.py"], ("--plugin", "missing.py")),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], parts: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    refused(capsys, "margin", str(ROOT / "docs" / "portfolios" / "linear.toml"), *arguments, parts=parts)


def test_files_that_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, "margin", str(tmp_path / "none.toml"), parts=("none.toml", "can be read"))
    broken = tmp_path / "broken.toml"
    broken.write_text("[[positions]\n", encoding="utf-8")
    refused(capsys, "margin", str(broken), parts=("broken.toml", "syntax", "TOML"))
    empty = tmp_path / "empty.toml"
    text = (ROOT / "docs" / "portfolios" / "linear.toml").read_text(encoding="utf-8")
    raw = text[: text.index("[[positions]]")] + text[text.index("[[collateral]]") :]
    empty.write_text(raw, encoding="utf-8")
    refused(capsys, "margin", str(empty), parts=("empty.toml", "positions", "at least one position"))


def test_a_plugin_calculates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule = tmp_path / "flat_rule.py"
    rule.write_text(
        "import numpy as np\nimport margin\nfrom sim.interfaces import Requirement\n\n"
        "@margin.register('per_lot')\nclass PerLot(margin.Rule):\n    '''So much per lot.'''\n"
        "    def requirement(self, portfolio, risk):\n"
        "        held = np.abs(portfolio.lots).sum(axis=1)\n"
        "        return Requirement(initial=200 * held, maintenance=100 * held)\n",
        encoding="utf-8",
    )
    path = str(ROOT / "docs" / "portfolios" / "grid.toml")
    code, out, err = call(capsys, "margin", path, "--regime", "per_lot", "--plugin", str(rule), "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    check(found)
    assert found["minor_units"]["maintenance"] == 700
    code, out, _ = call(capsys, "regimes", "--plugin", str(rule))
    assert "plug-in:" in out and "per_lot" in out
    code, out, _ = call(capsys, "regimes", "per_lot", "--plugin", str(rule), "--json")
    assert json.loads(out)["parameters"]["initial"]["value"] == 0.04


def test_regimes_are_listed_by_family(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "regimes", "--json")
    assert code == 0
    names = {name for family in json.loads(out).values() for name in family}
    assert set(margin.presets()) <= names


@pytest.mark.parametrize("name", sorted(margin.presets()))
def test_each_regime_is_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "regimes", name, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["source"] and found["date"] and found["composition"] and found["page"]
    for entry in found["parameters"].values():
        assert set(entry) == {"value", "required", "description", "allowed"}
    code, out, _ = call(capsys, "regimes", name)
    assert found["summary"] in out and found["date"] in out


def test_listing_imports_no_compiler() -> None:
    code = (
        "import sys, experiments.cli as cli\n"
        "try:\n    cli.main(['regimes'])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "heavy = {'mesa', 'numba', 'pandas', 'matplotlib', 'scipy', 'pyarrow'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


def test_the_schema_of_portfolio_files(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "schema", "portfolio")
    assert code == 0
    schema = json.loads(out)
    assert set(schema["properties"]) == set(Portfolio.model_fields)
    for path in PORTFOLIOS:
        assert set(tomllib.loads(path.read_text("utf-8"))) <= set(schema["properties"])
    refused(capsys, "schema", "portfolo", parts=("WHAT", "portfolio"))
