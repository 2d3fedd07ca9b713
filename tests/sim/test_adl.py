"""Auto-deleveraging: rankings by their published formulas, shares of lots by slow references, prices to the unit."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import invariants
from sim.kernels import adl, adl_ranking, ledger, shortfall
from sim.kernels import state as s
from sim.waterfall import RANKINGS, Waterfall
from tests.sim.exchange import FUND, SCRIPT, TICK_VALUE, Exchange, contract

RICH = 10**7
# account of the worked example (BitMEX, "Auto-Deleveraging"): lots and rank of the longs, who are 1 .. 6
EXAMPLE = ((10, 3), (10, 6), (20, 1), (30, 4), (20, 5), (10, 2))


def market(ranking: str, traders: int, price: int = 100, **how: Any) -> Exchange:
    """Nobody holds anything yet; auto-deleveraging is all there is."""
    terms = how.pop("contracts", None) or [contract("a", initial_price=price)]
    rule = Waterfall(layers=("adl",), ranking=ranking, adl_price=how.pop("at", "bankruptcy"))
    return Exchange(traders, contracts=terms, waterfall=rule, limit=s.LIMIT_BANKRUPTCY, **how)


def given_up(exchange: Exchange, c: int = 0) -> dict[int, int]:
    """Lots that each counterparty gave up, by the tape."""
    lots: dict[int, int] = {}
    for event in exchange.events(s.EV_ADL):
        if event["contract"] == c:
            lots[int(event["reason"])] = lots.get(int(event["reason"]), 0) + abs(int(event["a"]))
    return lots


def example(ranking: str = "bitmex") -> Exchange:
    """Accounts 1 .. 6 long at entries that give their ranks; account 0 short 20 at 600 with cash up to a price of 650.

    Account 7 has the other side of what the longs hold beyond that.
    """
    exchange = market(ranking, 8, 600)
    exchange.deposit(0, 20 * 50 * TICK_VALUE)
    exchange.deposit(7, RICH)
    left = 20  # of account 0
    for account, (lots, rank) in enumerate(EXAMPLE, start=1):
        exchange.deposit(account, lots * 2000 * TICK_VALUE)
        exchange.trade(account, 7, lots, 600 - 20 * rank)
    exchange.trade(7, 0, left, 600)
    exchange.set_mark(660)
    return exchange


def test_t16_the_published_example_to_the_lot_at_650() -> None:
    exchange = example()
    exchange.clear()
    assert given_up(exchange) == {2: 10, 5: 10}
    assert [exchange.lots(a) for a in range(1, 7)] == [10, 0, 20, 30, 10, 10]
    assert [int(e["b"]) for e in exchange.events(s.EV_ADL)] == [650 * s.SUBTICKS] * 2
    assert (exchange.lots(0), exchange.wallet(0), exchange.status(0)) == (0, 0, s.CLOSED)
    # bought at 480 and at 500, sold at 650
    assert exchange.wallet(2) == 10 * (2000 + 650 - 480) * TICK_VALUE
    assert exchange.wallet(5) == (20 * 2000 + 10 * (650 - 500)) * TICK_VALUE
    assert exchange.meta(s.M_ADL_LOTS) == 20
    # at the mark of 660 account 0 was 20 x 10 ticks short, which the two have given up
    assert exchange.meta(s.M_BAD_DEBT) == exchange.state.waterfall[s.W_ADL_PAID] == 20 * 10 * TICK_VALUE
    invariants.check(exchange.state)


def test_shorts_are_ranked_as_longs_are() -> None:
    """The mirror: a long of 30 fails; the shorts with the greatest profit x leverage go first."""
    for ranking in ("bitmex", "binance", "hyperliquid"):
        exchange = market(ranking, 5, 600)
        exchange.deposit(0, 30 * 50 * TICK_VALUE)
        exchange.deposit(4, RICH)
        for account, entry in ((1, 610), (2, 660), (3, 630)):
            exchange.deposit(account, 20 * (415 - (entry - 545)) * TICK_VALUE)  # equal equity in the end
            exchange.trade(4, account, 20, entry)
        exchange.trade(0, 4, 30, 600)
        exchange.set_mark(545)
        exchange.clear()
        assert given_up(exchange) == {2: 20, 3: 10}, ranking
        assert {int(e["b"]) for e in exchange.events(s.EV_ADL)} == {550 * s.SUBTICKS}


def test_bitmex_losers_are_ranked_by_least_leverage_last() -> None:
    """PNL % / leverage of losers: of two with the same loss the less leveraged goes last."""
    assert adl_ranking.bitmex_score(0.5, 4.0) == 2.0
    assert adl_ranking.bitmex_score(-0.5, 4.0) == -0.125
    assert adl_ranking.bitmex_score(-0.5, 2.0) == -0.25
    assert adl_ranking.binance_score(300, 200, 50) == pytest.approx(300 / 200 * 50 / 500)
    assert adl_ranking.binance_score(300, -100, 50) == pytest.approx(300 / 1 * 50 / 200)
    assert adl_ranking.binance_score(-300, 200, 50) == 0.0
    assert adl_ranking.hyperliquid_score(1.25, 1, 4.0) == 5.0
    assert adl_ranking.hyperliquid_score(0.8, -1, 4.0) == 5.0  # a short that gained as much


def scores_by_hand(exchange: Exchange, account: int, ranking: str, rate: float = 1 / 16) -> float:
    """The published formulas on floats, for one linear contract in a cross account."""
    lots = exchange.lots(account)
    mark = exchange.state.quotes["mark"][0] / s.SUBTICKS
    value = abs(lots) * mark * TICK_VALUE
    cost = abs(float(exchange.state.positions["cost"][account, 0]))
    equity = float(exchange.equity(account))
    profit = equity - exchange.wallet(account)
    if ranking == "bitmex":
        ratio, leverage = profit / cost, value / equity
        return ratio * leverage if ratio > 0 else ratio / leverage
    if ranking == "binance":
        return max(0.0, profit) / max(1.0, exchange.wallet(account)) * rate * value / equity
    return (value / cost if lots > 0 else cost / value) * value / equity


@given(seed=st.integers(0, 10**6), ranking=st.sampled_from(["bitmex", "binance", "hyperliquid"]))
def test_orders_follow_the_formulas(seed: int, ranking: str) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    exchange = market(ranking, 9)
    side = int(rng.choice([1, -1]))  # of the failing account
    exchange.deposit(8, RICH * 100)
    size = int(rng.integers(1, 120))
    for account in range(1, 8):
        exchange.deposit(account, int(rng.integers(1_000, 60_000)))
        lots, entry = int(rng.integers(1, 30)), int(rng.integers(70, 130))
        buyer, seller = (8, account) if side > 0 else (account, 8)
        exchange.trade(buyer, seller, lots, entry)
    buyer, seller = (0, 8) if side > 0 else (8, 0)
    exchange.trade(buyer, seller, size, 100)
    exchange.set_mark(100 - side * int(rng.integers(5, 30)))
    before = {a: exchange.lots(a) for a in range(1, 9) if exchange.lots(a) * side < 0 and exchange.equity(a) > 0}
    order = sorted(before, key=lambda a: (-scores_by_hand(exchange, a, ranking), a))
    wanted: dict[int, int] = {}
    left = size
    for account in order:
        lots = min(abs(before[account]), left)
        if lots:
            wanted[account] = lots
        left -= lots
    solvent = size - left
    adl.deleverage(exchange.state, 0, -1)
    found = given_up(exchange)
    assert {a: n for a, n in found.items() if a in before} == wanted
    # the others had nothing of their own; they come last, and only for what the solvent could not give
    assert sum(found.values()) - solvent == sum(n for a, n in found.items() if a not in before)
    invariants.check(exchange.state)


def documented(project_root: Path) -> list[dict[str, str]]:
    """The rows of the worked example in docs/waterfalls.md."""
    lines = (project_root / "docs" / "waterfalls.md").read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| trader |"))
    names = [cell.strip() for cell in lines[start].strip("|").split("|")]
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(dict(zip(names, (cell.strip() for cell in line.strip("|").split("|")), strict=True)))
    return rows


def test_the_worked_example_of_the_documentation(project_root: Path) -> None:
    rows = documented(project_root)
    assert len(rows) == 4
    for ranking in RANKINGS:
        exchange = market(ranking, 6)
        exchange.deposit(0, 600)
        exchange.deposit(5, RICH)
        for row in rows:
            account = int(row["trader"])
            exchange.deposit(account, int(row["cash"]))
            exchange.trade(5, account, int(row["lots"]), int(row["entry"]))
        exchange.trade(0, 5, 12)
        exchange.set_mark(90)
        assert exchange.equity(0) == -600
        before = sum(exchange.equity(a) for a in range(1, 5))
        adl.deleverage(exchange.state, 0, -1)
        assert before - sum(exchange.equity(a) for a in range(1, 5)) == 600
        assert {int(e["b"]) for e in exchange.events(s.EV_ADL)} == {95 * s.SUBTICKS}
        wanted = {int(row["trader"]): int(row[ranking]) for row in rows if int(row[ranking])}
        assert given_up(exchange) == wanted, ranking


# -- shares ------------------------------------------------------------------------------------------------------------


def holders(exchange: Exchange, rows: Sequence[tuple[int, int]], size: int) -> None:
    """Account 0 long ``size`` without cash, accounts 1, 2, ... short (lots, cash) at 100; the last account is rich."""
    last = exchange.traders - 1
    exchange.deposit(last, RICH)
    for account, (lots, cash) in enumerate(rows, start=1):
        exchange.deposit(account, cash)
        exchange.trade(last, account, lots)
    exchange.trade(0, last, size)


def share_market(ranking: str, rows: Sequence[tuple[int, int]], size: int) -> Exchange:
    """A market in which the given shorts are all the counterparties of account 0."""
    exchange = market(ranking, len(rows) + 2)
    holders(exchange, rows, size)
    last = exchange.traders - 1
    if exchange.lots(last) < 0:  # it must not be a counterparty itself
        exchange.trade(last, exchange.special(SCRIPT), -exchange.lots(last))
    return exchange


ROWS = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 30_000)), min_size=1, max_size=6)


@given(rows=ROWS, size=st.integers(1, 80))
def test_pro_rata_gives_cumulative_floors(rows: list[tuple[int, int]], size: int) -> None:
    exchange = share_market("pro_rata", rows, size)
    all_lots = sum(lots for lots, _ in rows)
    wanted, seen, before = min(size, all_lots), 0, 0
    expected = {}
    for account, (lots, _) in enumerate(rows, start=1):
        seen += lots
        upto = wanted * seen // all_lots
        if upto > before:
            expected[account] = upto - before
        before = upto
    moved = adl.deleverage(exchange.state, 0, -1)
    assert moved == wanted
    assert given_up(exchange) == expected
    for account, (lots, _) in enumerate(rows, start=1):
        assert abs(expected.get(account, 0) - Fraction(wanted * lots, all_lots)) < 1


@given(rows=ROWS, size=st.integers(1, 80))
def test_risk_pro_rata_gives_by_lots_times_leverage(rows: list[tuple[int, int]], size: int) -> None:
    """Within a lot of the exact shares min(lots, c x lots x leverage), c such that they sum to what is wanted."""
    exchange = share_market("risk_pro_rata", rows, size)
    weights = [lots * Fraction(lots * 1000, cash) for lots, cash in rows]
    wanted = min(size, sum(lots for lots, _ in rows))
    exact: dict[int, Fraction] = {}
    left, open_ = Fraction(wanted), set(range(len(rows)))
    while open_:
        factor = left / sum(weights[i] for i in open_)
        full = {i for i in open_ if weights[i] * factor >= rows[i][0]}
        for i in full or open_:
            exact[i] = Fraction(rows[i][0]) if full else weights[i] * factor
        if not full:
            break
        left -= sum(rows[i][0] for i in full)
        open_ -= full
    assert adl.deleverage(exchange.state, 0, -1) == wanted
    found = given_up(exchange)
    for i, (lots, _) in enumerate(rows):
        assert 0 <= found.get(i + 1, 0) <= lots
        assert abs(found.get(i + 1, 0) - exact[i]) < 2  # cumulative floors, and one more where a share was cut


def least_greatest_leverage(rows: Sequence[tuple[int, int]], wanted: int) -> Fraction:
    """The least greatest leverage that any way of giving up ``wanted`` lots leaves, by trying them all."""
    best: Fraction | None = None
    for parts in product(*(range(lots + 1) for lots, _ in rows)):
        if sum(parts) == wanted:
            most = max(Fraction((lots - n) * 1000, cash) for (lots, cash), n in zip(rows, parts, strict=True))
            best = most if best is None else min(best, most)
    assert best is not None
    return best


@given(
    rows=st.lists(st.tuples(st.integers(1, 6), st.integers(1, 20_000)), min_size=1, max_size=5),
    size=st.integers(1, 30),
)
def test_water_filling_leaves_the_least_greatest_leverage(rows: list[tuple[int, int]], size: int) -> None:
    exchange = share_market("water_filling", rows, size)
    wanted = min(size, sum(lots for lots, _ in rows))
    assert adl.deleverage(exchange.state, 0, -1) == wanted
    found = given_up(exchange)
    assert sum(found.values()) == wanted
    after = max(Fraction((lots - found.get(i, 0)) * 1000, cash) for i, (lots, cash) in enumerate(rows, start=1))
    assert after == least_greatest_leverage(rows, wanted)


@given(
    rows=st.lists(st.tuples(st.integers(1, 5), st.integers(4_000, 30_000), st.integers(-6, 6)), min_size=1, max_size=4),
    size=st.integers(1, 20),
)
def test_water_filling_sees_all_positions_of_an_account(rows: list[tuple[int, int, int]], size: int) -> None:
    """With a second contract (a lot is worth 700) leverage is gross, and only the failed contract's lots can go."""
    exchange = market("water_filling", len(rows) + 2, contracts=[contract("a"), contract("b", tick_value=7)])
    last, script = exchange.traders - 1, exchange.special(SCRIPT)
    exchange.deposit(last, RICH)
    for account, (lots, cash, other) in enumerate(rows, start=1):
        exchange.deposit(account, cash)
        exchange.trade(script, account, lots)
        if other:
            exchange.trade(*((account, script) if other > 0 else (script, account)), abs(other), c=1)
    exchange.trade(0, script, size)
    wanted = min(size, sum(lots for lots, _, _ in rows))
    assert adl.deleverage(exchange.state, 0, -1) == wanted

    def greatest(parts: Sequence[int]) -> Fraction:
        return max(
            Fraction((lots - n) * 1000 + abs(other) * 700, cash)
            for (lots, cash, other), n in zip(rows, parts, strict=True)
        )

    ways = [parts for parts in product(*(range(row[0] + 1) for row in rows)) if sum(parts) == wanted]
    found = [given_up(exchange).get(i, 0) for i in range(1, len(rows) + 1)]
    assert greatest(found) == min(greatest(parts) for parts in ways)


