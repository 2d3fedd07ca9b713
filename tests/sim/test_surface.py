"""Volatility surfaces: no arbitrage whatever happens, what moves them, and what users see of them."""

from __future__ import annotations

from functools import cache
from math import exp, log, pi, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import agents
import margin
from agents.registry import MarketInfo
from sim import options
from sim.config import MarketConfig, RecordConfig
from sim.contracts import Contract
from sim.errors import ConfigError
from sim.kernels import state as s
from sim.kernels import surface as kernels
from sim.market import Market
from sim.surface import SurfaceParameters, volatility
from sim.world import GbmWorld, build_world

LEVEL = 0.6
STEPS = 300
YEAR = 365 * 1440
EXPIRIES = (200, 1440, 14 * 1440)
STRIKES = (4700.0, 5000.0, 5300.0)
MOVING = SurfaceParameters(
    skew=-0.2, curvature=0.9, reversion_days=2.0, realised_weight=0.7, premium=1.1, realised_days=0.05,
    sample_seconds=180.0, leverage=1.5, return_days=0.03, skew_return=0.2, skew_realised=-0.2, flow_level=0.4,
    flow_skew=0.3, flow_lots=20.0, flow_days=0.05, update_seconds=120.0,
)  # fmt: skip


def contracts(priced_on: str = "mark") -> list[Contract]:
    terms: dict[str, Any] = {"initial_price": 5000, "underlying": "X", "max_lots": 10_000}
    made = [Contract("perp", **terms)]
    for expiry in EXPIRIES:
        for strike in STRIKES:
            for kind in ("call", "put"):
                premium = float(options.black76_price(kind, 5000.0, strike, expiry / YEAR, LEVEL))
                own = {"initial_price": max(round(premium), 1), "listing_step": 60 if expiry == EXPIRIES[1] else 0}
                made.append(
                    Contract(
                        f"O-{expiry}-{strike:.0f}-{kind[0]}", "linear_option", strike=strike, option_type=kind,
                        expiry_step=expiry, volatility=LEVEL, chain="O", priced_on=priced_on, band_ticks=200,
                        settle_steps=5, **(terms | own),
                    )
                )  # fmt: skip
    return made


TRADED = ("O-200-5000-c", "O-200-4700-p", "O-20160-5300-c")


def market(
    surface: SurfaceParameters | None = MOVING,
    *,
    traded: tuple[str, ...] = TRADED,
    steps: int = STEPS,
    daily: float = 0.03,
    seed: int = 3,
    priced_on: str = "mark",
) -> Market:
    made = contracts(priced_on)
    info = MarketInfo(tuple(c.name for c in made), 60.0, 1440)
    kinds = [
        agents.create(kind, f"{kind}{number}", {"count": 6, "contract": name} | more, info)
        for number, name in enumerate(("perp", *traded))
        for kind, more in (("latent", {"lifetime": 40.0}), ("noise", {"arrivals": 0.5}))
    ]
    return Market(
        MarketConfig(steps=steps), made,
        build_world(GbmWorld(volatility=daily), made, steps, 60.0, 1440, seed, ()),
        margin.create("static", {"initial": 0.05, "maintenance": 0.03}), kinds,
        record=RecordConfig(trades=True), seed=seed, views=False,
        surfaces={} if surface is None else {"O": surface},
    )  # fmt: skip


@cache
def ran() -> Market:
    made = market()
    made.advance(STEPS)
    made.check()
    return made


# -- no arbitrage ------------------------------------------------------------------------------------------------------

memories = st.fixed_dictionaries(
    {
        kernels.SF_REALISED: st.floats(0.0, 25.0),
        kernels.SF_AVERAGE: st.floats(-1.0, 1.0),
        kernels.SF_FLOW: st.floats(-50.0, 50.0),
        kernels.SF_TILT: st.floats(-50.0, 50.0),
    }
)


