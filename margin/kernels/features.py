"""What the exchange remembers of every account, and the map of where accounts would be liquidated.

Features and map are renewed at an interval, together with what the add-ons of :mod:`margin.kernels.addons` publish.
"""

from __future__ import annotations

import numpy as np

from margin.kernels.addon_columns import (
    A_BAND,
    A_BEHAVIOUR,
    A_BUCKET,
    A_CAP,
    A_CROWDING,
    A_DRIFT,
    A_ENTRY,
    A_IMPACT,
    A_MAP_MARK,
    A_ON,
    A_SKEW,
    A_SKEW_LOTS,
    A_SPREAD,
    A_THRESHOLD,
    A_VOLUME,
    F_CONCENTRATION,
    F_LIQUIDATIONS,
    F_SHARE,
    F_TRADED,
    F_TURNOVER,
    F_UTILISATION,
    FEATURE_COUNT,
    MAP_HALF,
    N_LAST,
    N_MAP_MARK,
    N_SIGMA,
    N_SPREAD,
    N_STARTED,
    N_VOLUME,
    Q_BAND,
    Q_BEHAVIOUR_CAP,
    Q_BEHAVIOUR_ON,
    Q_BUCKET,
    Q_CAP,
    Q_CROWDING,
    Q_CROWDING_ON,
    Q_DAYS,
    Q_DRIFT,
    Q_DRIFT_ON,
    Q_ENTRY,
    Q_FLOORS,
    Q_FULL,
    Q_IMPACT,
    Q_LIQUIDITY_ON,
    Q_SIGMA,
    Q_SKEW,
    Q_SKEW_LOTS,
    Q_SKEW_ON,
    Q_SKEW_SHARE,
    Q_SPREAD,
    Q_THRESHOLD,
    Q_THRESHOLD_ON,
    Q_TRACKED,
    Q_UPDATE,
    Q_VOLUME,
    Q_WEIGHT_NEW,
    Q_WEIGHTS,
)
from margin.kernels.addons import liquidation_bucket
from margin.kernels.columns import P_RATES, P_SAMPLE, VOLATILITY
from margin.kernels.publish import forecast_variance, publish
from sim.kernels.jit import kernel
from sim.kernels.ledger import equity, position_equity
from sim.kernels.state import (
    CLOSED,
    ISOLATED,
    M_ACCOUNTS,
    M_CONTRACTS,
    M_LAYOUT,
    M_RISK_SLOTS,
    M_STEP,
    M_STEPS_PER_DAY,
    M_TRADERS,
    MAP_BUCKETS,
    PUBLISH,
    RATE_ONE,
)
from sim.kernels.values import is_inverse, is_option, value_at
from sim.kernels.wide import mul_rate


@kernel()
def behaviour_rate(params, features):
    """``min(cap, sum of w_k clip((f_k - floor_k) / (full_k - floor_k), 0, 1))`` in units, each term to nearest.

    Args:
        params: float64[ADDON_PARAMS].
        features: float64[FEATURE_COUNT] of one account.
    """
    total = np.float64(0.0)
    for k in range(FEATURE_COUNT):
        floor = params[Q_FLOORS + k]
        part = min(max((features[k] - floor) / (params[Q_FULL + k] - floor), 0.0), 1.0)
        total += np.floor(params[Q_WEIGHTS + k] * part + 0.5)
    return np.int64(min(total, params[Q_BEHAVIOUR_CAP]))