@given(seed=st.integers(0, 10**6))
def test_water_filling_of_many_is_one_lot_at_a_time_from_the_most_leveraged(seed: int) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    rows = [(int(rng.integers(1, 200)), int(rng.integers(5_000, 900_000))) for _ in range(60)]
    size = int(rng.integers(1, 3000))
    exchange = share_market("water_filling", rows, size)
    lots = [n for n, _ in rows]
    wanted = min(size, sum(lots))
    for _ in range(wanted):
        most = max(range(60), key=lambda i: (Fraction(lots[i], rows[i][1]), -i))
        lots[most] -= 1
    adl.deleverage(exchange.state, 0, -1)
    assert [-exchange.lots(i) for i in range(1, 61)] == lots


def test_water_filling_by_hand() -> None:
    """Leverages 10, 5 and 1: 8 lots bring the first two to 3, one of them to within a lot."""
    exchange = share_market("water_filling", [(10, 1000), (10, 2000), (10, 10_000)], 11)
    adl.deleverage(exchange.state, 0, -1)
    assert [-exchange.lots(a) for a in (1, 2, 3)] == [3, 6, 10]


# -- who takes part, and at what price ---------------------------------------------------------------------------------


def test_accounts_outside_and_closed_ones_take_no_part() -> None:
    exchange = market("bitmex", 4)
    for account in (1, 2, 3):
        exchange.deposit(account, RICH)
    script, fund = exchange.special(SCRIPT), exchange.special(FUND)
    exchange.trade(0, script, 5)
    exchange.trade(0, fund, 5)
    exchange.trade(0, 1, 5)
    exchange.trade(0, 2, 5)
    exchange.state.accounts["exempt"][1] = 1
    assert adl.deleverage(exchange.state, 0, -1) == 5
    assert given_up(exchange) == {2: 5}
    assert exchange.lots(0) == 15
    invariants.check(exchange.state)


