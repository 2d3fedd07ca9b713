"""The layers of the default waterfall: who bears what, in which order, by examples worked by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from experiments.measures import owed
from sim import invariants, venue
from sim.config import ClearingConfig, MarketConfig
from sim.errors import ConfigError
from sim.kernels import ledger, peaks, shortfall, waterfall
from sim.kernels import state as s
from sim.statement import shares, statement
from sim.waterfall import Waterfall
from tests.sim.exchange import FUND, SCRIPT, Exchange, contract

RICH = 10**6
VAULT = 2


def failing(layers: tuple[str, ...], *, cash: int = 1000, mark: float = 85, **how: Any) -> Exchange:
    """Account 0 long 10 at 100 with 1000, so bankrupt at 90, from account 1; account 2 is the vault; an empty book."""
    rule = Waterfall(layers=layers, vault="vault" if "vault" in layers else "", **how.pop("rule", {}))
    vault_cash = how.pop("vault_cash", RICH)
    exchange = _exchange(rule, **how)
    exchange.deposit(0, cash)
    exchange.deposit(1, RICH)
    exchange.deposit(VAULT, vault_cash)
    exchange.trade(0, 1, 10)
    exchange.set_mark(mark)
    return exchange


def _exchange(rule: Waterfall, **how: Any) -> Exchange:
    """The vault is named by account here: a bare exchange has no populations."""
    plain = Waterfall(**{name: getattr(rule, name) for name in rule.__slots__} | {"layers": ("socialise",), "vault": "",
                         "adl_trigger": "exhausted"})  # fmt: skip
    how.setdefault("limit", s.LIMIT_BANKRUPTCY)
    exchange = Exchange(4, waterfall=plain, vault=VAULT if rule.vault else None, **how)
    cells = exchange.state.waterfall
    cells[s.W_LAYER : s.W_LAYER_4 + 1] = 0
    for i, layer in enumerate(rule.layers):
        cells[s.W_LAYER + i] = s.LAYER_NAMES.index(layer)
    cells[s.W_TRIGGER] = ("exhausted", "negative_equity", "fund_drawdown").index(rule.adl_trigger)
    return exchange


def paid(exchange: Exchange) -> dict[str, int]:
    """Who bore how much; together it is the bad debt."""
    cells, meta = exchange.state.waterfall, exchange.meta
    found = {
        "fund": meta(s.M_FUND_PAID),
        "vault": int(cells[s.W_VAULT_PAID]),
        "adl": int(cells[s.W_ADL_PAID]),
        "shared": meta(s.M_SOCIALISED),
        "nobody": meta(s.M_UNCOVERED),
    }
    assert sum(found.values()) == meta(s.M_BAD_DEBT)
    invariants.check(exchange.state)
    return {who: amount for who, amount in found.items() if amount}


# -- layers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "fund", "vault_cash", "bearer"),
    [
        (("fund", "socialise"), 500, RICH, {"fund": 500}),
        (("fund", "vault", "adl"), 500, RICH, {"fund": 500}),
        (("fund", "vault", "adl"), 499, RICH, {"vault": 500}),
        (("vault", "fund", "adl"), 500, RICH, {"vault": 500}),
        (("vault", "fund", "adl"), 500, 499, {"fund": 500}),
        (("vault", "adl"), 499, 499, {"adl": 500}),
        (("fund", "vault", "adl", "socialise"), 499, 499, {"adl": 500}),
        (("adl", "socialise"), RICH, RICH, {"adl": 500}),
    ],
)
def test_layers_bear_in_their_order(
    layers: tuple[str, ...], fund: int, vault_cash: int, bearer: dict[str, int]
) -> None:
    exchange = failing(layers, fund=fund, vault_cash=vault_cash)
    exchange.clear()
    assert paid(exchange) == bearer
    assert (exchange.lots(0), exchange.wallet(0), exchange.status(0)) == (0, 0, s.CLOSED)
    where = {"fund": exchange.special(FUND), "vault": VAULT}.get(next(iter(bearer)), 1)
    assert exchange.lots(where) == (0 if where == 1 else 10)


def test_the_vault_keeps_the_margin_of_what_it_takes() -> None:
    """At a mark of 92 account 0 has 200 left of its 1000: the vault buys 10 lots at 90 and owns the 200."""
    exchange = failing(("vault", "adl"), mark=92)
    exchange.clear()
    assert paid(exchange) == {}
    assert exchange.equity(VAULT) == RICH + 200
    assert (exchange.wallet(0), exchange.status(0)) == (0, s.OPEN)
    event = exchange.events(s.EV_BACKSTOP)[0]
    assert (int(event["reason"]), int(event["a"]), int(event["b"])) == (VAULT, 10, 9000)
    assert exchange.meta(s.M_BACKSTOP_LOTS) == 10


def test_a_loss_in_cash_passes_the_layers_that_take_positions() -> None:
    """Sold at 80 into the book account 0 owes 1000: the fund has 300 of it, winners share the rest."""
    exchange = failing(("fund", "vault", "adl", "socialise"), fund=300, limit=s.LIMIT_NONE)
    exchange.rest(3, s.BUY, 10, 80)
    exchange.deposit(3, RICH)
    exchange.clear()
    assert paid(exchange) == {"fund": 300, "shared": 700}


def test_the_fund_pays_after_the_others_where_it_has_no_layer() -> None:
    exchange = failing(("socialise",), fund=300, limit=s.LIMIT_NONE)
    exchange.rest(3, s.BUY, 10, 80)
    exchange.deposit(3, RICH)
    exchange.clear()
    assert paid(exchange) == {"shared": 1000}
    exchange = failing(("adl",), fund=300, limit=s.LIMIT_NONE)
    exchange.rest(3, s.BUY, 10, 80)
    exchange.deposit(3, RICH)
    exchange.clear()
    assert paid(exchange) == {"fund": 300, "nobody": 700}


def test_winners_share_by_profit() -> None:
    """h = 1 - 600 / 1500: who had won 1000 and 500 gives 400 and 200."""
    exchange = Exchange(4)
    for account in range(3):
        exchange.deposit(account, RICH)
    exchange.trade(1, 0, 10, 100)
    exchange.trade(2, 0, 10, 105)
    exchange.set_mark(110)
    assert shortfall.socialise(exchange.state, 600) == 0
    assert [exchange.wallet(a) - RICH for a in range(3)] == [0, -400, -200]


def test_without_counterparties_the_rest_is_sold_at_any_price() -> None:
    """Nobody but the scripted account is short: auto-deleveraging finds nobody, the book takes what it takes."""
    exchange = _exchange(Waterfall(layers=("adl",)))
    exchange.deposit(0, 1000)
    exchange.deposit(3, RICH)
    exchange.trade(0, exchange.special(SCRIPT), 10)
    exchange.rest(3, s.BUY, 4, 50)
    exchange.set_mark(85)
    exchange.clear()
    assert (exchange.lots(0), exchange.lots(3)) == (6, 4)
    assert exchange.meta(s.M_ADL_LOTS) == 0
    invariants.check(exchange.state)


# -- triggers ----------------------------------------------------------------------------------------------------------


def test_negative_equity_is_deleveraged_before_the_book_is_asked() -> None:
    for mark, lots in ((85, 10), (92, 0)):
        exchange = failing(("fund", "adl"), fund=RICH, mark=mark, rule={"adl_trigger": "negative_equity"})
        exchange.rest(3, s.BUY, 10, 91)
        exchange.deposit(3, RICH)
        exchange.clear()
        assert exchange.meta(s.M_ADL_LOTS) == lots
        assert exchange.lots(3) == 10 - lots


def test_negative_equity_of_an_isolated_position() -> None:
    exchange = failing(("fund", "adl"), cash=5000, regime="isolated", rule={"adl_trigger": "negative_equity"})
    assert exchange.pocket(0) == 1250
    assert waterfall.adl_due(exchange.state, 0, 0)
    assert waterfall.adl_due(exchange.state, 0)
    exchange.set_mark(88)
    assert not waterfall.adl_due(exchange.state, 0, 0)


def test_a_drawdown_of_the_fund_starts_auto_deleveraging() -> None:
    """Peak 1000 in a window of three steps: due at 500 and below, until the peak has left the window."""
    exchange = _exchange(Waterfall(layers=("fund", "adl"), adl_trigger="fund_drawdown", fund_drawdown=0.5,
                                   fund_drawdown_seconds=180.0))  # fmt: skip
    fund, state = exchange.special(FUND), exchange.state
    due = []
    for change in (800, 200, -499, -1, -500, 0, 0, 0, 100):
        exchange.deposit(fund, change)
        peaks.watch_fund(state)
        due.append(waterfall.adl_due(state, 0))
        state.meta[s.M_STEP] += 1
    #          800    1000   501    500   0 (peak 501) ...          nothing left to lose
    assert due == [False, False, False, True, True, True, False, False, False]
    assert int(state.waterfall[s.W_FUND_PEAK]) == 100


def test_the_window_of_the_fund_is_exact_when_it_grows() -> None:
    exchange = _exchange(Waterfall(layers=("fund", "adl"), adl_trigger="fund_drawdown", fund_drawdown_seconds=3000.0))
    fund, state = exchange.special(FUND), exchange.state
    exchange.deposit(fund, 10_000)
    seen: list[int] = []
    for step in range(200):
        exchange.deposit(fund, -7 if step % 9 else 31)
        peaks.watch_fund(state)
        seen.append(exchange.equity(fund))
        assert int(state.waterfall[s.W_FUND_PEAK]) == max(seen[-50:])
        state.meta[s.M_STEP] += 1


# -- vault and fund that fail ------------------------------------------------------------------------------------------


def test_a_vault_that_fails_goes_down_the_rest_of_the_waterfall() -> None:
    """It takes 10 lots at 90 with 550 of its own; at 80 it is 450 short, which account 1 bears in the price."""
    exchange = failing(("vault", "adl"), vault_cash=550)
    exchange.clear()
    assert (exchange.lots(VAULT), exchange.equity(VAULT)) == (10, 50)
    exchange.next_step()
    exchange.set_mark(80)
    exchange.clear()
    assert (exchange.lots(VAULT), exchange.wallet(VAULT), exchange.status(VAULT)) == (0, 0, s.CLOSED)
    assert paid(exchange) == {"vault": 500, "adl": 450}
    assert exchange.equity(1) == RICH + 1000 + 550  # all there was: what account 0 and the vault had


def test_a_failed_vault_falls_to_the_fund_when_that_comes_next() -> None:
    exchange = failing(("vault", "fund", "adl"), vault_cash=550, fund=450)
    exchange.clear()
    exchange.next_step()
    exchange.set_mark(80)
    exchange.clear()
    assert (exchange.lots(VAULT), exchange.lots(exchange.special(FUND))) == (0, 10)
    assert paid(exchange) == {"vault": 500, "fund": 450}


def test_a_vault_is_never_called_or_sold_into_the_book() -> None:
    exchange = failing(("vault", "adl"), vault_cash=550)
    exchange.clear()
    exchange.rest(3, s.BUY, 10, 84)
    exchange.deposit(3, RICH)
    exchange.next_step()
    exchange.clear()  # equity 50 against a maintenance of 531
    assert (exchange.lots(VAULT), exchange.status(VAULT)) == (10, s.OPEN)
    assert exchange.meta(s.M_CALLS) == 0


def test_a_vault_answers_with_its_whole_wallet_where_pockets_are_isolated() -> None:
    exchange = failing(("vault", "adl"), cash=1250, regime="isolated", vault_cash=5000)
    exchange.clear()
    assert (exchange.lots(VAULT), exchange.pocket(VAULT)) == (10, 0)
    assert paid(exchange) == {"vault": 250}
    exchange.next_step()
    exchange.set_mark(30)
    exchange.clear()
    assert (exchange.lots(VAULT), exchange.status(VAULT)) == (0, s.CLOSED)
    invariants.check(exchange.state)


def test_a_fund_that_its_positions_have_ruined_is_deleveraged() -> None:
    """The fund of 600 takes 10 lots at 90; at 80 it is 400 short."""
    exchange = failing(("fund", "adl"), fund=600)
    exchange.clear()
    fund = exchange.special(FUND)
    assert (exchange.lots(fund), exchange.equity(fund)) == (10, 100)
    exchange.next_step()
    exchange.set_mark(80)
    exchange.clear()
    assert (exchange.lots(fund), exchange.wallet(fund)) == (0, 0)
    assert paid(exchange) == {"fund": 500, "adl": 400}


def test_what_a_ruined_fund_lacks_is_shared_where_losses_are_socialised() -> None:
    """It keeps its positions, to sell them on; each further loss is shared anew, and none is counted twice."""
    exchange = failing(("fund", "socialise"), fund=600)
    exchange.clear()
    fund = exchange.special(FUND)
    for mark, shared in ((80, 400), (78, 600), (79, 600), (78, 600), (77, 600)):
        exchange.next_step()
        exchange.set_mark(mark)
        exchange.clear()
        found = paid(exchange)
        assert found["shared"] >= shared
        assert exchange.equity(fund) >= 0
    assert found == {"fund": 500, "shared": 700}


def test_what_nobody_can_bear_is_owed_once() -> None:
    """Nobody has anything: what the fund lacks is uncovered, and not uncovered again in the next step."""
    exchange = failing(("fund", "socialise"), fund=600)
    exchange.clear()
    fund = exchange.special(FUND)
    exchange.deposit(1, -exchange.equity(1) - 5000)
    exchange.deposit(VAULT, -RICH)
    exchange.state.accounts["exempt"][1] = 1
    exchange.set_mark(80)
    shared = exchange.meta(s.M_SOCIALISED)
    for _ in range(3):
        exchange.next_step()
        exchange.clear()
    assert exchange.meta(s.M_UNCOVERED) + exchange.meta(s.M_SOCIALISED) - shared == 400
    assert int(exchange.state.waterfall[s.W_FUND_DEBT]) == exchange.meta(s.M_UNCOVERED) == -exchange.equity(fund)
    exchange.deposit(fund, 100)  # fees come in
    exchange.next_step()
    exchange.clear()
    assert int(exchange.state.waterfall[s.W_FUND_DEBT]) == max(exchange.meta(s.M_UNCOVERED) - 100, 0)


# -- other currencies --------------------------------------------------------------------------------------------------


def test_the_fund_takes_positions_in_other_currencies_over() -> None:
    """A coin contract in an account of dollars: positions go at mark, and every wallet with them."""
    terms = [
        contract("a"),
        contract("i", kind="inverse_perpetual", tick_value=10**6, currency="BTC", max_lots=100_000, initial_price=100),
    ]
    exchange = Exchange(3, contracts=terms, limit=s.LIMIT_BANKRUPTCY, fund=RICH)
    exchange.deposit(0, 900)
    exchange.deposit(0, 100_000, 1)
    exchange.deposit(1, RICH, 1)
    exchange.deposit(1, RICH)
    exchange.trade(0, 1, 100, 100, 1)
    for price in range(99, 50, -1):
        exchange.set_mark(price, 1)
        if exchange.equity(0) < -50:
            break
    before, fund = exchange.equity(0), exchange.special(FUND)
    assert waterfall.can_take(exchange.state, 0, -1, fund)
    own = exchange.equity(fund)
    assert waterfall.take_over(exchange.state, 0, -1, fund) == 100
    assert [exchange.wallet(0, k) for k in (0, 1)] == [0, 0]
    assert exchange.equity(0) == 0
    assert abs(exchange.equity(fund) - own - before) <= 1
    assert exchange.status(0) == s.CLOSED
    invariants.check(exchange.state)


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "key", "says"),
    [
        ({"layers": ()}, "layers", "last resort"),
        ({"layers": ("fund",)}, "layers", "last resort"),
        ({"layers": ("adl", "vault")}, "layers", "last resort"),
        ({"layers": ("adl", "fund", "adl")}, "layers", "each layer once"),
        ({"layers": ("socialise", "adl")}, "layers", "socialise last"),
        ({"layers": ("vault", "adl")}, "vault", "population"),
        ({"adl_trigger": "negative_equity"}, "adl_trigger", "exhausted"),
        ({"layers": ("adl",), "fund_drawdown": 0.0}, "fund_drawdown", "above 0"),
    ],
)
def test_bad_designs_get_one_clear_line(rule: dict[str, Any], key: str, says: str) -> None:
    exchange = Exchange(2)
    market: Any = SimpleNamespace(state=exchange.state, config=MarketConfig(steps=8), contract_table=exchange.table)
    with pytest.raises(ConfigError) as error:
        venue.put(market, ClearingConfig(waterfall=Waterfall(**rule)))
    problem = error.value.problems[0]
    assert problem.key == f"clearing.waterfall.{key}"
    assert says in problem.allowed
    assert "\n" not in str(error.value)


# -- the statement -----------------------------------------------------------------------------------------------------


def test_the_statement_pays_every_claim_the_same_part() -> None:
    """Claims of 3000, 1000 and 1 against a debt of the fund of 1001: cumulative floors of it."""
    exchange = Exchange(5)
    for account, cash in enumerate((3000, 1000, 0, 1)):
        exchange.deposit(account, cash)
    ledger.transfer(exchange.state, exchange.special(FUND), 4, 1001)
    ledger.transfer(exchange.state, 4, 0, 1001)
    market: Any = SimpleNamespace(state=exchange.state, populations=[SimpleNamespace(name="all")])
    exchange.state.accounts["population"][:5] = 0
    table = statement(market)
    assert table["account"].tolist() == [0, 1, 3]
    assert table["claim"].tolist() == [4001, 1000, 1]
    assert table["owed"].tolist() == [1001 * 4001 // 5002, 1001 * 5001 // 5002 - 1001 * 4001 // 5002, 1]
    assert table["owed"].sum() == 1001
    assert table["paid"].sum() == int(exchange.state.net_deposits[0])
    market.statement = lambda: table
    assert owed(market) is None
    exchange.state.meta[s.M_UNCOVERED] = 1001
    found = owed(market)
    assert found == {
        "uncovered": 1001,
        "missing": 1001,
        "populations": {"all": {"claim": 5002, "paid": 4001, "owed": 1001}},
    }


def test_shares_are_exact() -> None:
    assert shares(100, [1, 2, 3, 0]) == [16, 34, 50, 0]
    assert sum(shares(10**15 + 7, [3, 10**12, 77])) == 10**15 + 7