@st.composite
def parameters(draw: Any) -> SurfaceParameters:
    skew = draw(st.floats(-0.95, 0.95))
    return SurfaceParameters(
        skew=skew,
        curvature=draw(st.floats(0.05, 1.0)) * 2.0 / (1.0 + abs(skew)) * 0.999,
        power=draw(st.floats(0.05, 0.5)),
        reversion_days=draw(st.sampled_from([0.0, 0.5, 30.0])),
        realised_weight=draw(st.floats(0.0, 1.0)),
        leverage=draw(st.floats(-2.0, 2.0)),
        skew_return=draw(st.floats(-1.0, 1.0)),
        skew_realised=draw(st.floats(-1.0, 1.0)),
        flow_level=draw(st.floats(0.0, 1.0)),
        flow_skew=draw(st.floats(0.0, 1.0)),
        flow_lots=10.0,
    )


@cache
def bench() -> Market:
    return market(traded=(), steps=1)


def put(given: SurfaceParameters, memory: dict[int, float]) -> np.ndarray:
    """A surface's row after something has happened to it; the log price is 0.0 above its average's origin."""
    from sim.surface import put_surface

    made = bench()
    put_surface(made, 0, given, 0, LEVEL)
    row: np.ndarray = made.state.surface[0]
    price = row[kernels.SF_LAST]
    for cell, value in memory.items():
        row[cell] = value + (price if cell == kernels.SF_AVERAGE else 0.0)
    kernels.derive_surface(made.state, 0, price)
    return row


@given(parameters(), memories)
def test_no_state_of_a_surface_holds_static_arbitrage(given_: SurfaceParameters, memory: dict[int, float]) -> None:
    row = put(given_, memory)
    assert given_.curvature * (1 + abs(row[kernels.SF_RHO])) <= 2 + 1e-12
    before = None
    for years in (1 / YEAR, 0.001, 0.02, 0.1, 1.0, 3.0):
        k = np.linspace(-1.5, 1.5, 121) * min(1.0, 6 * LEVEL * sqrt(years) + 0.02)
        found = np.array([kernels.surface_volatility(row, x, years) for x in k])
        total = found**2 * years
        # calendar: total variance does not fall with the time to expiry, at any moneyness
        if before is not None:
            earlier = np.array([kernels.surface_volatility(row, x, before) for x in k]) ** 2 * before
            assert (total >= earlier * (1 - 1e-9)).all()
        before = years
        # butterfly: calls fall with the strike by no more than the strike rises, and are convex in it
        strike = np.exp(k)
        call = options.black76_price("call", 1.0, strike, years, found)
        slope = np.diff(call) / np.diff(strike)
        assert (slope <= 1e-9).all()
        assert (slope >= -1 - 1e-9).all()
        noise = 4e-16 / np.diff(strike).min() * 8
        assert (np.diff(slope) >= -noise - 1e-12).all()


@given(parameters(), memories, st.floats(0.0001, 2.0))
def test_the_slope_at_the_forward_is_that_of_the_smile(
    given_: SurfaceParameters, memory: dict[int, float], years: float
) -> None:
    row = put(given_, memory)
    theta = kernels.at_the_money(row[kernels.SF_SPOT], row[kernels.SF_LONG], row[kernels.SF_REVERSION], years)
    assert kernels.surface_volatility(row, 0.0, years) == pytest.approx(sqrt(theta / years), rel=1e-9)
    phi = kernels.curvature(theta, row[kernels.SF_CURVATURE], row[kernels.SF_POWER])
    h = 1e-4 / phi
    up, down = (kernels.surface_volatility(row, x, years) for x in (h, -h))
    assert (up - down) / (2 * h) == pytest.approx(
        0.5 * row[kernels.SF_RHO] * phi * sqrt(theta / years), rel=1e-3, abs=1e-6 * phi
    )


def test_variance_between_now_and_the_long_run_is_the_sum_of_what_is_expected() -> None:
    spot, long, reversion, years = 0.8, 0.25, 20.0, 0.15
    times = (np.arange(100_000) + 0.5) / 100_000 * years
    expected = np.mean(long + (spot - long) * np.exp(-reversion * times)) * years
    assert kernels.at_the_money(spot, long, reversion, years) == pytest.approx(expected, rel=1e-9)
    assert kernels.at_the_money(spot, long, 0.0, years) == spot * years


# -- what moves it -----------------------------------------------------------------------------------------------------


def test_without_parameters_nothing_moves_and_no_byte_changes() -> None:
    with_it, without = market(SurfaceParameters()), market(None)
    for one in (with_it, without):
        one.advance(60)
    assert with_it.results_hash() == without.results_hash()
    assert (with_it.state.contracts["volatility"][1:] == LEVEL).all()
    assert with_it.state.surface.shape == (1, s.SURFACE_CELLS)
    table = with_it.surface_table()
    assert (table["atm"] == LEVEL).all()
    assert (table["skew"] == 0).all()
    assert table["realised"].isna().all()


