"""Derive's portfolio margin against the venue's own test vectors."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import margin
from margin.portfolio import Portfolio
from sim.errors import ConfigError
from tests.margin import crypto_books as books

CONFIG: dict[str, Any] = {
    "moves": [0.15, 0.10, 0.05, 0.0, -0.05, -0.10, -0.15], "moves_up": [], "volatility_up": 0.45,
    "volatility_down": 0.3,
    "basis_add": 0.25, "basis_multiplier": 0.01, "option_contingency": 0.01, "perpetual_contingency": 0.02,
    "spot_contingency": 0.02, "initial_factor": 1.3, "peg_threshold": 0.98, "peg_factor": 0.01,
    "confidence_threshold": 0.6, "confidence_factor": 0.5, "rate_multiplier": 4.0, "rate_add": 0.05, "rate": 0.03,
}  # fmt: skip
WEEK = 500_400 / 86_400


def option(strike: int, side: str, volatility: float, **terms: Any) -> dict[str, Any]:
    base = {"kind": "linear_option", "underlying": "ETH", "days_to_expiry": WEEK, "forward": "1500.8332793109938"}
    name = f"{strike}-{side}"
    return {**base, "name": name, "strike": strike, "option_type": side, "volatility": volatility, **terms}


CALL, PUT = option(1500, "call", 1.04788449408498624), option(1500, "put", 1.04788449408498624)
PERPETUAL = {"name": "perp", "kind": "linear_perpetual", "underlying": "ETH", "mark": 1505}
SPOT = {"name": "spot", "kind": "spot", "underlying": "ETH"}
# the last quarter of an hour: three quarters of the settlement average are known
FIXED = option(
    1500, "call", 1.04812456681573312, days_to_expiry=900 / 86_400, forward="1476.6670412387716", mark="0.00634379"
)


def asked(held: list[tuple[dict[str, Any], Any]], cash: int = 0, **params: Any) -> tuple[books.Asked, dict[str, float]]:
    """The rule on a portfolio, and the venue's balances in units of the account currency."""
    shot = books.snapshot(
        [terms for terms, _ in held],
        {terms["name"]: size for terms, size in held},
        underlyings=[{"name": "ETH", "price": 1500}],
        collateral=[{"currency": "USD", "amount": cash}],
        interest_rate=0.0,
    )
    ask = books.asked("derive_pm", shot, **(CONFIG | params))
    found = ask.model.balances(shot.portfolio, ask.risk)
    return ask, {key: float(ask.units(value)[0]) for key, value in found.items()}


@pytest.mark.parametrize(
    ("held", "equity", "maintenance", "initial"),
    [
        pytest.param([(CALL, -1)], -79.371585, -301.768535, -368.487620, id="Test1"),
        pytest.param([(CALL, 1), (PUT, -1)], 0.833279, -224.291713, -291.829210, id="Test15"),
        pytest.param([(PERPETUAL, 1)], 0.0, -255.75, -332.475, id="Test16"),
    ],
)
def test_t13_vectors(held: list[Any], equity: float, maintenance: float, initial: float) -> None:
    _, found = asked(held)
    assert found == pytest.approx({"equity": equity, "maintenance": maintenance, "initial": initial}, abs=1e-4)


@pytest.mark.parametrize(
    ("held", "params", "equity", "maintenance", "initial"),
    [
        pytest.param(
            [(option(1200, "call", 1.138939398828297472), 1)], {}, 305.747334, 81.329742, 14.004465, id="Test2 call",
        ),
        pytest.param(
            [(option(500, "call", 1.653152366370104), 1), (option(900, "call", 1.328657463897111), -1)], {},
            399.939159, 347.943066, 332.344238, id="Test3 call spread",
        ),
        pytest.param([(CALL, 1)], {"spot_confidence": 0.5}, 79.371585, 0.230453, -398.511886, id="Test4 confidence"),
        pytest.param([(CALL, 1)], {"spot_confidence": 0.1}, 79.371585, 0.230453, -698.511886, id="Test5 confidence"),
        pytest.param(
            [(CALL, 1)], {"spot_confidence": 0.8, "perpetual_confidence": 0.3}, 79.371585, 0.230453, -23.511886,
            id="Test7 no perpetual held",
        ),
        pytest.param([(CALL, -1), (SPOT, 1)], {}, 1420.628415, 1185.334800, 1114.746715, id="Test14 covered call"),
        pytest.param(
            [(FIXED, -1)], {"rate": 0.01, "forward_fixed": 1101.6666666666667}, -0.006344, -48.246077, -62.717997,
            id="Test18 settlement average",
        ),
    ],
)  # fmt: skip
def test_more_vectors_of_the_venue(
    held: list[Any], params: dict[str, Any], equity: float, maintenance: float, initial: float
) -> None:
    _, found = asked(held, **params)
    assert found == pytest.approx({"equity": equity, "maintenance": maintenance, "initial": initial}, abs=1e-4)


