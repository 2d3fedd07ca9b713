"""Deribit's portfolio margin: worked numbers, and the formula again in floating point."""

from __future__ import annotations

import tomllib
from math import log, sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

import margin
from margin.portfolio import Portfolio
from sim.errors import ConfigError
from tests.margin import crypto_books as books

FUTURE = {"name": "ETH-10JAN24", "kind": "linear_future", "underlying": "ETH", "mark": "2253.2", "days_to_expiry": 20}
CDF = NormalDist().cdf


def black(side: int, forward: float, strike: float, years: float, volatility: float) -> float:
    deviation = volatility * sqrt(years)
    if deviation == 0.0:
        return max(side * (forward - strike), 0.0)
    d1 = log(forward / strike) / deviation + deviation / 2
    return side * (forward * CDF(side * d1) - strike * CDF(side * (d1 - deviation)))


def shocked(volatility: float, days: float, direction: int) -> float:
    size = (30 / max(days, 1.0)) ** (0.30 if days <= 30 else 0.13)
    return volatility * {1: 1 + 0.45 * size, 0: 1.0, -1: max(0.0, 1 - 0.30 * size)}[direction]


def cells() -> list[tuple[float, int, float]]:
    grid = [(k * 0.03, vol, 1.0) for k in range(-5, 6) for vol in (1, 0, -1)]
    return grid + [(m, 1, 0.1386 / abs(m)) for m in (-0.66, -0.33, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)]


def test_t14_dederi_future() -> None:
    shot = books.snapshot([FUTURE], {"ETH-10JAN24": 10}, underlyings=[{"name": "ETH", "price": "2243.3"}])
    ask = books.asked("deribit_pm", shot)
    answer = ask.model.explain(shot.portfolio, ask.risk)
    table = dict(zip(answer.scenario_names, ask.units(answer.scenario_loss)[0], strict=True))
    published = (3380, 2704, 2028, 1352, 676, 0, -676, -1352, -2028, -2704, -3380)
    for k, loss in zip(range(-15, 16, 3), published, strict=True):
        assert table["0%" if k == 0 else f"{k:+d}%"] == pytest.approx(loss, abs=0.5)
    assert ask.units(answer.parts["futures_contingency"])[0] == pytest.approx(134.6, abs=0.5)
    assert ask.units(answer.maintenance)[0] == pytest.approx(3379.8 + 134.598, abs=1e-5)
    assert ask.units(answer.initial)[0] == pytest.approx(1.2 * (3379.8 + 134.598), abs=1e-5)


@pytest.mark.parametrize(("days", "sizes"), [(12.5, (3, -40, -25)), (75.0, (-2, 30, -60)), (0.25, (0, -5, 5))])
def test_linear_options_against_the_formula(days: float, sizes: tuple[int, int, int]) -> None:
    spot, forward, strikes, volatility = 2243.3, 2253.2, (2400.0, 2100.0), 0.65
    terms: list[dict[str, Any]] = [FUTURE]
    for strike, side in zip(strikes, ("call", "put"), strict=True):
        one = {"name": side, "kind": "linear_option", "underlying": "ETH", "option_type": side, "strike": strike}
        terms.append({**one, "days_to_expiry": days, "forward": "2253.2", "volatility": volatility})
    positions = dict(zip(("ETH-10JAN24", "call", "put"), sizes, strict=True))
    shot = books.snapshot(terms, positions, underlyings=[{"name": "ETH", "price": "2243.3"}], interest_rate=0.03)
    ask = books.asked("deribit_pm", shot)
    discount = np.exp(-0.03 * days / 365)

    def value(move: float, direction: int) -> float:
        vol, moved = shocked(volatility, days, direction), forward * (1 + move)
        premiums = [black(side, moved, k, days / 365, vol) for side, k in zip((1, -1), strikes, strict=True)]
        return sizes[0] * moved + discount * (sizes[1] * premiums[0] + sizes[2] * premiums[1])

    worst = max(weight * (value(0.0, 0) - value(move, vol)) for move, vol, weight in cells())
    futures = 0.006 * spot * abs(sizes[0])
    inside = [min(1.0, abs(k - spot) / (0.10 * spot)) for k in strikes]
    shorts = sum(0.01 * spot * max(-n, 0) * w for n, w in zip(sizes[1:], inside, strict=True))
    answer = ask.model.requirement(shot.portfolio, ask.risk)
    assert ask.units(answer.maintenance)[0] == pytest.approx(max(worst, 0.0) + futures + shorts, rel=1e-8)
    assert ask.units(answer.initial)[0] == pytest.approx(1.2 * (max(worst, 0.0) + futures + shorts), rel=1e-8)


