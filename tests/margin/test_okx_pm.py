"""OKX's portfolio margin: each stage by hand, tiers, and the notice's example of their combination."""

from __future__ import annotations

import tomllib
from math import exp
from pathlib import Path
from typing import Any

import pytest

import margin
from margin.okx_pm import combined, tiered
from margin.portfolio import Portfolio
from sim.errors import ConfigError
from tests.margin import crypto_books as books
from tests.margin.test_deribit_pm import black, shocked

SPOT = {"name": "spot", "kind": "spot", "underlying": "BTC"}
PERPETUAL = {"name": "perp", "kind": "linear_perpetual", "underlying": "BTC", "multiplier": "0.01"}
JUNE = {"name": "june", "kind": "linear_future", "underlying": "BTC", "days_to_expiry": 73, "mark": 51000}


def option(name: str, days: float, strike: int = 52_000) -> dict[str, Any]:
    return {"name": name, "kind": "linear_option", "underlying": "BTC", "option_type": "call", "strike": strike,
            "days_to_expiry": days, "forward": 50_500, "volatility": 0.6}  # fmt: skip


def stages(held: list[tuple[dict[str, Any], Any]], **params: Any) -> tuple[books.Asked, dict[str, float]]:
    shot = books.snapshot(
        [terms for terms, _ in held], {terms["name"]: size for terms, size in held}, interest_rate=0.0
    )
    ask = books.asked("okx_pm", shot, **params)
    found = ask.model.stages(shot.portfolio, ask.risk)
    return ask, {name: float(ask.units(value)[0, 0]) for name, value in found.items()}


def test_the_notices_example_of_the_combination() -> None:
    """+10 BTC spot against -1,000 contracts: MR4 8,053.32 exceeds MR7 3,020.17 (OKX, 2024-05-31)."""
    found = dict.fromkeys(("MR1", "MR2", "MR3", "MR5", "MR6"), 0) | {"MR4": 805_332, "MR7": 302_017}
    assert sum(combined([found]).values()) == 805_332
    before = found | {"MR4": 0, "MR7": 302_087}
    assert sum(combined([before]).values()) == 302_087


def test_tiers_multiply_what_lies_within_them() -> None:
    """A raw charge of 30,000 becomes 10,000 + 2 x 20,000 (OKX notice for 2021-12-24)."""
    floors = [0, 10_000, 70_000, 170_000]
    multipliers = [k << 32 for k in (1, 2, 4, 6)]
    assert tiered(30_000, floors, multipliers) == 50_000
    assert tiered(10_000, floors, multipliers) == 10_000
    assert tiered(200_000, floors, multipliers) == 10_000 + 2 * 60_000 + 4 * 100_000 + 6 * 30_000


def test_an_outright_perpetual() -> None:
    ask, found = stages([(PERPETUAL, 1000)])
    value = 10 * 50_000
    expected = {"MR1": 0.12 * value, "MR6": 0.5 * 0.24 * value, "MR4": value * 0.05 * 30 / 365, "MR7": 0.0045 * value,
                "MR2": 0.0, "MR3": 0.0, "MR5": 0.0}  # fmt: skip
    assert found == pytest.approx(expected, abs=1e-4)
    answer = ask.model.requirement(ask.shot.portfolio, ask.risk)
    mmr = expected["MR1"] + expected["MR4"]
    assert ask.units(answer.maintenance)[0] == pytest.approx(mmr, abs=1e-4)
    assert ask.units(answer.initial)[0] == pytest.approx(1.3 * mmr, abs=1e-4)


