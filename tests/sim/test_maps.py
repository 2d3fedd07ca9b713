"""Maps of what prices would set off: they change nothing, count everyone once, and know the flat book."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import agents
import margin
from agents.registry import MarketInfo
from experiments.measures import liquidatable_lots
from experiments.studies import flat_book
from experiments.studies.flat_traders import SALE
from sim.config import ClearingConfig, MarketConfig, RecordConfig
from sim.errors import ConfigError
from sim.interfaces import PortfolioView, Requirement, RiskParameters
from sim.kernels import state as s
from sim.maps import PriceMap, price_map
from sim.market import Market
from sim.world import GbmWorld, build_world
from tests.sim import markets
from tests.sim.test_seed_options import event, market


class Flat(margin.Rule):
    """Rates of five and three per cent, asked in NumPy."""

    name = "flat_rates"

    def requirement(self, portfolio: PortfolioView, risk: RiskParameters) -> Requirement:
        held = portfolio.notional()
        return Requirement(initial=held.sum(axis=1) // 20, maintenance=(3 * held.sum(axis=1)) // 100)


def before_the_sale(gain: float, gamma: float, **changes: Any) -> tuple[flat_book.FlatBook, Market]:
    book = flat_book.FlatBook(gain, accounts=500, gamma_gain=gamma, **changes)
    exchange = flat_book.market(book)
    exchange.run_until(SALE - 1)
    return book, exchange


@pytest.mark.parametrize(("gain", "gamma"), [(0.5, 0.0), (0.0, 0.6), (0.3, 0.4), (0.7, 0.7)])
def test_on_the_flat_book_the_map_is_the_law(gain: float, gamma: float) -> None:
    book, exchange = before_the_sale(gain, gamma)
    width = (book.cluster if book.loop_gain >= 1 else book.sale / (1 - book.loop_gain)) / book.start
    found = price_map(exchange, 0, width=width, step=max(book.cluster // 40, 1))
    below = found.side < 0
    assert np.median(found.gain[below]) == pytest.approx(gain + gamma, rel=0.02)
    assert np.median(found.parts()["gamma"][below]) == pytest.approx(gamma, abs=0.01)
    assert found.mean_gain(width)["all"] == pytest.approx(gain + gamma, rel=0.02)
    assert found.mean_gain(width)["liquidations"] == pytest.approx(gain, abs=0.015)
    assert found.mean_gain(width / 2)["stops"] == 0.0
    reach = found.reach(-book.sale * book.depth * 0.9)
    assert found.reach(-book.sale * book.depth * 0.9, feedback=()) == pytest.approx(
        0.9 * book.sale, abs=1.5
    )  # no bid at the mark itself
    if book.loop_gain < 1:
        assert reach == pytest.approx(0.9 * book.sale / (1 - book.loop_gain), rel=0.03)
        assert not [low for low, high in found.runaway if high <= found.mark]
    else:
        assert reach is None
        assert found.runaway[0][1] == pytest.approx(book.start, rel=0.01)
    exchange.close()


def test_what_the_map_foretells_comes_true() -> None:
    book, exchange = before_the_sale(0.4, 0.3)
    foretold = price_map(exchange, 0, width=0.24, step=1).reach(-book.sale * book.depth)
    exchange.close()
    assert flat_book.measure(book)["fall"] == pytest.approx(foretold, rel=0.01)


def everything(exchange: Market) -> dict[str, bytes]:
    scratch = {name for name in s.FIELD_NAMES if name.startswith("scratch")}
    return {name: array.tobytes() for name, array in s.arrays_of(exchange.state).items() if name not in scratch}


@pytest.mark.parametrize("regime", ["static", "isolated", "portfolio", "numpy"])
def test_nothing_of_the_market_changes(regime: str) -> None:
    rule: Any = Flat() if regime == "numpy" else regime
    exchange = markets.market(rule)
    exchange.run_until(70)
    before = everything(exchange)
    found = price_map(exchange, width=0.2)
    assert everything(exchange) == before
    assert (found.liquidated >= 0).all()
    assert found.liquidated[found.side < 0].sum() > 0
    exchange.advance(30)
    exchange.check()


def test_liquidated_lots_are_those_that_a_fall_of_all_marks_makes_liquidatable() -> None:
    exchange = markets.market("static")
    exchange.run_until(70)
    found = price_map(exchange, width=0.1, step=1)
    for fall in (0.02, 0.05, 0.1):
        ticks = int(fall * found.mark)
        counted = found.liquidated[(found.side < 0) & (found.mark - found.price <= ticks)].sum()
        assert counted == pytest.approx(liquidatable_lots(exchange, ticks / found.mark)[0], abs=25)


def test_who_is_short_of_margin_already_is_not_on_the_map() -> None:
    exchange = markets.market("static")
    exchange.run_until(70)
    account = int(np.argmax(exchange.state.positions["lots"][: exchange.state.meta[s.M_TRADERS], 0]))
    held = int(exchange.state.positions["lots"][account, 0])
    before = price_map(exchange, width=0.3)
    exchange.state.wallets[account, 0] -= exchange.equity(account)
    after = price_map(exchange, width=0.3)
    assert after.due_long == before.due_long + held
    lost = (before.liquidated - after.liquidated)[before.side < 0].sum() * before.step
    assert lost in (0, held)  # 0 where even a fall of 30 % did not reach the account


def test_gamma_of_seeded_dealers_has_the_sign_and_size_that_was_asked_for() -> None:
    for sign in (-1.0, 1.0):
        exchange = market(event(gamma_per_depth=0.5 * sign))
        exchange.run_until(40)
        named = price_map(exchange, 0, ["dealers"], width=0.06)
        told = price_map(exchange, 0, width=0.06)
        assert (named.dealer_gamma == told.dealer_gamma).all()  # option makers say that they hedge
        assert named.mean_gain(0.05)["gamma"] == pytest.approx(-0.5 * sign, rel=0.1)
        assert (np.sign(named.dealer_gamma) == sign).all()
        nobody = price_map(exchange, 0, ["noise"], width=0.06)
        assert (nobody.dealer_gamma == 0).all()
        makers: Any = exchange.populations[2]
        makers.change(exchange, hedge_fraction=0.5)
        half = price_map(exchange, 0, width=0.06)
        assert half.dealer_gamma == pytest.approx(0.5 * told.dealer_gamma)


def test_stops_stand_where_their_traders_keep_them() -> None:
    contracts = markets.contracts(1)
    info = MarketInfo(("a",), 60.0, 1440)
    stopped = {"count": 40, "pause": 10.0, "stop_mean": 0.03, "slippage": 0.05}
    kinds = [*markets.POPULATIONS[:2], ("stop_loss_traders", "stops", stopped)]
    exchange = Market(
        MarketConfig(steps=120), contracts, build_world(GbmWorld(volatility=0.01), contracts, 120, 60.0, 1440, 1, ()),
        margin.create("static", {}), [agents.create(kind, name, p, info) for kind, name, p in kinds], (),
        ClearingConfig(), RecordConfig(), 1,
    )  # fmt: skip
    exchange.run_until(120)
    population: Any = exchange.populations[2]
    stops = population.column(exchange.state, "stop")
    lots = exchange.state.positions["lots"][population.first : population.first + population.count, 0]
    found = price_map(exchange, width=0.5)
    for side in (-1, 1):
        wanted = abs(lots[(lots * side < 0) & (stops > 0)]).sum()
        counted = found.stops[found.side == side].sum() * found.step
        assert counted <= wanted
        assert counted == pytest.approx(wanted, rel=0.1)
    assert found.stops[found.side < 0].sum() > 0


@given(
    depth=st.lists(st.integers(0, 50), min_size=4, max_size=12),
    sold=st.lists(st.integers(0, 40), min_size=4, max_size=12),
    lots=st.integers(1, 300),
)
@settings(max_examples=60)
def test_reach_is_where_depth_meets_the_order_and_what_it_sets_off(
    depth: list[int], sold: list[int], lots: int
) -> None:
    n, step = min(len(depth), len(sold)), 5
    zeros = np.zeros(n)
    found = PriceMap(
        0, "x", 0, 1000, 1.0, step, np.full(n, -1), 1000 - step * np.arange(1, n + 1), zeros, zeros,
        np.array(sold[:n], float), zeros, np.array(depth[:n], float), 0, 0, 0.0,
    )  # fmt: skip
    reach = found.reach(-lots)
    total, place = 0.0, None
    for i in range(n):  # tick by tick
        for k in range(1, step + 1):
            total += depth[i] - sold[i]
            if total >= lots and place is None:
                place = i * step + k
    if reach is None:
        assert max(np.cumsum(np.array(depth[:n]) - np.array(sold[:n])) * step) < lots
    else:
        assert place is not None
        assert place - 1 <= reach <= place + 1e-9
    over = np.array(sold[:n]) > np.array(depth[:n])
    inside = [any(low < price + step / 2 < high for low, high in found.runaway) for price in found.price]
    assert [a or d == q for a, d, q in zip(inside, depth, sold, strict=False)] == [
        o or d == q for o, d, q in zip(over, depth, sold, strict=False)
    ]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"contract": 5}, "contract"), ({"contract": 1}, "contract"), ({"populations": ["nobody"]}, "populations"),
        ({"width": 0.0}, "width"), ({"width": 1.0}, "width"), ({"step": 0}, "step"), ({"step": 10**6}, "step"),
        ({"smooth": -0.1}, "smooth"), ({"smooth": 0.5}, "smooth"),
    ],
)  # fmt: skip
def test_what_cannot_be_mapped_is_refused(change: dict[str, Any], key: str) -> None:
    exchange = market(event(options=2))
    change = {"contract": len(exchange.contracts)} if change == {"contract": 5} else change
    with pytest.raises(ConfigError, match=f"^{key}"):
        price_map(exchange, **change)


def test_the_frame_has_a_row_for_every_band() -> None:
    exchange = markets.market("static")
    exchange.run_until(70)
    found = price_map(exchange, width=0.1)
    table = found.frame()
    assert len(table) == len(found.price) == 2 * int(0.1 * found.mark / found.step)
    assert table["price"].is_monotonic_increasing
    assert table["depth"].sum() * found.step == pytest.approx(exchange.state.levels["depth"][0].sum(), rel=1.0)
    assert set(table["side"]) == {"below", "above"}


def test_silent_populations_leave_the_book_as_it_is() -> None:
    exchange = markets.market("static", events=())
    exchange.run_until(50)
    exchange.silence([p.name for p in exchange.populations])
    volume = int(exchange.state.quotes["volume"][0])
    twin = exchange.fork()
    for one in (exchange, twin):
        one.advance(20)
        assert int(one.state.quotes["volume"][0]) == volume
        one.check()
    exchange.silence(())
    exchange.advance(20)
    assert int(exchange.state.quotes["volume"][0]) > volume
    with pytest.raises(ConfigError, match="population"):
        exchange.silence(["nobody"])