def bounded(x: float) -> float:
    return x / sqrt(1 + x * x)


def readable(made: Market) -> dict[int, tuple[float, float, float, float]]:
    """Definition of a surface in plain Python: spot and long variance, rho and realised variance by step."""
    p, rows = MOVING, made.steps_table()
    marks = [5000.0, *rows[rows["contract"] == "perp"]["mark"]]
    trades = made.trades_table()
    terms = {c.name: c for c in made.contracts}
    realised, last, average, flow, tilt = LEVEL**2, log(5000.0), log(5000.0), 0.0, 0.0
    reversion = log(2) * 365 / p.reversion_days
    trend = LEVEL * sqrt(p.return_days / (365 * log(2)))
    found: dict[int, tuple[float, float, float, float]] = {}

    def ahead(expiry: int, done: int, price: float) -> float:
        """Log of the average over the last five steps that is expected after step ``done``."""
        seen = marks[expiry - 4 : done + 1]
        return log((sum(seen) + (5 - len(seen)) * price) / 5)

    spot = long = LEVEL**2
    rho = p.skew
    for step in range(1, STEPS + 1):
        price = log(marks[step - 1])
        if step % 3 == 0:
            realised += (1 - 0.5 ** (3 / (p.realised_days * 1440))) * ((price - last) ** 2 / (3 / YEAR) - realised)
            average += (1 - 0.5 ** (3 / (p.return_days * 1440))) * (price - average)
            last = price
        if step % 2 == 0:
            pressure = p.flow_level * bounded(flow)
            base = (1 - p.realised_weight) * LEVEL**2 + p.realised_weight * p.premium**2 * realised
            spot = base * exp(2 * (pressure - p.leverage * (price - average)))
            long = LEVEL**2 * exp(2 * pressure)
            rho = p.skew + p.flow_skew * bounded(tilt) + p.skew_return * bounded((price - average) / trend)
            rho += p.skew_realised * bounded(0.5 * log(realised / LEVEL**2))
            spot, long = (min(max(x, 0.01**2), 25.0) for x in (spot, long))
            rho = min(max(rho, -0.999), 0.999)
        flow, tilt = (x * 0.5 ** (1 / (p.flow_days * 1440)) for x in (flow, tilt))
        for trade in trades[trades["step"] == step].itertuples():
            option = terms[str(trade.contract)]
            years = (option.expiry_step - step) / YEAR
            if not option.chain or years <= 0:
                continue
            updated = step - step % 2
            k = log(option.strike) - ahead(option.expiry_step, updated - 1, marks[updated - 1])
            deviation = smile(k, (option.expiry_step - updated) / YEAR, spot, long, rho, reversion) * sqrt(years)
            k = log(option.strike) - ahead(option.expiry_step, step - 1, marks[step])
            d1 = deviation / 2 - k / deviation
            lots = trade.side * trade.lots * exp(-d1 * d1 / 2) * sqrt(years * 365 / 30) / p.flow_lots
            flow, tilt = flow + lots, tilt + lots * min(max(k / deviation, -1), 1)
        found[step] = spot, long, rho, realised
    return found


def smile(k: float, years: float, spot: float, long: float, rho: float, reversion: float) -> float:
    theta = long * years + (spot - long) * (1 - exp(-reversion * years)) / reversion
    x = MOVING.curvature / sqrt(theta * (1 + theta)) * k
    return sqrt(theta / 2 * (1 + rho * x + sqrt((x + rho) ** 2 + 1 - rho * rho)) / years)


def test_a_surface_is_what_its_definition_says() -> None:
    made = ran()
    assert len(made.trades_table()["contract"].unique()) >= 3  # options traded too
    found, table = readable(made), made.surface_table()
    reversion = log(2) * 365 / MOVING.reversion_days
    assert np.abs(table["flow"]).max() > 0.05
    for row in table[table["step"] >= 2].iloc[::7].itertuples():
        spot, long, rho, realised = found[int(row.step)]
        assert row.realised == pytest.approx(sqrt(realised), rel=1e-7)
        assert row.atm == pytest.approx(smile(0.0, row.years, spot, long, rho, reversion), rel=1e-7)
        half = 0.674490 * row.atm * sqrt(row.years)
        assert row.put_25 == pytest.approx(smile(-half, row.years, spot, long, rho, reversion), rel=1e-7)