@pytest.mark.parametrize("valuation", ["coin", "quote"])
@pytest.mark.parametrize("sizes", [(1000, -3), (-2500, 8), (0, -5)])
def test_inverse_contracts_kept_in_coins(sizes: tuple[int, int], valuation: str) -> None:
    """A future pays N (1/F - 1/F') coins, an option its premium over the moved forward; or those in quote currency."""
    spot, forward, strike, volatility, days = 50_000.0, 50_600.0, 55_000.0, 0.6, 20.0
    future = {"name": "F", "kind": "inverse_future", "mark": forward, "multiplier": 10, "days_to_expiry": days}
    call = {"name": "C", "kind": "inverse_option", "option_type": "call", "strike": strike, "forward": forward}
    common: dict[str, Any] = {"underlying": "BTC", "currency": "BTC", "days_to_expiry": days}
    shot = books.snapshot(
        [future | common, call | common], dict(zip("FC", sizes, strict=True)), account={"currency": "BTC"}
    )
    ask = books.asked("deribit_pm", shot, valuation=valuation)
    years = days / 365

    def loss(move: float, direction: int) -> float:
        moved = forward * (1 + move)
        coins = 10 * sizes[0] * (1 / forward - 1 / moved)
        before = black(1, forward, strike, years, volatility) / forward
        after = black(1, moved, strike, years, shocked(volatility, days, direction)) / moved
        price = 1 + move if valuation == "quote" else 1.0
        return -(coins * price + sizes[1] * (after * price - before))

    worst = max(weight * loss(move, vol) for move, vol, weight in cells())
    contingencies = 0.006 * 10 * abs(sizes[0]) / spot + 0.01 * max(-sizes[1], 0) * min(1.0, 5_000 / 5_000)
    answer = ask.model.requirement(shot.portfolio, ask.risk)
    assert ask.units(answer.maintenance)[0] == pytest.approx(max(worst, 0.0) + contingencies, rel=1e-6, abs=1e-8)


def test_a_coin_hedged_by_an_inverse_perpetual_has_no_scenario_loss() -> None:
    """One coin and a short of its value in dollars is worth the same at every price, kept in dollars."""
    perpetual = {"name": "P", "kind": "inverse_perpetual", "underlying": "BTC", "currency": "BTC"}
    shot = books.snapshot(
        [perpetual], {"P": -100_000}, account={"currency": "USD"}, collateral=[{"currency": "BTC", "amount": 2}]
    )
    ask = books.asked("deribit_pm", shot)
    parts = ask.model.explain(shot.portfolio, ask.risk).maintenance_parts
    assert ask.units(parts["scenarios"])[0] == pytest.approx(0.0, abs=0.05)
    assert ask.units(parts["futures_contingency"])[0] == pytest.approx(600.0, abs=1e-3)