def test_the_vault_takes_part_like_everybody_else() -> None:
    exchange = market("bitmex", 3, vault=1)
    exchange.deposit(1, RICH)
    exchange.trade(0, 1, 5)
    assert adl.deleverage(exchange.state, 0, -1) == 5
    assert given_up(exchange) == {1: 5}


def test_bankrupt_counterparties_come_last() -> None:
    """Account 1 would rank first by its leverage, but has nothing: it gives only what account 2 has not."""
    for ranking in RANKINGS:
        exchange = market(ranking, 4)
        exchange.deposit(0, 700)
        exchange.deposit(3, RICH)
        exchange.deposit(2, 50_000)
        exchange.trade(3, 1, 10, 80)  # loses 20 a lot at the mark, with no cash
        exchange.trade(3, 2, 6, 100)
        exchange.trade(0, 3, 16, 100)
        exchange.set_mark(95)
        assert exchange.equity(1) < 0
        assert adl.deleverage(exchange.state, 0, -1) == 16
        assert given_up(exchange) == {1: 10, 2: 6}, ranking
        assert int(exchange.events(s.EV_ADL)[0]["reason"]) == 2, ranking
        invariants.check(exchange.state)


def test_ties_go_to_the_lower_account() -> None:
    for ranking in ("bitmex", "binance", "hyperliquid", "water_filling"):
        exchange = share_market(ranking, [(5, 5000), (5, 5000), (5, 5000)], 1)
        adl.deleverage(exchange.state, 0, -1)
        assert given_up(exchange) == {1: 1}, ranking