def test_a_perfect_hedge_is_not_free() -> None:
    other = PERPETUAL | {"name": "other"}
    for size in (1_000, 100_000):
        ask, found = stages([(PERPETUAL, size), (other, -size)])
        raw = 2 * 0.0045 * size * 0.01 * 50_000
        charge = raw if raw <= 10_000 else None
        if charge is None:
            floors = [0, 10_000, 70_000, 170_000, 300_000, 470_000, 700_000]
            tops = [*floors[1:], float("inf")]
            pairs = zip(floors, tops, (1, 2, 4, 6, 8, 10, 12), strict=True)
            charge = sum(k * max(0.0, min(raw, top) - low) for low, top, k in pairs)
        assert found["MR7"] == pytest.approx(charge, abs=1e-3)
        assert {name: amount for name, amount in found.items() if amount > 2e-6 and name != "MR7"} == {}
        answer = ask.model.requirement(ask.shot.portfolio, ask.risk)
        assert ask.units(answer.maintenance)[0] == pytest.approx(charge, abs=1e-3)


def test_calendar_spread_pays_for_the_basis() -> None:
    _, found = stages([(SPOT, 10), (JUNE, -10)])
    assert found["MR4"] == pytest.approx(10 * 51_000 * 0.05 * 73 / 365, abs=1e-4)
    assert found["MR1"] == pytest.approx(10 * 1_000 * 0.12, abs=1e-4)


def test_time_volatility_and_rate_terms_of_options() -> None:
    near, far, strike, forward, vol = 10.0, 60.0, 52_000.0, 50_500.0, 0.6
    _, found = stages([(option("near", near), 20), (option("far", far), -12)])

    def value(size: float, days: float, direction: int = 0, later: float = 0.0) -> float:
        return size * black(1, forward, strike, (days - later) / 365, shocked(vol, days, direction))

    today = value(20, near), value(-12, far)
    assert found["MR2"] == pytest.approx(sum(today) - value(20, near, later=1) - value(-12, far, later=1), rel=1e-8)
    gain, loss = value(20, near, 1) - today[0], today[1] - value(-12, far, 1)
    assert found["MR3"] == pytest.approx(0.25 * min(gain, loss), rel=1e-8)
    rates = [sum(v * (1 - exp(-shift * d / 365)) for v, d in zip(today, (near, far), strict=True))
             for shift in (0.05, -0.05)]  # fmt: skip
    assert found["MR5"] == pytest.approx(max(0.0, *rates), rel=1e-7)


def test_minimum_charge_of_a_long_option_is_at_most_its_value() -> None:
    cheap = option("cheap", 2.0, strike=80_000)
    _, long = stages([(cheap, 10)])
    _, short = stages([(cheap, -10)])
    assert long["MR7"] == pytest.approx(0.0, abs=1e-4)
    assert short["MR7"] == pytest.approx(10 * 0.0045 * 50_000, abs=1e-4)


def test_the_worked_example_of_the_page(project_root: Path) -> None:
    file = tomllib.loads((project_root / "docs" / "portfolios" / "okx_pm.toml").read_text("utf-8"))
    portfolio = Portfolio.model_validate(file)
    shot = portfolio.snapshot()
    ask = books.asked(portfolio.regime or "", shot, **portfolio.params)
    answer = ask.model.explain(shot.portfolio, ask.risk)
    found = ask.model.stages(shot.portfolio, ask.risk)
    text = (project_root / "docs" / "regimes" / "crypto_portfolio.md").read_text("utf-8")
    amounts = [answer.initial[0], answer.maintenance[0], found["MR4"][0, 0], found["MR7"][0, 0]]
    assert [amount for amount in amounts if f"{amount / shot.minor:,.2f}" not in text] == []


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"tiers": [{"floor": 1.0, "multiplier": 1.0}]}, "tiers whose floors rise from 0"),
        ({"tiers": [{"floor": 0.0, "multiplier": 1.0}, {"floor": 0.0, "multiplier": 2.0}]}, "tiers whose floors rise"),
        ({"tiers": []}, "at least 1"),
        ({"moves": [1.5]}, "moves below 1"),
        ({"extreme_move": 1.0}, "less than 1"),
    ],
)
def test_bad_parameters(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        margin.create("okx_pm", params)