@kernel()
def coefficients_of(params, memory, scale, out):
    """What the add-ons of one contract publish, from parameters and the volatility, volume and spread in use.

    Args:
        params: float64[ADDON_PARAMS].
        memory: float64[ADDON_MEMORY].
        scale: factor on every add-on (forks at equal mean margin), 1.0 otherwise.
        out: int64[2, ADDON_COEFFICIENTS], mutated.
    """
    one = np.float64(RATE_ONE) * scale
    sigma = memory[N_SIGMA]
    for which in range(2):
        bit = 1 << which
        on = False
        for k in range(out.shape[1]):
            out[which, k] = 0
        out[which, A_VOLUME] = np.int64(memory[N_VOLUME])
        out[which, A_BUCKET] = np.int64(params[Q_BUCKET])
        out[which, A_CAP] = np.int64(params[Q_CAP])
        out[which, A_ENTRY] = np.int64(params[Q_ENTRY])
        if np.int64(params[Q_LIQUIDITY_ON]) & bit:
            half = params[Q_SPREAD] if params[Q_SPREAD] >= 0.0 else memory[N_SPREAD]
            out[which, A_SPREAD] = np.int64(min(np.floor(half * one + 0.5), np.float64(RATE_ONE)))
            out[which, A_IMPACT] = np.int64(np.floor(params[Q_IMPACT] * sigma * one + 0.5))
            on = True
        if np.int64(params[Q_CROWDING_ON]) & bit:
            out[which, A_CROWDING] = np.int64(np.floor(params[Q_CROWDING] * sigma * one + 0.5))
            out[which, A_BAND] = max(np.int64(np.floor(params[Q_BAND] * MAP_HALF + 0.5)), np.int64(1))
            out[which, A_MAP_MARK] = np.int64(memory[N_MAP_MARK])
            on = True
        if np.int64(params[Q_DRIFT_ON]) & bit:
            out[which, A_DRIFT] = np.int64(np.floor(params[Q_DRIFT] * one + 0.5))
            on = True
        if np.int64(params[Q_SKEW_ON]) & bit:
            share = params[Q_SKEW_SHARE] if which == 1 else 1.0
            out[which, A_SKEW] = np.int64(np.floor(params[Q_SKEW] * share * one + 0.5))
            out[which, A_SKEW_LOTS] = max(np.int64(params[Q_SKEW_LOTS]), np.int64(1))
            on = True
        if np.int64(params[Q_THRESHOLD_ON]) & bit:
            out[which, A_THRESHOLD] = np.int64(params[Q_THRESHOLD])
            on = True
        if np.int64(params[Q_BEHAVIOUR_ON]) & bit:
            out[which, A_BEHAVIOUR] = np.int64(np.floor(one + 0.5))
            on = True
        out[which, A_ON] = 1 if on else 0