def test_the_price_is_the_previous_mark_when_asked() -> None:
    """Long 10 at 100 with 300, mark 95, before it 98: closed at 98 it keeps 100; its bankruptcy price is 97."""
    for at, price, kept in (("previous_mark", 98, 100), ("bankruptcy", 97, 0)):
        exchange = market("bitmex", 3, at=at)
        exchange.deposit(0, 300)
        exchange.deposit(1, RICH)
        exchange.trade(0, 1, 10)
        exchange.set_mark(95)
        exchange.state.mark_before[0] = 98 * s.SUBTICKS
        assert adl.deleverage(exchange.state, 0, -1) == 10
        assert int(exchange.events(s.EV_ADL)[0]["b"]) == price * s.SUBTICKS
        assert exchange.wallet(0) == kept
        assert exchange.wallet(1) == RICH + 10 * (100 - price) * TICK_VALUE
        assert exchange.status(0) == (s.CLOSED if kept == 0 else s.OPEN)
        invariants.check(exchange.state)


def test_a_previous_mark_below_the_bankruptcy_price_leaves_a_debt_for_the_layers_that_pay_cash() -> None:
    exchange = market("bitmex", 3, at="previous_mark", fund=150)
    exchange.deposit(0, 300)
    exchange.deposit(1, RICH)
    exchange.trade(0, 1, 10)
    exchange.set_mark(90)
    exchange.state.mark_before[0] = 92 * s.SUBTICKS
    adl.deleverage(exchange.state, 0, -1)
    shortfall.settle_losses(exchange.state)
    # 700 short at the mark; 200 of it borne by account 1 in the price, 150 by the fund's purse, 350 by nobody
    meta = exchange.meta
    assert (meta(s.M_BAD_DEBT), int(exchange.state.waterfall[s.W_ADL_PAID])) == (700, 200)
    assert (meta(s.M_FUND_PAID), meta(s.M_SOCIALISED), meta(s.M_UNCOVERED)) == (150, 0, 350)
    assert exchange.equity(exchange.special(FUND)) == -350
    invariants.check(exchange.state)


