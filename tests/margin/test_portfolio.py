"""Portfolio files: exact units, defaults, currencies, and one clear line for each mistake."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from margin.portfolio import load, parse, read
from margin.portfolio_shift import Shifter
from margin.portfolio_units import currency_prices, marks
from sim.errors import ConfigError
from sim.kernels.black76 import black76


def plain(**changes: Any) -> dict[str, Any]:
    return {
        "underlyings": [{"name": "BTC", "price": 60_000, "volatility": 0.5}],
        "contracts": [{"name": "PERP", "underlying": "BTC"}],
        "positions": [{"contract": "PERP", "size": 1}],
        "collateral": [{"currency": "USD", "amount": 100}],
    } | changes


def call(**changes: Any) -> dict[str, Any]:
    terms = {
        "name": "CALL", "underlying": "BTC", "kind": "linear_option", "strike": 70_000, "option_type": "call",
        "days_to_expiry": 30,
    }  # fmt: skip
    return {key: value for key, value in (terms | changes).items() if value is not None}


def problems(file: dict[str, Any]) -> list[tuple[str, Any]]:
    with pytest.raises(ConfigError) as caught:
        parse(file, "book.toml").snapshot()
    assert len(str(caught.value).splitlines()) == len(caught.value.problems)
    return [(problem.key, problem.value) for problem in caught.value.problems]


@given(
    price=st.decimals(Decimal("0.01"), Decimal(200_000), places=5),
    size=st.decimals(Decimal("-9999"), Decimal(9999), places=3).filter(bool),
    ratio=st.decimals(Decimal("0.2"), Decimal(5), places=4),
    coin=st.booleans(),
)
def test_integers_hold_the_numbers_of_the_file(price: Decimal, size: Decimal, ratio: Decimal, coin: bool) -> None:
    entry = price * ratio
    kind = "inverse_perpetual" if coin else "linear_perpetual"
    file = plain(
        underlyings=[{"name": "BTC", "price": price}],
        contracts=[{"name": "PERP", "underlying": "BTC", "kind": kind}],
        positions=[{"contract": "PERP", "size": size, "entry": entry}],
        collateral=[],
    )
    snapshot = load(file).snapshot()
    view, unit = snapshot.portfolio, Decimal(snapshot.minor)
    assert Decimal(int(view.lots[0, 0])) * snapshot.lot[0] == size
    value, profit = Decimal(int(view.value()[0, 0])) / unit, Decimal(int(view.unrealised()[0, 0])) / unit
    exact = size / price if coin else size * price
    at_entry = size / entry if coin else size * entry
    assert abs(abs(value) - abs(exact)) <= 1 / unit + abs(exact) * Decimal("2e-7")
    expected = at_entry - exact if coin else exact - at_entry
    assert abs(profit - expected) <= 2 / unit + (abs(exact) + abs(at_entry)) * Decimal("2e-7")
    # what scenario rules multiply stays within 64 bits
    assert abs(int(view.value()[0, 0])) << 14 < 1 << 62


def test_marks_come_from_the_underlying_the_forward_or_black_76() -> None:
    file = plain(
        contracts=[
            {"name": "PERP", "underlying": "BTC"},
            {"name": "DATED", "underlying": "BTC", "kind": "linear_future", "forward": 60_600},
            {"name": "QUOTED", "underlying": "BTC", "mark": 60_001},
            call(forward=60_600),
            call(name="COIN", kind="inverse_option", volatility=0.7),
        ],
        interest_rate=0.05,
    )
    found = marks(load(file | {"collateral": [], "account": {"currency": "USD"}}))
    years = 30 / 365
    assert (found["PERP"], found["DATED"], found["QUOTED"]) == (60_000, 60_600, 60_001)
    assert float(found["CALL"]) == pytest.approx(black76(1, 60_600, 70_000, years, 0.5) * np.exp(-0.05 * years))
    assert float(found["COIN"]) == pytest.approx(black76(1, 60_000, 70_000, years, 0.7) / 60_000)


def test_the_volatility_of_an_option_may_come_from_its_mark() -> None:
    price = float(black76(1, 60_000, 70_000, 30 / 365, 0.83))
    under = [{"name": "BTC", "price": 60_000}]
    file = plain(underlyings=under, contracts=[call(mark=price)], positions=[{"contract": "CALL", "size": 1}])
    assert load(file).snapshot().market.implied_volatility[0] == pytest.approx(0.83, rel=1e-9)


def test_expiries_as_dates() -> None:
    file = plain(
        date="2026-01-01", contracts=[call(days_to_expiry=None, expiry="2026-12-31")],
        positions=[{"contract": "CALL", "size": 1}],
    )  # fmt: skip
    assert load(file).snapshot().market.time_to_expiry[0] == pytest.approx(364 / 365)


def test_settlement_and_account_currencies() -> None:
    coin = {"name": "COIN", "underlying": "BTC", "kind": "inverse_perpetual"}
    held = [{"contract": "COIN", "size": 1_000}]
    only = load(plain(contracts=[coin], positions=held, collateral=[]))
    assert (only.contracts[0].currency, only.currency) == ("BTC", "BTC")
    both = load(plain(contracts=[coin, {"name": "PERP", "underlying": "BTC"}], positions=held))
    assert both.currency == "USD"
    assert currency_prices(both) == {"USD": 1, "BTC": 60_000}
    in_coin = both.model_copy(update={"account": both.account.model_copy(update={"currency": "BTC"})})
    assert currency_prices(in_coin)["USD"] * 60_000 == pytest.approx(1)
    conversion = both.snapshot().portfolio.conversion / 2**32
    minor = both.snapshot().contracts.minor
    assert conversion[1] * minor[1] / minor[0] == pytest.approx(60_000)


def test_returns_and_volatility_of_each_underlying() -> None:
    file = plain(
        underlyings=[
            {"name": "BTC", "price": 60_000, "returns": [0.03, -0.01, 0.02]},
            {"name": "ETH", "price": 3_000, "returns": [0.04, 0.01], "daily_volatility": 0.05},
        ],
        contracts=[{"name": "PERP", "underlying": "BTC"}, {"name": "ETHP", "underlying": "ETH"}],
    )
    market = load(file).snapshot().market
    assert market.daily_volatility == pytest.approx([np.sqrt(14e-4 / 3), 0.05])
    assert market.returns(2).tolist() == [[-0.01, 0.04], [0.02, 0.01]]
    with pytest.raises(ConfigError, match=r"underlyings\.returns = 2; allowed: at least 3"):
        market.returns(3)


def test_a_shift_moves_what_depends_on_the_price_and_nothing_else() -> None:
    file = load(
        plain(
            contracts=[
                {"name": "PERP", "underlying": "BTC", "mark": 60_060},
                call(),
                {"name": "ETHP", "underlying": "ETH"},
            ],
            underlyings=[{"name": "BTC", "price": 60_000, "volatility": 0.5}, {"name": "ETH", "price": 3_000}],
            collateral=[{"currency": "BTC", "amount": 2}],
            account={"currency": "USD"},
        )
    )
    there = Shifter(file).at("BTC", 30_000.0)
    found = marks(there)
    assert found["PERP"] == pytest.approx(Decimal(30_030))
    assert found["ETHP"] == 3_000
    assert float(found["CALL"]) == pytest.approx(black76(1, 30_000, 70_000, 30 / 365, 0.5))
    assert currency_prices(there)["BTC"] == 30_000
    assert there.positions[0].entry == 60_060


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        ({"underlyings": []}, "underlyings", []),
        ({"contracts": []}, "contracts", []),
        ({"positions": []}, "positions", []),
        ({"positions": [{"contract": "PERP", "size": 0}]}, "positions.0.size", 0),
        ({"positions": [{"contract": "PREP", "size": 1}]}, "positions.0.contract", "PREP"),
        ({"positions": [{"contract": "PERP", "size": "1e-9"}]}, "positions.0.size", "1E-9"),
        ({"positions": [{"contract": "PERP", "size": 1, "margin": 1, "leverage": 2}]}, "positions.0", "PERP"),
        ({"positions": [{"contract": "PERP", "size": 1, "leverage": -3}]}, "positions.0.leverage", -3),
        ({"positions": [{"contract": "PERP", "size": 1}] * 2}, "positions.PERP", "PERP"),
        ({"orders": [{"contract": "PERP", "side": "hold", "size": 1}]}, "orders.0.side", "hold"),
        ({"underlyings": [{"name": "BTC", "price": -1}]}, "underlyings.BTC.price", -1),
        ({"underlyings": [{"name": "BTC", "price": 1, "volatility": -0.2}]}, "underlyings.BTC.volatility", -0.2),
        ({"underlyings": [{"name": "BTC", "price": 1}] * 2}, "underlyings.BTC", "BTC"),
        ({"contracts": [{"name": "PERP", "underlying": "ETH"}]}, "contracts.PERP.underlying", "ETH"),
        ({"contracts": [{"name": "PERP", "underlying": "BTC", "kind": "swap"}]}, "contracts.PERP.kind", "swap"),
        ({"contracts": [call(name="PERP", volatility=-1)]}, "contracts.PERP.volatility", -1),
        ({"contracts": [call(name="PERP", days_to_expiry=None)]}, "contracts.PERP", "PERP"),
        ({"contracts": [call(name="PERP", strike=None)]}, "contracts.PERP", "PERP"),
        ({"contracts": [call(name="PERP", days_to_expiry=None, expiry="2026-01-01")]}, "date", None),
        ({"collateral": [{"currency": "DOGE", "amount": 1}]}, "collateral.0.price", None),
        ({"collateral": [{"currency": "USD", "amount": 1, "haircut": 1.5}]}, "collateral.0.haircut", 1.5),
        ({"collateral": [{"currency": "USD", "amount": "nan"}]}, "collateral.0.amount", "nan"),
        ({"colateral": []}, "colateral", []),
    ],
)
def test_bad_input_names_the_key_and_the_value(change: dict[str, Any], key: str, value: Any) -> None:
    assert problems(plain(**change)) == [(key, value)]


def test_every_problem_is_told_at_once() -> None:
    file = plain(
        contracts=[{"name": "PERP", "underlying": "ETH"}, {"name": "P2", "underlying": "XRP"}],
        positions=[{"contract": "P3", "size": 1}],
    )
    assert len(problems(file)) == 3


def test_an_expiry_in_the_past() -> None:
    late = call(name="PERP", days_to_expiry=None, expiry="2026-01-01")
    assert problems(plain(contracts=[late], date="2026-01-01")) == [("contracts.PERP.expiry", "2026-01-01")]


def test_a_portfolio_too_large_for_its_decimals() -> None:
    huge = plain(positions=[{"contract": "PERP", "size": "1000000000.12345678"}])
    assert problems(huge)[0][0] == "contracts.PERP"


@pytest.mark.parametrize(
    ("text", "part"), [(b"regime = ", "TOML"), (b"\xff\xfe", "UTF-8"), (None, "a TOML file that can be read")]
)
def test_files_that_cannot_be_read(tmp_path: Path, text: bytes | None, part: str) -> None:
    path = tmp_path / "book.toml"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(ConfigError, match=part) as caught:
        load(path)
    assert "book.toml" in str(caught.value)


def test_decimals_of_a_file_stay_exact(tmp_path: Path) -> None:
    path = tmp_path / "book.toml"
    path.write_text("[params]\nx = 0.1\n[[underlyings]]\nname = 'A'\nprice = 0.10000000000000000001\n", "utf-8")
    raw = read(path)
    assert raw["underlyings"][0]["price"] == Decimal("0.10000000000000000001")
