"""The worked examples of docs/regimes, recomputed from the portfolio files that the pages show."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

import margin
from margin.collateral import margin_equity
from margin.portfolio import Portfolio


def worked(root: Path, name: str) -> tuple[Any, Any, Any]:
    """Snapshot, risk parameters and explained requirement of a portfolio file."""
    file = Portfolio.model_validate(tomllib.loads((root / "docs" / "portfolios" / f"{name}.toml").read_text("utf-8")))
    found = file.snapshot()
    assert file.regime is not None
    model = margin.create(file.regime, file.params)
    risk, _ = model.publish(found.market, model.init(found.contracts))
    answer = model.explain(found.portfolio, risk)  # type: ignore[attr-defined]
    assert answer.initial.tolist() == model.requirement(found.portfolio, risk).initial.tolist()
    return found, risk, answer


@pytest.mark.parametrize(
    ("name", "initial", "maintenance"),
    [
        ("static", 1_020, 300),
        ("tiers", 50_000, 17_333.333333),
        ("binance_tiers", 600_000, 133_700),
        ("bitmex", 6.02, 4.515),
        ("deribit_linear", 53_125, 28_125),
        ("dydx", 1_312.5, 75),
        ("cross", 3_600, 1_800),
        ("isolated", 480, 1_800),
        ("grid", 22_658.193, 11_329.0965),
    ],
)
def test_worked_examples(project_root: Path, name: str, initial: float, maintenance: float) -> None:
    found, _, answer = worked(project_root, name)
    assert answer.initial[0] / found.minor == pytest.approx(initial, rel=1e-7)
    assert answer.maintenance[0] / found.minor == pytest.approx(maintenance, rel=1e-7)


def test_parts_and_margin_equity_of_the_pages(project_root: Path) -> None:
    found, _, answer = worked(project_root, "static")
    assert answer.parts["open_orders"][0] / found.minor == pytest.approx(420)
    found, risk, _ = worked(project_root, "cross")
    counted = margin_equity(found.portfolio, risk.haircut, risk.arrays["haircut_size"])
    assert counted[0] / found.minor == pytest.approx(5_750)
    found, _, answer = worked(project_root, "isolated")
    own = found.portfolio.cash[0, 1:] + found.portfolio.unrealised()[0]
    left = (own - answer.maintenance_positions[0]) / found.minor
    assert left.tolist() == pytest.approx([240, 1_280 + 2_000 - 600])


def test_every_preset_has_a_formula_and_its_family_a_page(project_root: Path) -> None:
    for name, preset in margin.presets().items():
        assert preset.formula.strip(), name
        page = project_root / "docs" / "regimes" / f"{preset.family}.md"
        assert f"`{name}`" in page.read_text("utf-8"), name
