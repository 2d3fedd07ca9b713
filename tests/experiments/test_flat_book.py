"""The flat-book law, measured on the real exchange."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.drawing.flat_book import figure
from experiments.studies.flat_book import FlatBook, FlatBooks, lines, market, measure, study
from sim.deltas import hedge_lots, live_options
from sim.errors import ConfigError
from sim.kernels import ledger
from sim.kernels import state as s

Call = Callable[..., "subprocess.CompletedProcess[str]"]


def by_definition(book: FlatBook) -> int:
    """Fall in ticks by counting: sell, see who is under, sell them too, until nobody is."""
    step = book.cluster / book.accounts
    prices = [(i + 0.5) * step for i in range(book.accounts)]
    lots = book.lots()
    fall = book.sale
    while True:
        sold = sum(held for held, price in zip(lots, prices, strict=True) if price < fall)
        deeper = -(-(book.sale * book.depth + sold) // book.depth)
        if deeper == fall:
            return fall
        fall = deeper


@pytest.mark.parametrize("gain", [0.2, 0.5, 0.8])
def test_the_flat_book_law_holds_within_two_percent(gain: float) -> None:
    book = FlatBook(gain, accounts=1_000)
    found = measure(book)
    assert found["exogenous_fall"] == book.sale
    assert found["measured"] == pytest.approx(1 / (1 - gain), rel=0.02)
    assert abs(found["relative_error"]) <= found["integer_bound"] < 0.02
    assert not found["exhausted"]
    assert found["fall"] == by_definition(book)
    assert found["branching_ratio"] == pytest.approx(gain, rel=0.02)  # forced fills brought down the share g


@pytest.mark.parametrize("gain", [1.0, 1.2, 2.0])
def test_the_flat_book_runs_away_until_the_cluster_is_exhausted(gain: float) -> None:
    book = FlatBook(gain, accounts=1_000, sale=60)
    found = measure(book)
    assert found["exhausted"]
    assert found["liquidated"] == book.accounts
    assert found["fall"] == pytest.approx(book.sale + gain * book.cluster, abs=1)
    assert found["fall"] == by_definition(book)
    assert found["bad_debt"] >= 0


@pytest.mark.parametrize(("gain", "sale", "depth"), [(0.35, 75, 100), (0.65, 140, 53), (0.9, 110, 240)])
def test_other_gains_sales_and_depths(gain: float, sale: int, depth: int) -> None:
    book = FlatBook(gain, accounts=1_500, sale=sale, depth=depth)
    found = measure(book)
    assert abs(found["relative_error"]) <= found["integer_bound"] < 0.02
    assert found["fall"] == by_definition(book)


def test_half_the_gain_where_the_mark_is_a_mid_whose_asks_stand_still() -> None:
    for mark in ("mid", "ema"):
        found = measure(FlatBook(0.8, accounts=1_000, mark=mark))
        assert found["measured"] == pytest.approx(1 / (1 - 0.4), rel=0.02)


def test_partial_liquidation_and_a_mark_of_its_own_depart_from_the_law() -> None:
    full = measure(FlatBook(0.8, accounts=1_000))
    partial = measure(FlatBook(0.8, accounts=1_000, policy="partial"))
    index = measure(FlatBook(0.8, accounts=1_000, mark="index"))
    assert partial["predicted"] is index["predicted"] is None
    assert index["measured"] == 1.0 < partial["measured"] < 0.7 * full["measured"]


@settings(max_examples=25)
@given(
    gain=st.integers(1, 150).map(lambda n: n / 100), accounts=st.integers(1, 400), depth=st.integers(20, 300),
    sale=st.integers(10, 300),
)  # fmt: skip
def test_the_layout_has_the_density_that_was_asked_for(gain: float, accounts: int, depth: int, sale: int) -> None:
    try:
        book = FlatBook(gain, accounts, depth, sale)
    except ConfigError:
        return
    lots = book.lots()
    assert sum(lots) == round(book.density * book.cluster)
    assert len(lots) == accounts
    assert max(lots) - min(lots) <= 1
    for i in (0, accounts // 2, accounts - 1):
        assert abs(sum(lots[:i]) - book.density * book.cluster * i / accounts) <= Fraction(1, 2)  # both are exact


def test_every_long_falls_below_maintenance_where_it_should() -> None:
    book = FlatBook(0.5, accounts=60, depth=40, sale=40)
    exchange = market(book)
    exchange.run_until(2)
    step = book.cluster / book.accounts
    for i in (0, 17, 59):
        price = book.start - (i + 0.5) * step
        for mark, under in ((price + 0.1, False), (price - 0.1, True)):
            exchange.state.quotes["mark"][0] = round(mark * s.SUBTICKS)
            assert (ledger.equity(exchange.state, 1 + i) < exchange.maintenance_margin(1 + i)) == under
    exchange.close()


def test_the_page_shows_what_the_command_gives(project_root: Path) -> None:
    page = (project_root / "docs" / "flat-book.md").read_text(encoding="utf-8")
    table = page.split("<!-- flat-book -->")[1].split("<!-- end -->")[0]
    shown = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.strip().splitlines()[2:]]
    rows = study(FlatBooks())["rows"]
    assert shown == [
        [
            f"{row['gain']:g}", f"{row['predicted']:.3f}", f"{row['measured']:.3f}",
            f"{100 * abs(row['relative_error']):.2f} %", f"{row['branching_ratio']:.3f}",
        ]
        for row in rows
    ]  # fmt: skip


def test_the_table_and_the_figure(tmp_path: Path) -> None:
    result = study(FlatBooks((0.5, 1.2), (60,), accounts=500))
    shown = lines(result)
    assert len(shown) == 4
    assert "runs away" in shown[3]
    drawn = figure(result, tmp_path)
    assert drawn.png.is_file()
    assert drawn.svg.is_file()
    assert "of 1 / (1 \N{MINUS SIGN} g); runs away" in drawn.title


@pytest.mark.parametrize(
    ("gain", "gamma"), [(0.0, 0.2), (0.0, 0.5), (0.0, 0.8), (0.2, 0.3), (0.4, 0.4), (0.1, 0.1), (0.3, 0.6)]
)
def test_hedging_dealers_obey_the_law_alone_and_with_liquidations(gain: float, gamma: float) -> None:
    book = FlatBook(gain, accounts=500, gamma_gain=gamma)
    found = measure(book)
    assert found["exogenous_fall"] == book.sale
    assert found["predicted"] == pytest.approx(1 / (1 - gain - gamma))
    assert abs(found["relative_error"]) <= found["integer_bound"] < 0.02
    assert not found["exhausted"]
    if gain:  # the record of causes tells forced fills from the dealer's
        assert found["branching_ratio"] == pytest.approx(gain, abs=0.02)
    else:
        assert found["liquidated"] == 0


@pytest.mark.parametrize(("gain", "gamma"), [(0.0, 1.0), (0.0, 1.6), (0.5, 0.5), (0.6, 0.7)])
def test_with_dealers_the_book_runs_away_until_they_and_the_longs_have_sold_all(gain: float, gamma: float) -> None:
    book = FlatBook(gain, accounts=500, sale=60, gamma_gain=gamma)
    found = measure(book)
    assert found["runaway"]
    assert found["exhausted"]
    assert found["fall"] == pytest.approx(book.end, abs=2)
    assert found["liquidated"] == (book.accounts if gain else 0)


def test_the_options_of_the_flat_book_have_one_gamma() -> None:
    book = FlatBook(0.0, gamma_gain=0.5)
    exchange = market(book)
    exchange.run_until(3)
    exchange.check()
    strip = book.strip
    assert strip is not None
    options = live_options(exchange)
    prices = 1 - np.linspace(0, 0.8 * book.cluster / book.start, 60)
    deltas = -strip.lots * hedge_lots(exchange, 0, options, prices).sum(axis=0)
    gamma = np.diff(deltas) / np.diff(prices * book.start)
    assert -gamma == pytest.approx(0.5 * book.depth, rel=1e-3)
    held = exchange.state.positions["lots"]
    assert held[:, 0].max() == round(-deltas[0])  # the hedge
    exchange.close()


def test_without_anyone_who_answers_nothing_is_amplified() -> None:
    found = measure(FlatBook(0.0))
    assert found["measured"] == found["predicted"] == 1
    assert not found["exhausted"]


def test_lots_of_options_round_gamma_and_the_bound_says_so() -> None:
    book = FlatBook(0.0, depth=3, sale=200, gamma_gain=0.31)
    found = measure(book)
    assert abs(found["relative_error"]) <= found["integer_bound"]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"gain": 0.005}, "--gain"),
        ({"gamma_gain": -0.5}, "--gamma-gain"),
        ({"gamma_gain": 0.4999, "sale": 10_000}, "--gain"),
        ({"gain": float("nan")}, "--gain"),
        ({"gain": 0.9999}, "--gain"),
        ({"accounts": 0}, "--accounts"),
        ({"accounts": 99_999}, "--accounts"),
        ({"depth": 10**9}, "--depth"),
        ({"sale": 0}, "--sale"),
        ({"mark": "lsat"}, "--mark"),
        ({"policy": "ful"}, "--policy"),
    ],
)
def test_what_cannot_be_laid_out_is_refused(change: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        FlatBook(**({"gain": 0.5} | change))


def test_the_command(marginlab: Call, tmp_path: Path) -> None:
    out = tmp_path / "flat"
    ran = marginlab("flat-book", "--gain", "0.5,1.2", "--accounts", "1000", "--sale", "60", "--json", "--out", str(out))
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    assert [row["gain"] for row in result["rows"]] == [0.5, 1.2]
    assert result == json.loads((out / "flat-book.json").read_text())
    assert {path.name for path in out.iterdir()} == {"flat-book.json", "figures", "tables", "paper.tex"}
    assert {path.name for path in (out / "figures").iterdir()} == {"flat-book.png", "flat-book.svg"}
    assert {path.name for path in (out / "tables").iterdir()} == {f"flat-book.{end}" for end in ("md", "csv", "tex")}
    again = marginlab("flat-book", "--out", str(out))
    assert again.returncode == 2
    assert again.stderr.count("\n") == 1
