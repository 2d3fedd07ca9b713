"""The venue's design in force: mark rule, liquidation policy, waterfall, breakers, as the kernels read them.

A design is plain configuration (:class:`sim.config.ClearingConfig`); :func:`put` writes it into the state, at set-up
and when a fork goes on under another design.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.config import FORCED_LIMITS, MARK_RULES, ClearingConfig
from sim.contracts import rate_to_units
from sim.errors import ConfigError
from sim.kernels import state as s
from sim.liquidation import AUCTIONS, OUTLETS, SIZES
from sim.marks import COLLATERAL_PRICES, problems
from sim.waterfall import ADL_PRICES, LAST_RESORTS, LAYERS, RANKINGS, TRIGGERS

if TYPE_CHECKING:
    from sim.market import Market


def put(market: Market, clearing: ClearingConfig) -> None:
    """Write a design into the state of a market. Mutates meta, policy, waterfall, breakers, marking, contracts.

    Raises:
        ConfigError: a part of the design does not fit the market.
    """
    meta = market.state.meta
    meta[s.M_ROUNDS_MAX] = clearing.max_rounds
    meta[s.M_GRACE] = clearing.grace_steps
    meta[s.M_FORCED_LIMIT] = FORCED_LIMITS[clearing.forced_limit]
    meta[s.M_SURPLUS_TO_FUND] = clearing.surplus_to == "fund"
    meta[s.M_MARK_RULE] = MARK_RULES[clearing.mark]
    meta[s.M_FUND_UNWIND] = clearing.fund_unwind_lots
    put_marking(market, clearing)
    put_policy(market, clearing)
    put_waterfall(market, clearing)
    put_breakers(market, clearing)


def _steps(market: Market, seconds: float) -> int:
    """Steps that a time takes, rounded up, so that nothing lasts shorter than stated."""
    return -int(-seconds // market.config.dt_seconds)


def _minor(market: Market, amount: float) -> int:
    """Minor units of the account currency."""
    return round(amount * float(market.contract_table.minor[0]))


def put_marking(market: Market, clearing: ClearingConfig) -> None:
    """Parameters of the mark rules; their averages stay as they are. Mutates ``contracts`` and ``marking``.

    Raises:
        ConfigError: a window is longer than the past that is kept, or limits that no mark can keep.
    """
    rule, cells, dt = clearing.marking, market.state.marking, market.config.dt_seconds
    history = int(market.state.meta[s.M_HISTORY])
    found = problems(clearing, dt, history)
    if found:
        raise ConfigError(found)
    half_life = clearing.mark_ema_half_life_seconds / dt
    market.state.contracts["ema_alpha"] = 1.0 - 2.0 ** (-1.0 / half_life)
    for cell, seconds in (
        (s.MK_WINDOW, clearing.mark_window_seconds),
        (s.MK_BASIS_WINDOW, rule.basis_window_seconds),
    ):
        cells[:, cell] = min(_steps(market, seconds), history - 1)
    for cell, seconds in (
        (s.MK_PREMIUM_RATE, rule.premium_seconds),
        (s.MK_TRADE_RATE, rule.trade_seconds),
        (s.MK_INDEX_RATE, rule.index_seconds),
    ):
        cells[:, cell] = dt / seconds
    cells[:, s.MK_LIMIT_LOW] = 1.0 + rule.index_premium - rule.index_limit
    cells[:, s.MK_LIMIT_HIGH] = 1.0 + rule.index_premium + rule.index_limit
    cells[:, s.MK_COLLATERAL_INDEX] = COLLATERAL_PRICES.index(rule.collateral)


def put_policy(market: Market, clearing: ClearingConfig) -> None:
    """The liquidation policy. Mutates ``policy`` and ``flow``."""
    rule, cells = clearing.policy, market.state.policy
    cells[:] = 0
    cells[s.LP_SIZE] = SIZES[rule.size]
    cells[s.LP_OUTLET] = OUTLETS[rule.outlet]
    cells[s.LP_AUCTION] = AUCTIONS[rule.auction]
    for cell, fraction in (
        (s.LP_TARGET_RATIO, rule.target_ratio),
        (s.LP_STEP_FRACTION, rule.step_fraction),
        (s.LP_CLOSE_FRACTION, rule.close_fraction),
        (s.LP_CLOSE_HEALTH, rule.close_health),
        (s.LP_BONUS, rule.bonus),
        (s.LP_BONUS_SLOPE, rule.bonus_slope),
        (s.LP_BONUS_MOST, rule.bonus_most),
        (s.LP_PROTOCOL_SHARE, rule.protocol_share),
        (s.LP_BACKSTOP_RATIO, rule.backstop_ratio),
        (s.LP_BANKRUPTCY_ADJUSTMENT, rule.bankruptcy_adjustment),
        (s.LP_SPREAD_TO_MAINTENANCE, rule.spread_to_maintenance),
        (s.LP_FLOW, rule.flow_lots_per_second * market.config.dt_seconds),
        (s.LP_AUCTION_START, rule.auction_start),
        (s.LP_AUCTION_CUT, rule.auction_cut),
        (s.LP_AUCTION_CUSP, rule.auction_cusp),
        (s.LP_AUCTION_CHIP, rule.auction_chip),
        (s.LP_AUCTION_FAST_END, rule.auction_fast_end),
        (s.LP_AUCTION_BUFFER, rule.auction_buffer),
        (s.LP_AUCTION_FEE, rule.auction_fee),
    ):
        cells[cell] = rate_to_units(fraction)
    for cell, seconds in (
        (s.LP_COOLDOWN, rule.cooldown_seconds),
        (s.LP_AUCTION_STEP, rule.auction_step_seconds),
        (s.LP_AUCTION_TAIL, rule.auction_tail_seconds),
        (s.LP_AUCTION_FAST, rule.auction_fast_seconds),
        (s.LP_AUCTION_SLOW, rule.auction_slow_seconds),
        (s.LP_AUCTION_INSOLVENT, rule.auction_insolvent_seconds),
    ):
        cells[cell] = _steps(market, seconds)
    cells[s.LP_STEP_ABOVE] = _minor(market, rule.step_above)
    cells[s.LP_AUCTION_TIP] = _minor(market, rule.auction_tip)
    cells[s.LP_HEDGE_FIRST] = rule.hedge_first
    cells[s.LP_FUTURES_FIRST] = rule.futures_first


def put_waterfall(market: Market, clearing: ClearingConfig) -> None:
    """The default waterfall. Mutates ``waterfall``."""
    rule, cells = clearing.waterfall, market.state.waterfall
    if not rule.layers or rule.layers[-1] not in LAST_RESORTS:
        allowed = "layers that end with a last resort: " + " or ".join(LAST_RESORTS)
        raise ConfigError.of("clearing.waterfall.layers", list(rule.layers), allowed)
    cells[s.W_LAYER : s.W_LAYER_4 + 1] = s.LAYER_NONE
    cells[s.W_LAYER : s.W_LAYER + len(rule.layers)] = [LAYERS[name] for name in rule.layers]
    cells[s.W_RANKING] = RANKINGS[rule.ranking]
    cells[s.W_ADL_PRICE] = ADL_PRICES[rule.adl_price]
    cells[s.W_TRIGGER] = TRIGGERS[rule.adl_trigger]
    cells[s.W_DRAWDOWN] = rate_to_units(rule.fund_drawdown)
    cells[s.W_DRAWDOWN_STEPS] = _steps(market, rule.fund_drawdown_seconds)
    cells[s.W_VAULT] = -1
    if rule.vault:
        number = market.population_number(rule.vault)
        cells[s.W_VAULT] = market.state.pop_ints[number, s.PI_FIRST]


def put_breakers(market: Market, clearing: ClearingConfig) -> None:
    """Circuit breakers. Mutates ``breakers``."""
    rule, cells = clearing.breakers, market.state.breakers
    cells[s.CB_HALT_MOVE] = rate_to_units(rule.halt_move)
    cells[s.CB_HALT_WINDOW] = _steps(market, rule.halt_window_seconds)
    cells[s.CB_HALT_STEPS] = _steps(market, rule.halt_seconds)
    cells[s.CB_BAND] = rate_to_units(rule.band)
    cells[s.CB_THROTTLE] = rate_to_units(rule.throttle)
    cells[s.CB_STRESS_FROM] = rate_to_units(rule.stress_from)
    cells[s.CB_STRESS_SLOPE] = rate_to_units(rule.stress_slope)
    cells[s.CB_STRESS_MOST] = rate_to_units(rule.stress_most)