def test_rows_are_those_of_listed_expiries() -> None:
    table = ran().surface_table()
    steps = {expiry: set(rows["step"]) for expiry, rows in table.groupby("expiry_step")}
    assert steps[EXPIRIES[0]] == set(range(1, EXPIRIES[0]))
    assert steps[EXPIRIES[1]] == set(range(61, STEPS + 1))
    assert steps[EXPIRIES[2]] == set(range(1, STEPS + 1))
    volume = table[table["expiry_step"] == EXPIRIES[0]]["volume"]
    assert volume.is_monotonic_increasing
    assert volume.iloc[-1] > 0


def test_options_are_marked_on_the_surface() -> None:
    made = market()
    made.advance(100)
    for number, contract in enumerate(made.contracts[1:], start=1):
        years = (contract.expiry_step - made.tick) / YEAR
        found = made.state.contracts["volatility"][number]
        # step 100 moved the surface on the mark of step 99; marks have moved since
        forward = made.steps_table().query("contract == 'perp' and step == 99")["mark"].iloc[0]
        k = log(contract.strike / forward)
        assert found == pytest.approx(kernels.surface_volatility(made.state.surface[0], k, years), rel=1e-9)
        now = volatility(made, "O", contract.strike, years)
        spot = made.state.quotes["mark"][0] / 16
        value = options.black76_price(contract.option_type, spot, contract.strike, years, found)
        assert made.state.quotes["mark"][number] == max(round(float(value) * 16), 1)
        assert now.shape == ()
        assert abs(float(now) - found) < 0.2


def test_realised_volatility_is_found() -> None:
    daily = 0.03
    flat = SurfaceParameters(realised_weight=1.0, realised_days=3.0, sample_seconds=60.0, source="index")
    found = []
    for seed in range(4):
        made = market(flat, traded=(), steps=7200, daily=daily, seed=seed, priced_on="index")
        made.advance(7200)
        found.append(made.surface_table()["realised"].iloc[-1])
    # an average of about 6,000 squares each: one standard error is 0.9 %
    assert np.mean(found) == pytest.approx(daily * sqrt(365), rel=0.03)


def test_short_expiries_move_more_than_long_ones() -> None:
    row = put(MOVING, {kernels.SF_REALISED: 4 * LEVEL**2})
    short, long = (kernels.surface_volatility(row, 0.0, days / 365) for days in (0.5, 60))
    assert LEVEL < long < 0.75 * short


def trade(made: Market, name: str, side: int, lots: int) -> None:
    """A fill on the tape of this step, as matching leaves it, and the end of the step."""
    state = made.state
    number = [c.name for c in made.contracts].index(name)
    state.meta[s.M_STEP] += 1
    row = state.fills[int(state.meta[s.M_FILLS])]
    row["step"], row["contract"], row["side"], row["quantity"] = state.meta[s.M_STEP], number, side, lots
    state.meta[s.M_FILLS] += 1
    kernels.note_flow(state)


@pytest.mark.parametrize("side", [1, -1])
def test_taken_options_push_the_surface_and_the_pressure_fades(side: int) -> None:
    made = market(traded=())
    before = volatility(made, "O", [4700.0, 5000.0, 5300.0], 0.02)
    trade(made, "O-20160-4700-p", side, 30)
    row = made.state.surface[0]
    assert np.sign(row[kernels.SF_FLOW]) == side
    assert np.sign(row[kernels.SF_TILT]) == -side
    kernels.derive_surface(made.state, 0, row[kernels.SF_LAST])
    after = volatility(made, "O", [4700.0, 5000.0, 5300.0], 0.02)
    assert (np.sign(after - before)[:2] == side).all()
    assert side * ((after - before)[0] - (after - before)[2]) > 0  # low strikes more than high ones
    pressed = float(row[kernels.SF_FLOW])
    for _ in range(72):  # half of 0.05 days of 1440 steps, twice
        made.state.meta[s.M_STEP] += 1
        kernels.note_flow(made.state)
    assert row[kernels.SF_FLOW] == pytest.approx(pressed / 2, rel=1e-9)


