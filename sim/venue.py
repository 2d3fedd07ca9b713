"""The venue's design in force: mark rule, liquidation policy, waterfall, breakers, as the kernels read them.

A design is plain configuration (:class:`sim.config.ClearingConfig`); :func:`put` writes it into the state, at set-up
and when a fork goes on under another design.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sim.config import FORCED_LIMITS, MARK_RULES, ClearingConfig
from sim.contracts import rate_to_units
from sim.errors import ConfigError
from sim.kernels import state as s
from sim.kernels.index import touch
from sim.liquidation import AUCTIONS, OUTLETS, SIZES, actions_per_step, flow_cap, policy_problems
from sim.marks import COLLATERAL_PRICES
from sim.waterfall import ADL_PRICES, LAYERS, RANKINGS, TRIGGERS, waterfall_problems

_LONGEST = 1 << 30  # steps; a wait is kept in 32 bits

if TYPE_CHECKING:
    from sim.breakers import Breakers
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
    half_life = clearing.mark_ema_half_life_seconds / dt
    market.state.contracts["ema_alpha"] = 1.0 - 2.0 ** (-1.0 / half_life)
    most = int(market.state.meta[s.M_HISTORY]) - 1
    for cell, key, seconds, rules in (
        (s.MK_WINDOW, "mark_window_seconds", clearing.mark_window_seconds, ("twap",)),
        (s.MK_BASIS_WINDOW, "marking.basis_window_seconds", rule.basis_window_seconds, ("index_median",)),
    ):
        steps = _steps(market, seconds)
        if steps > most and clearing.mark in rules:
            raise ConfigError.of(f"clearing.{key}", seconds, f"at most {most * dt:g}, {most} steps of {dt:g} seconds")
        cells[:, cell] = min(steps, most)
    for cell, seconds in (
        (s.MK_PREMIUM_RATE, rule.premium_seconds),
        (s.MK_TRADE_RATE, rule.trade_seconds),
        (s.MK_INDEX_RATE, rule.index_seconds),
    ):
        cells[:, cell] = dt / seconds
    cells[:, s.MK_LIMIT_LOW] = 1.0 + rule.index_premium - rule.index_limit
    cells[:, s.MK_LIMIT_HIGH] = 1.0 + rule.index_premium + rule.index_limit
    if cells[0, s.MK_LIMIT_LOW] <= 0.0:
        allowed = f"less than {1 + rule.index_premium:g}, so that the lowest mark is above zero"
        raise ConfigError.of("clearing.marking.index_limit", rule.index_limit, allowed)
    cells[:, s.MK_COLLATERAL_INDEX] = COLLATERAL_PRICES.index(rule.collateral)


def put_policy(market: Market, clearing: ClearingConfig) -> None:
    """The liquidation policy. Mutates ``policy`` and ``flow``.

    Raises:
        ConfigError: a parameter makes no sense, or not with these steps.
    """
    rule, cells = clearing.policy, market.state.policy
    problems = policy_problems(rule, market.config.dt_seconds, clearing.forced_limit, clearing.waterfall.layers)
    if problems:
        raise ConfigError(problems)
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
        (s.LP_AUCTION_STEP, rule.auction_step_seconds),
        (s.LP_AUCTION_TAIL, rule.auction_tail_seconds),
        (s.LP_AUCTION_FAST, rule.auction_fast_seconds),
        (s.LP_AUCTION_SLOW, rule.auction_slow_seconds),
        (s.LP_AUCTION_INSOLVENT, rule.auction_insolvent_seconds),
    ):
        cells[cell] = _steps(market, seconds)
    cells[s.LP_ACTIONS] = actions = actions_per_step(rule.cooldown_seconds, market.config.dt_seconds)
    cells[s.LP_COOLDOWN] = 1 if actions > 1 else min(_steps(market, rule.cooldown_seconds), _LONGEST)
    cells[s.LP_FLOW], cells[s.LP_FLOW_WINDOW] = flow_cap(rule, market.config.dt_seconds)
    market.state.flow[:] = 0
    cells[s.LP_STEP_ABOVE] = _minor(market, rule.step_above)
    cells[s.LP_AUCTION_TIP] = _minor(market, rule.auction_tip)
    cells[s.LP_HEDGE_FIRST] = rule.hedge_first
    cells[s.LP_FUTURES_FIRST] = rule.futures_first


def put_waterfall(market: Market, clearing: ClearingConfig) -> None:
    """The default waterfall. Mutates ``waterfall``, and who is exempt from calls: the vault.

    Raises:
        ConfigError: layers without a last resort, or a layer or trigger without what it needs.
    """
    rule, state = clearing.waterfall, market.state
    cells = state.waterfall
    problems = waterfall_problems(rule)
    if problems:
        raise ConfigError(problems)
    cells[s.W_LAYER : s.W_LAYER_4 + 1] = s.LAYER_NONE
    cells[s.W_LAYER : s.W_LAYER + len(rule.layers)] = [LAYERS[name] for name in rule.layers]
    cells[s.W_RANKING] = RANKINGS[rule.ranking]
    cells[s.W_ADL_PRICE] = ADL_PRICES[rule.adl_price]
    cells[s.W_TRIGGER] = TRIGGERS[rule.adl_trigger]
    cells[s.W_DRAWDOWN] = rate_to_units(rule.fund_drawdown)
    cells[s.W_DRAWDOWN_STEPS] = _steps(market, rule.fund_drawdown_seconds)
    _put_vault(market, rule.vault)


def _put_vault(market: Market, name: str) -> None:
    """Make the one account of a population the backstop vault, or none; a vault of before becomes a trader again."""
    state, vault = market.state, -1
    if name:
        number = market.population_number(name)
        if state.pop_ints[number, s.PI_COUNT] != 1:
            raise ConfigError.of("clearing.waterfall.vault", name, "a population of one account")
        vault = int(state.pop_ints[number, s.PI_FIRST])
    before = int(state.waterfall[s.W_VAULT])
    if vault == before:
        return
    state.waterfall[s.W_VAULT] = vault
    for account, exempt in ((before, 0), (vault, 1)):
        if account >= 0:
            state.accounts["exempt"][account] = exempt
            touch(state, account)


def put_breakers(market: Market, clearing: ClearingConfig) -> None:
    """Circuit breakers. Mutates ``breakers``; without halts, ends those of the design before.

    Raises:
        ConfigError: a breaker is out of range, or the margin rule cannot be multiplied.
    """
    rule, cells = clearing.breakers, market.state.breakers
    _check_breakers(market, rule)
    cells[s.CB_HALT_MOVE] = rate_to_units(rule.halt_move)
    cells[s.CB_HALT_WINDOW] = _steps(market, rule.halt_window_seconds)
    cells[s.CB_HALT_STEPS] = _steps(market, rule.halt_seconds)
    cells[s.CB_BAND] = rate_to_units(rule.band)
    cells[s.CB_THROTTLE] = rate_to_units(rule.throttle)
    cells[s.CB_STRESS_FROM] = rate_to_units(rule.stress_from)
    cells[s.CB_STRESS_SLOPE] = rate_to_units(rule.stress_slope)
    cells[s.CB_STRESS_MOST] = rate_to_units(rule.stress_most)
    if rule.stress_slope:
        check_stress(getattr(market, "margin", None))
    if not rule.halt_move:
        market.state.breaker_state[:, s.BS_UNTIL] = 0
        market.state.meta[s.M_HALTED] = 0


def check_stress(model: Any) -> None:
    """Refuse the margin multiplier where a rule asks for more than published rates and scenario profits.

    Raises:
        ConfigError: naming the regime.
    """
    if not getattr(model, "follows_rates", True):
        name = getattr(model, "name", "") or type(model).__name__
        allowed = (
            "0 with this regime: the multiplier acts on published rates and scenario grids, not on charges by size, "
            "add-ons or formulas of their own"
        )
        raise ConfigError.of("clearing.breakers.stress_slope", f"above 0 with {name}", allowed)


def _check_breakers(market: Market, rule: Breakers) -> None:
    dt, ring = market.config.dt_seconds, int(market.state.meta[s.M_HISTORY])
    longest = (ring - 2) * dt
    ranges: tuple[tuple[str, bool, str], ...] = (
        ("halt_move", 0 <= rule.halt_move < 1, "a fraction, at least 0 and below 1"),
        (
            "halt_window_seconds", 0 < rule.halt_window_seconds <= longest,
            f"above 0 and at most {longest:g}, which is as far as past marks are kept at {dt:g} seconds a step",
        ),
        ("halt_seconds", 0 < rule.halt_seconds < 2**31 * dt / 4, "a time above 0"),
        ("band", 0 <= rule.band < 1, "a fraction, at least 0 and below 1"),
        ("throttle", 0 <= rule.throttle <= 1e6, "a share, at least 0"),
        ("stress_from", 0 <= rule.stress_from <= 1e6, "an index, at least 0"),
        ("stress_slope", 0 <= rule.stress_slope <= 1e6, "a number, at least 0"),
        ("stress_most", 1 <= rule.stress_most <= 1e6, "a multiplier, at least 1"),
    )  # fmt: skip
    for key, holds, allowed in ranges:
        if not holds:
            raise ConfigError.of(f"clearing.breakers.{key}", getattr(rule, key), allowed)