@kernel()
def observe_positions(state, slot):
    """Note what every account has traded since the last step, and at which rate its position was accepted.

    A position that grows takes the average of its rate and the rate that bound the new lots, weighted by lots and
    rounded up; one that shrinks keeps its rate. Mutates ``entry_rate``, ``seen_lots`` and the traded value.
    """
    for account in range(state.meta[M_TRADERS]):
        for contract in range(state.meta[M_CONTRACTS]):
            before, after = state.seen_lots[slot, account, contract], state.positions[account, contract].lots
            if before == after:
                continue
            mark = state.quotes[contract].mark
            traded = abs(value_at(state, contract, after - before, mark))
            state.features[slot, account, F_TRADED] += np.float64(traded)
            rate = state.model_rates[slot, contract, 0]
            held, now = abs(before), abs(after)
            if after == 0:
                state.entry_rate[slot, account, contract] = 0
            elif held == 0 or (before < 0) != (after < 0):
                state.entry_rate[slot, account, contract] = rate
            elif now > held:
                old = state.entry_rate[slot, account, contract]
                state.entry_rate[slot, account, contract] = -(-(held * old + (now - held) * rate) // now)
            state.seen_lots[slot, account, contract] = after


@kernel()
def update_features(state, slot):
    """Renew the features of every account, and its behaviour rate. Mutates ``features``, ``behaviour_rate``."""
    common, memory = state.addon_params[slot, 0], state.addon_memory[slot, 0]
    weight, days = common[Q_WEIGHT_NEW], common[Q_DAYS]
    since = np.int64(memory[N_LAST])
    for account in range(state.meta[M_TRADERS]):
        row = state.features[slot, account]
        own = np.float64(equity(state, account))
        used, gross, squares, share = np.int64(0), 0.0, 0.0, 0.0
        for contract in range(state.meta[M_CONTRACTS]):
            lots = state.positions[account, contract].lots
            if lots != 0:
                value = abs(value_at(state, contract, lots, state.quotes[contract].mark))
                used += mul_rate(value, state.model_rates[slot, contract, 0])
                gross += np.float64(value)
                squares += np.float64(value) * np.float64(value)
                interest = max(state.quotes[contract].open_interest, np.int64(1))
                share = max(share, min(np.float64(abs(lots)) / np.float64(interest), 1.0))
        utilisation = 0.0
        if used > 0:
            utilisation = min(np.float64(used) / own, 1.0) if own > 0.0 else 1.0
        row[F_UTILISATION] += weight * (utilisation - row[F_UTILISATION])
        row[F_LIQUIDATIONS] *= 1.0 - weight
        if state.accounts[account].last_liquidation >= 0 and state.accounts[account].last_liquidation >= since:
            row[F_LIQUIDATIONS] += 1.0
        turnover = row[F_TRADED] / max(own, 1.0) / days
        row[F_TURNOVER] += weight * (turnover - row[F_TURNOVER])
        row[F_TRADED] = 0.0
        row[F_CONCENTRATION] = squares / (gross * gross) if gross > 0.0 else 0.0
        row[F_SHARE] = share
        state.behaviour_rate[slot, account] = behaviour_rate(common, row)


@kernel()
def draw_map(state):
    """Count, per contract and side, the lots that would be liquidated at each price. Mutates map and ``map_own``."""
    contracts = state.meta[M_CONTRACTS]
    isolated = state.meta[M_LAYOUT] == ISOLATED
    state.liquidation_map[:, :, :] = 0
    for contract in range(contracts):
        state.addon_memory[0, contract, N_MAP_MARK] = np.float64(state.quotes[contract].mark)
    for account in range(state.meta[M_TRADERS]):
        record = state.accounts[account]
        carried = np.int64(0)
        if not isolated and record.positions > 1:
            for contract in range(contracts):
                lots = state.positions[account, contract].lots
                if lots != 0 and not is_option(state, contract):
                    value = abs(value_at(state, contract, lots, state.quotes[contract].mark))
                    carried += mul_rate(value, state.model_rates[0, contract, 1])
        for contract in range(contracts):
            state.map_own[account, contract, 0] = 0
            state.map_own[account, contract, 1] = 0
            lots = state.positions[account, contract].lots
            if lots == 0 or record.exempt != 0 or record.status == CLOSED or is_option(state, contract):
                continue
            mark = state.quotes[contract].mark
            value = value_at(state, contract, lots, mark)
            rate = state.model_rates[0, contract, 1]
            others = carried - mul_rate(abs(value), rate) if carried > 0 else np.int64(0)
            own = position_equity(state, account, contract) if isolated else equity(state, account)
            bucket = liquidation_bucket(lots, abs(value), own, others, rate, mark, mark, is_inverse(state, contract))
            if bucket >= 0:
                state.liquidation_map[contract, 0 if lots > 0 else 1, bucket + 1] += abs(lots)
                state.map_own[account, contract, 0] = bucket + 1  # 0: nowhere
                state.map_own[account, contract, 1] = lots
    for contract in range(contracts):
        for side in range(2):
            for bucket in range(MAP_BUCKETS):
                state.liquidation_map[contract, side, bucket + 1] += state.liquidation_map[contract, side, bucket]


@kernel()
def _measure(state, slot, contract):
    """Volatility, volume and spread that the add-ons of a contract go by. Mutates its memory."""
    params, memory = state.addon_params[slot, contract], state.addon_memory[slot, contract]
    per_day = np.float64(state.meta[M_STEPS_PER_DAY])
    sigma = params[Q_SIGMA]
    if sigma <= 0.0 and state.model_params[slot, contract, P_RATES] == VOLATILITY:
        rates = state.model_params[slot, contract]
        sigma = np.sqrt(forecast_variance(rates, state.model_state[slot, contract]) * (per_day / rates[P_SAMPLE]))
    memory[N_SIGMA] = sigma
    quote = state.quotes[contract]
    day = np.float64(quote.volume_day)
    if quote.volume_day == 0 and state.meta[M_STEP] > 0:  # the first day: what has been traded so far, at that pace
        day = np.float64(quote.volume) * (per_day / np.float64(state.meta[M_STEP]))
    memory[N_VOLUME] = np.floor(max(day, params[Q_VOLUME]))
    if quote.bid > 0 and quote.ask > 0:
        half = np.float64(quote.ask - quote.bid) / np.float64(quote.ask + quote.bid)
        weight = params[Q_WEIGHT_NEW] if memory[N_STARTED] != 0.0 else 1.0
        memory[N_SPREAD] += weight * (half - memory[N_SPREAD])
        memory[N_STARTED] = 1.0


@kernel()
def update(state, slot):
    """Renew features, map and what add-ons are measured by, for the step being computed."""
    if state.addon_params[slot, 0, Q_TRACKED] != 0.0:
        update_features(state, slot)
    for contract in range(state.meta[M_CONTRACTS]):
        _measure(state, slot, contract)
        state.addon_memory[slot, contract, N_LAST] = np.float64(state.meta[M_STEP])
    if slot == 0 and state.addon_params[0, 0, Q_CROWDING_ON] != 0.0:
        draw_map(state)


@kernel()
def put_in_force(state):
    """Publish the coefficients of the active model's add-ons. Mutates the newest row of ``addon_coefficients``."""
    row = max(state.meta[M_STEP], 0) % state.meta[M_RISK_SLOTS]
    for contract in range(state.meta[M_CONTRACTS]):
        coefficients_of(
            state.addon_params[0, contract], state.addon_memory[0, contract], state.model_scale[0],
            state.addon_coefficients[row, contract],
        )  # fmt: skip


@kernel()
def install(state, slot, params):
    """Write the parameters of a model's add-ons, and begin its memory."""
    for contract in range(state.meta[M_CONTRACTS]):
        state.addon_params[slot, contract, :] = params[contract]
        state.addon_memory[slot, contract, :] = 0.0
        state.addon_memory[slot, contract, N_LAST] = -1.0


@kernel()
def take_over(state, slot):
    """Put what one publisher remembers of accounts in the place of the active one (a fork to its regime)."""
    state.addon_params[0] = state.addon_params[slot]
    state.addon_memory[0] = state.addon_memory[slot]
    state.features[0] = state.features[slot]
    state.behaviour_rate[0] = state.behaviour_rate[slot]
    state.entry_rate[0] = state.entry_rate[slot]
    state.seen_lots[0] = state.seen_lots[slot]
    if state.addon_params[0, 0, Q_CROWDING_ON] != 0.0:
        draw_map(state)


@kernel()
def is_due(state, slot):
    """Whether features and map are to be renewed in this step, and have not been."""
    step = state.meta[M_STEP]
    interval = np.int64(state.addon_params[slot, 0, Q_UPDATE])
    return step % interval == 0 and np.int64(state.addon_memory[slot, 0, N_LAST]) != step


@kernel(PUBLISH)
def observe(state, slot):
    """Keep the features of accounts for a rule that reads them but has no compiled add-ons."""
    observe_positions(state, slot)
    if is_due(state, slot):
        update(state, slot)


@kernel(PUBLISH)
def publish_with_addons(state, slot):
    """Publish rates (:func:`margin.kernels.publish.publish`), then what the add-ons go by.

    Positions are looked at first: they were accepted under the rates published before.
    """
    if state.features.shape[1] != state.meta[M_ACCOUNTS]:
        publish(state, slot)  # a state without room for accounts' features: rates only
        return
    if state.addon_params[slot, 0, Q_TRACKED] != 0.0 or state.addon_params[slot, 0, Q_ENTRY] != 0.0:
        observe_positions(state, slot)
    publish(state, slot)
    if is_due(state, slot):
        update(state, slot)
    if slot == 0:
        put_in_force(state)