def test_gains_in_dollars_count_at_the_moved_price_of_a_coin_account() -> None:
    """One coin short in dollars against one coin short inverse: kept in BTC, the same loss at every price."""
    linear = {"name": "L", "kind": "linear_perpetual", "underlying": "BTC", "currency": "USD"}
    inverse = {"name": "I", "kind": "inverse_perpetual", "underlying": "BTC", "currency": "BTC"}
    losses = []
    for terms, size in ((linear, -2), (inverse, -100_000)):
        shot = books.snapshot(
            [terms], {terms["name"]: size}, account={"currency": "BTC"},
            collateral=[{"currency": "USD", "amount": 1, "price": "0.00002"}],
        )  # fmt: skip
        ask = books.asked("deribit_pm", shot, valuation="coin")
        losses.append(ask.units(ask.model.explain(shot.portfolio, ask.risk).scenario_loss)[0])
    grid = len(cells()) - 8
    assert losses[0][:grid] == pytest.approx(losses[1][:grid], rel=1e-5, abs=1e-6)
    assert losses[0][0] == pytest.approx(2 * (1 - 1 / 0.85), rel=1e-5)


def test_an_inverse_perpetual_costs_a_coin_account_what_a_linear_one_costs_a_dollar_account() -> None:
    """In quote currency the dampened extended table never binds for a future: its loss is 13.86 % at every move."""
    for size in (100_000, -100_000):
        inverse = {"name": "I", "kind": "inverse_perpetual", "underlying": "BTC", "currency": "BTC"}
        shot = books.snapshot([inverse], {"I": size}, account={"currency": "BTC"})
        ask = books.asked("deribit_pm", shot)
        answer = ask.model.requirement(shot.portfolio, ask.risk)
        assert ask.units(answer.maintenance)[0] == pytest.approx(2 * (0.15 + 0.006), rel=1e-6)


def test_a_perfect_hedge_costs_exactly_the_contingency() -> None:
    perpetual = {"name": "perp", "kind": "linear_perpetual", "underlying": "ETH", "mark": "2253.2"}
    shot = books.snapshot(
        [FUTURE, perpetual], {"ETH-10JAN24": 10, "perp": -10}, underlyings=[{"name": "ETH", "price": "2243.3"}]
    )
    ask = books.asked("deribit_pm", shot)
    answer = ask.model.explain(shot.portfolio, ask.risk)
    assert answer.maintenance_parts["scenarios"][0] == 0
    assert ask.units(answer.maintenance)[0] == pytest.approx(2 * 134.598, abs=1e-5)


def test_the_worked_example_of_the_page(project_root: Path) -> None:
    file = tomllib.loads((project_root / "docs" / "portfolios" / "deribit_pm.toml").read_text("utf-8"))
    portfolio = Portfolio.model_validate(file)
    shot = portfolio.snapshot()
    ask = books.asked(portfolio.regime or "", shot, **portfolio.params)
    answer = ask.model.explain(shot.portfolio, ask.risk)
    text = (project_root / "docs" / "regimes" / "crypto_portfolio.md").read_text("utf-8")
    amounts = [answer.initial[0], answer.maintenance[0], *(part[0] for part in answer.maintenance_parts.values())]
    assert [amount for amount in amounts if f"{amount / shot.minor:,.2f}" not in text] == []
    assert answer.scenario_names[int(np.argmax(answer.scenario_loss[0] * (ask.risk.scenario_weight / 2**32)))] in text


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"price_step": 0.04}, "a price_step that divides price_range"),
        ({"price_step": 0.005}, "at most 64 scenarios"),
        ({"extended_moves": [-1.0]}, "extended_moves above -1"),
        ({"initial_factor": 0.9}, "greater than or equal to 1"),
        ({"volatility_up": -0.1}, "greater than or equal to 0"),
        ({"futures_contingency": float("nan")}, "futures_contingency"),
    ],
)
def test_bad_parameters(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        margin.create("deribit_pm", params)


def test_positions_that_no_integer_holds_are_refused() -> None:
    shot = books.snapshot([FUTURE], {"ETH-10JAN24": 1}, underlyings=[{"name": "ETH", "price": "2243.3"}])
    ask = books.asked("deribit_pm", shot)
    with pytest.raises(ConfigError, match=r"below 4\.61e"):
        ask.both(ask.view({"lots": np.array([[1 << 50]])}))