def test_a_vega_counts_as_much_wherever_it_is_bought() -> None:
    made = market(SurfaceParameters(flow_level=0.4, flow_lots=20.0), traded=())
    trade(made, "O-20160-5000-c", 1, 20)
    years = (EXPIRIES[2] - 1) / YEAR
    vega = options.black76_greeks("call", 5000.0, 5000.0, [years, 30 / 365], LEVEL).vega
    month = 5000.0 * sqrt(30 / 365) / sqrt(2 * pi)  # at d1 = 0
    assert vega[1] == pytest.approx(month, rel=0.01)
    assert made.state.surface[0, kernels.SF_FLOW] == pytest.approx(vega[0] / month, rel=1e-9)


# -- forks, snapshots, input -------------------------------------------------------------------------------------------


def test_forks_and_snapshots_go_on_with_the_same_surface(tmp_path: Path) -> None:
    made = market()
    made.advance(70)
    made.save(tmp_path / "a.npz")
    twins = [made.fork(), market().load(tmp_path / "a.npz")]
    made.advance(60)
    for twin in twins:
        twin.advance(60)
        assert twin.results_hash() == made.results_hash()
        assert twin.surface_table().equals(made.surface_table())
    stepped = market()
    for _ in range(130):
        stepped.step()
    assert stepped.results_hash() == made.results_hash()


@pytest.mark.parametrize(
    ("given_", "key"),
    [
        ({"curvature": 1.6, "skew": -0.5}, "curvature"),
        ({"skew": -0.5}, "curvature"),
        ({"lowest": 2.0, "highest": 1.0}, "lowest"),
        ({"flow_level": 0.3}, "flow_lots"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(given_: dict[str, float], key: str) -> None:
    with pytest.raises(ConfigError, match=rf"surface\.{key} = ") as caught:
        market(SurfaceParameters(realised_weight=0.5, **given_), traded=())
    assert "\n" not in str(caught.value)


def test_questions_that_have_no_answer_are_refused() -> None:
    made = bench()
    with pytest.raises(ConfigError, match="chain = 'P'; allowed: one of O"):
        volatility(made, "P", 100.0, 0.1)
    with pytest.raises(ConfigError, match="chain = 3"):
        volatility(made, 3, 100.0, 0.1)
    with pytest.raises(ConfigError, match="strike = -1"):
        volatility(made, 0, [100.0, -1.0], 0.1)
    with pytest.raises(ConfigError, match="years = 0"):
        volatility(made, 0, 100.0, 0.0)
    with pytest.raises(ConfigError, match="surfaces = 'P'"):
        Market(
            MarketConfig(steps=1), contracts(), made.world, made.margin, made.populations, seed=1, views=False,
            surfaces={"P": MOVING},
        )  # fmt: skip


# -- the table of options ----------------------------------------------------------------------------------------------


def test_the_table_of_options_shows_what_they_are_worth() -> None:
    made = ran()
    table = made.chain_table()
    alive = [c for c in made.contracts[1:] if c.expiry_step > made.tick]
    assert table["contract"].tolist() == [c.name for c in alive]
    number = [c.name for c in made.contracts].index(TRADED[2])
    row = table.set_index("contract").loc[TRADED[2]]
    greeks = options.black76_greeks("call", row["forward"], 5300.0, row["years"], row["volatility"])
    second = options.black76_second("call", row["forward"], 5300.0, row["years"], row["volatility"])
    assert row["mark"] == pytest.approx(float(greeks.price), abs=1 / 32)
    for name in ("delta", "gamma", "vega", "theta"):
        assert row[name] == float(getattr(greeks, name))
    for name in ("vanna", "volga", "charm"):
        assert row[name] == float(getattr(second, name))
    assert row["volume"] == made.state.quotes["volume"][number] > 0
    assert row["bid"] == made.state.quotes["bid"][number]
    back = options.black76_price("call", row["forward"], 5300.0, row["years"], row["bid_volatility"])
    assert float(back) == pytest.approx(row["bid"], abs=1e-9)
    quiet = table[~table["contract"].isin(TRADED)]
    assert quiet["bid"].isna().all()
    assert quiet["ask_volatility"].isna().all()
    assert made.fork().chain_table().equals(table)