def test_requirement_is_equity_less_balance() -> None:
    ask, found = asked([(CALL, -1), (PERPETUAL, 2)], cash=1000)
    answer = ask.model.explain(ask.shot.portfolio, ask.risk)
    assert found["equity"] - found["maintenance"] == pytest.approx(float(ask.units(answer.maintenance)[0]))
    assert found["equity"] - found["initial"] == pytest.approx(float(ask.units(answer.initial)[0]))


def test_the_basis_contingency_is_an_alternative_to_the_scenarios() -> None:
    # forwards of two expiries against each other: a common move costs little, separate moves of the basis do not
    near, far = option(1500, "call", 0.8), option(1500, "call", 0.8, days_to_expiry=WEEK + 7) | {"name": "far"}
    ask, _ = asked([(near, 10), (far, -10)], basis_add=3.0)
    parts = ask.model.explain(ask.shot.portfolio, ask.risk).maintenance_parts
    assert parts["basis_contingency"][0] > 0
    values = ask.risk.scenario_pnl / 2**10 / ask.shot.minor
    falls = [max(0.0, sign * (values[c, -3] - values[c, -2:].min()), sign * (values[c, -3] - values[c, -2:].max()))
             for c, sign in ((0, 10), (1, -10))]  # fmt: skip
    years = [one["days_to_expiry"] / 365 for one in (near, far)]
    expected = sum(fall * (3.0 + 0.01 * time) for fall, time in zip(falls, years, strict=True))
    total = parts["basis_contingency"] + parts["scenarios"]
    assert float(ask.units(total)[0]) == pytest.approx(expected, abs=1e-5)


def test_calls_and_puts_of_a_strike_offset_in_the_static_contingency() -> None:
    for call, put, shorts in ((10, -20, 10), (-10, -20, 30), (20, -5, 0)):
        ask, _ = asked([(CALL, call), (PUT, put)])
        part = ask.model.explain(ask.shot.portfolio, ask.risk).maintenance_parts["short_option_contingency"]
        assert float(ask.units(part)[0]) == pytest.approx(0.01 * 1500 * shorts, abs=1e-4)


def test_a_falling_peg_raises_the_initial_factor() -> None:
    ask, _ = asked([(PERPETUAL, 1)], stable_price=0.9, peg_factor=2.0)
    answer = ask.model.requirement(ask.shot.portfolio, ask.risk)
    assert answer.initial[0] / answer.maintenance[0] == pytest.approx(1.3 + 2.0 * 0.08, rel=1e-8)


def test_low_confidence_of_one_option_counts_for_its_expiry() -> None:
    other = option(1600, "call", 1.0)
    later = option(1700, "call", 1.0, days_to_expiry=30)
    confidence = {CALL["name"]: 1.0, other["name"]: 0.4, later["name"]: 1.0}
    ask, _ = asked([(CALL, 2), (other, -1), (later, 5)], option_confidence=confidence)
    part = ask.model.explain(ask.shot.portfolio, ask.risk).parts["confidence_contingency"]
    assert float(ask.units(part)[0]) == pytest.approx(0.6 * 0.5 * 3 * 1500, abs=1e-4)


def test_the_preset_has_the_venues_23_scenarios() -> None:
    model: Any = margin.create("derive_pm")
    shocks = [(shock.move, shock.volatility) for shock in model.params.shocks()]
    assert len(shocks) == 23
    assert [move for move, vol in shocks if abs(move) == 0.20] == [0.20, -0.20]


def test_the_worked_example_of_the_page(project_root: Path) -> None:
    file = tomllib.loads((project_root / "docs" / "portfolios" / "derive_pm.toml").read_text("utf-8"))
    portfolio = Portfolio.model_validate(file)
    shot = portfolio.snapshot()
    ask = books.asked(portfolio.regime or "", shot, **portfolio.params)
    answer = ask.model.explain(shot.portfolio, ask.risk)
    amounts = {name: round(float(ask.units(part)[0]), 2) for name, part in answer.parts.items() if part[0]}
    assert amounts == {"scenarios": 207.40, "short_option_contingency": 15.00, "initial_factor": 66.72}
    text = (project_root / "docs" / "regimes" / "crypto_portfolio.md").read_text("utf-8")
    assert all(f"{amount:.2f}" in text for amount in amounts.values())
    worst = answer.scenario_names[int(np.argmax(answer.scenario_loss[0]))]
    assert worst == "+15% up" and worst in text
    found = ask.model.balances(shot.portfolio, ask.risk)
    assert all(f"{float(ask.units(found[key])[0]):.2f}" in text for key in ("maintenance", "initial"))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"moves": [-1.0]}, "above -1"),
        ({"moves": [0.01 * k for k in range(21)]}, "at most 61 scenarios"),
        ({"option_confidence": 1.5}, "option_confidence from 0 to 1"),
        ({"volatility_down": 1.2}, "less than or equal to 1"),
        ({"base_discount": 0.0}, "greater than 0"),
        ({"mystery": 1}, "margin.params.mystery"),
    ],
)
def test_bad_parameters(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        margin.create("derive_pm", params)


def test_inverse_contracts_are_refused() -> None:
    shot = books.snapshot(books.contracts(inverse=True))
    with pytest.raises(ConfigError, match=r"contracts\.coin\.kind.*linear_perpetual"):
        books.asked("derive_pm", shot)
