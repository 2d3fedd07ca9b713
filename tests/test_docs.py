"""The documentation keeps its promises: links lead somewhere, tables match the code, examples run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agents import registry as agents_registry
from experiments import cli
from margin import registry as margin_registry

PAGES = ("README.md", "CONTRIBUTING.md", "docs/**/*.md")
COMMAND = re.compile(r"^\s*(?:\.venv/bin/)?marginlab ([a-z]+)", re.M)


def pages(root: Path) -> list[Path]:
    return [page for pattern in PAGES for page in sorted(root.glob(pattern))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)


def test_links_lead_somewhere(project_root: Path) -> None:
    broken = []
    for page in pages(project_root):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not target.startswith(("http://", "https://")) and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert not broken


def test_reference_tables_match_the_code(project_root: Path) -> None:
    command = [sys.executable, str(project_root / "docs" / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=project_root, check=False)
    assert done.returncode == 0, done.stderr


def test_commands_exist(project_root: Path) -> None:
    known = subprocess.run(
        [sys.executable, "-m", "experiments", "--help"], capture_output=True, text=True, cwd=project_root, check=True
    ).stdout
    named = {name for page in pages(project_root) for name in COMMAND.findall(page.read_text(encoding="utf-8"))}
    assert named
    assert {name for name in named if not re.search(rf"\b{name}\b", known)} == set()


@pytest.mark.parametrize("page", ["step.md", "randomness.md", "contracts.md", "options.md"])
def test_snippets_run(project_root: Path, page: str, capsys: pytest.CaptureFixture[str]) -> None:
    for snippet in blocks(project_root / "docs" / page, "python"):
        exec(compile(snippet, page, "exec"), {})
    assert "Traceback" not in capsys.readouterr().err


def test_the_agentset_example_runs(project_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(blocks(project_root / "docs" / "own-agent.md", "python")[-1], "own-agent.md", "exec"), {})
    assert "latent" in capsys.readouterr().out


Command = Callable[..., dict[str, object]]


@pytest.fixture
def marginlab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Call the command within this process; what a plug-in registers is forgotten after the test."""
    rules, kinds = margin_registry._registry, agents_registry._registered
    monkeypatch.setattr(margin_registry, "_registry", replace(rules, rules={**rules.rules}, plugins={**rules.plugins}))
    monkeypatch.setattr(agents_registry, "_registered", dict(kinds))

    def call(*arguments: str) -> dict[str, object]:
        with pytest.raises(SystemExit) as end:
            cli.main([*arguments, "--json"])
        shown = capsys.readouterr()
        assert end.value.code == 0, shown.err
        result: dict[str, object] = json.loads(shown.out)
        return result

    return call


@pytest.mark.parametrize(("block", "regime"), [(0, "concentration"), (1, "range_rule")])
def test_the_margin_rules_of_the_guide_run(
    project_root: Path, tmp_path: Path, marginlab: Command, block: int, regime: str
) -> None:
    rule = tmp_path / "my_rule.py"
    rule.write_text(blocks(project_root / "docs" / "own-margin-rule.md", "python")[block], encoding="utf-8")
    assert len([line for line in rule.read_text().splitlines() if line.strip()]) <= 26
    result = marginlab(
        "run", str(scenario_of_the_reference(project_root, tmp_path)), "--check", "--plugin", str(rule),
        "--set", f"margin.regime={regime}", "--set", "market.steps=120", "--set", "market.burn_in=0",
    )  # fmt: skip
    assert result["results_hash"]


def scenario_of_the_reference(root: Path, folder: Path, extra: str = "") -> Path:
    text = blocks(root / "docs" / "scenarios.md", "toml")[0]
    tomllib.loads(text)
    path = folder / "my_market.toml"
    path.write_text(text + "\n" + extra, encoding="utf-8")
    return path


def test_the_agent_of_the_guide_trades(project_root: Path, tmp_path: Path, marginlab: Command) -> None:
    page = project_root / "docs" / "own-agent.md"
    agent = tmp_path / "my_agent.py"
    agent.write_text(blocks(page, "python")[0], encoding="utf-8")
    scenario = scenario_of_the_reference(project_root, tmp_path, blocks(page, "toml")[0])
    out = tmp_path / "out"
    marginlab("run", str(scenario), "--plugin", str(agent), "--check", "--set", "market.steps=300",
              "--set", "record.trades=true", "--out", str(out))  # fmt: skip
    import pandas as pd

    accounts = pd.read_parquet(out / "accounts.parquet").set_index("account")["population"]
    trades = pd.read_parquet(out / "trades.parquet")
    assert {"contrarians"} <= set(accounts[trades["maker"]]) | set(accounts[trades["taker"]])