def test_a_price_stays_within_those_of_the_contract() -> None:
    """A short of one lot with a debt of 3000 would be bankrupt at -200: it is closed at one tick, the rest is owed."""
    exchange = market("bitmex", 3, fund=5000)
    exchange.deposit(1, RICH)
    exchange.trade(1, 0, 1)
    ledger.transfer(exchange.state, 0, 2, 3000)
    adl.deleverage(exchange.state, 0, -1)
    shortfall.settle_losses(exchange.state)
    assert int(exchange.events(s.EV_ADL)[0]["b"]) == s.SUBTICKS
    assert exchange.meta(s.M_FUND_PAID) == 3000 - 99 * TICK_VALUE
    assert exchange.status(0) == s.CLOSED
    invariants.check(exchange.state)


def test_a_written_option_is_bought_back_from_who_holds_it() -> None:
    """A call sold at 10 that is worth 40: what cash the writer has left is 100 of the 400 he would need."""
    terms = [
        contract("p", underlying="x"),
        contract("c", kind="linear_option", option_type="call", strike=100.0, underlying="x", expiry_step=100),
    ]
    exchange = market("hyperliquid", 3, contracts=terms)
    exchange.deposit(2, RICH)
    exchange.trade(2, 0, 1, 10, 1)
    exchange.trade(2, 1, 1, 10, 1)
    exchange.set_mark(40, 1)
    assert (exchange.wallet(0), exchange.equity(0)) == (100, -300)
    assert adl.deleverage(exchange.state, 0, -1) == 1
    assert (exchange.wallet(0), exchange.status(0)) == (0, s.CLOSED)
    assert int(exchange.events(s.EV_ADL)[0]["b"]) == 10 * s.SUBTICKS
    assert exchange.lots(2, 1) == 1
    invariants.check(exchange.state)


def test_several_contracts_share_the_deficit_by_value() -> None:
    terms = [contract("a"), contract("b", tick_value=7)]
    exchange = market("pro_rata", 4, contracts=terms)
    for account in (1, 2, 3):
        exchange.deposit(account, RICH)
    exchange.deposit(0, 500)
    exchange.trade(0, 1, 10, 100, 0)
    exchange.trade(2, 0, 9, 100, 1)
    exchange.set_mark(93, 0)
    exchange.set_mark(106, 1)
    deficit = 700 + 9 * 6 * 7 - 500
    assert exchange.equity(0) == -deficit
    assert adl.deleverage(exchange.state, 0, -1) == 19
    assert (exchange.wallet(0), exchange.status(0)) == (0, s.CLOSED)
    # by value at mark: 9300 and 6678
    first = -(deficit * 9300 // -15978)
    assert exchange.wallet(1) + exchange.wallet(2) == 2 * RICH + 10 * 70 + 9 * 42 - deficit
    assert abs(exchange.wallet(1) - (RICH + 700 - first)) <= 1
    invariants.check(exchange.state)


def test_isolated_positions_are_closed_by_their_pocket() -> None:
    exchange = market("bitmex", 3, regime="isolated")
    for account, cash in ((0, 5000), (1, RICH)):
        exchange.deposit(account, cash)
    exchange.trade(0, 1, 10)
    pocket, wallet = exchange.pocket(0), exchange.wallet(0)
    exchange.set_mark(80)
    exchange.clear()
    # the pocket of 1250 carries 10 lots down to 87.5
    assert pocket == 1250
    assert int(exchange.events(s.EV_ADL)[0]["b"]) == int(87.5 * s.SUBTICKS)
    assert (exchange.lots(0), exchange.wallet(0), exchange.pocket(0)) == (0, wallet, 0)
    assert exchange.status(0) == s.OPEN
    invariants.check(exchange.state)


def test_inverse_contracts_in_their_own_coin() -> None:
    """Long 100 lots of 10**6 coins x ticks at 100 with 100_000 coins: bankrupt at 1 / (1/100 + 1/1000) = 90.9."""
    terms = [contract("i", kind="inverse_perpetual", tick_value=10**6, max_lots=100_000)]
    exchange = market("bitmex", 3, contracts=terms)
    exchange.deposit(0, 100_000)
    exchange.deposit(1, RICH)
    exchange.trade(0, 1, 100)
    exchange.set_mark(85)
    assert exchange.equity(0) < 0
    adl.deleverage(exchange.state, 0, -1)
    event = exchange.events(s.EV_ADL)[0]
    assert int(event["b"]) == int(100 * 10**6 * 16 / 1_100_000)
    assert int(event["c"]) == -1_100_000
    assert (exchange.wallet(0), exchange.status(0)) == (0, s.CLOSED)
    assert exchange.wallet(1) == RICH + 100_000
    invariants.check(exchange.state)


# -- lists -------------------------------------------------------------------------------------------------------------


def test_a_list_is_drawn_up_once_a_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two failures in one reading use one list; who has given all is out of it; a new mark makes a new one."""
    exchange = share_market("bitmex", [(5, 5000), (5, 6000), (5, 7000)], 4)
    state = exchange.state
    adl.deleverage(state, 0, -1)
    assert given_up(exchange) == {1: 4}
    last = exchange.traders - 1
    exchange.trade(0, exchange.special(SCRIPT), 3)
    state.accounts["status"][0] = s.OPEN
    exchange.deposit(last, 0)
    count = int(state.adl_state[0, 1, adl_ranking.COUNT])
    adl.deleverage(state, 0, -1)
    assert given_up(exchange) == {1: 5, 2: 2}
    assert count == 3
    assert int(state.adl_state[0, 1, adl_ranking.COUNT]) == 2
    exchange.set_mark(101)
    assert not adl_ranking.is_fresh(state, 0, 1)


@given(scores=st.lists(st.floats(-5, 5, allow_nan=False), min_size=1, max_size=40))
def test_the_heap_gives_scores_in_falling_order(scores: list[float]) -> None:
    exchange = Exchange(len(scores))
    state, count = exchange.state, len(scores)
    adl_ranking.draw_up(state, 0, 1)  # nobody holds anything: it only makes room
    for i, score in enumerate(scores):
        adl_ranking.put(state, 0, 0, i, i, score, 1.0, 0)
        adl_ranking.sift_up(state, 0, 0, i)
    found = []
    while count:
        found.append(int(state.adl_heaps[0, 0, 0]["account"]))
        count -= 1
        adl_ranking.swap(state, 0, 0, 0, count)
        adl_ranking.sift_down(state, 0, 0, 0, count)
    assert found == sorted(range(len(scores)), key=lambda i: (-scores[i], i))
