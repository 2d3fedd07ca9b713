"""Dutch auctions of accounts under maintenance, and the one whose price falls from above the mark.

``clip`` sells one contract of the account at a time at a price that falls with time (Maker, Liquidation 2.0, MIP45);
``share`` is :mod:`sim.kernels.share_auctions`. Steps are blocks: prices move once a step, and the liquidators of one
step race by priority fee (:mod:`sim.kernels.bids`).
"""

from __future__ import annotations

import numpy as np

from sim.kernels.auction_rows import BID, close_auction, open_row, restart
from sim.kernels.bids import in_reach, pay_costs, race, race_key
from sim.kernels.breakers import halted
from sim.kernels.events import record_event
from sim.kernels.jit import kernel
from sim.kernels.ledger import OFFSET_FUND, transfer
from sim.kernels.penalty import own_equity
from sim.kernels.share_auctions import gross_value, share_auction
from sim.kernels.state import (
    AUCTION_CLIP,
    AUCTION_SHARE,
    EV_AUCTION,
    LIQUIDATE,
    LIQUIDATING,
    LP_AUCTION,
    LP_AUCTION_CHIP,
    LP_AUCTION_CUSP,
    LP_AUCTION_CUT,
    LP_AUCTION_INSOLVENT,
    LP_AUCTION_START,
    LP_AUCTION_STEP,
    LP_AUCTION_TAIL,
    LP_AUCTION_TIP,
    LP_OUTLET,
    LP_SIZE,
    LP_TARGET_RATIO,
    M_AUCTIONS,
    M_BIDS,
    M_CONTRACTS,
    M_STEP,
    M_TRADERS,
    MAINTENANCE,
    OF_POSITION,
    OUTLET_AUCTION,
    RATE_ONE,
    SIZE_TARGET,
)
from sim.kernels.takeover import fund_equity
from sim.kernels.values import in_account_currency, notional_of, value_at
from sim.kernels.wide import mul_div_floor, mul_rate, mul_shift_floor

__all__ = ["auction", "clip_fraction", "clip_price", "close_auction", "close_ended", "is_running"]


@kernel()
def clip_fraction(state, elapsed):
    """Price over start price after some steps, 2**-32: ``cut ** floor(elapsed / step)``, or ``1 - elapsed / tail``."""
    length, step = state.policy[LP_AUCTION_TAIL], state.policy[LP_AUCTION_STEP]
    if step <= 0:
        return np.int64(0) if elapsed >= length else RATE_ONE - mul_div_floor(RATE_ONE, elapsed, length)
    fraction, power, times = np.int64(RATE_ONE), state.policy[LP_AUCTION_CUT], elapsed // step
    while times > 0:
        if times & 1:
            fraction = mul_shift_floor(fraction, power, 32)
        power = mul_shift_floor(power, power, 32)
        times >>= 1
    return fraction


@kernel()
def clip_price(state, i, side):
    """Price of clip auction i in sub-ticks: ``start x mark x fraction`` for longs, mirrored at that mark for shorts."""
    row = state.auctions[i]
    top = mul_shift_floor(row.price, state.policy[LP_AUCTION_START], 32)
    price = mul_shift_floor(top, clip_fraction(state, state.meta[M_STEP] - np.int64(row.start)), 32)
    if side < 0:
        price = 2 * row.price - price
    return min(max(price, np.int64(1)), state.contracts[row.contract].max_price * 16)


@kernel()
def _needs_reset(state, i, ahead):
    """True when an auction has run beyond its tail, or its price has fallen below its cusp, some steps from now."""
    elapsed = state.meta[M_STEP] + ahead - np.int64(state.auctions[i].start)
    if elapsed > state.policy[LP_AUCTION_TAIL]:
        return True
    return clip_fraction(state, elapsed) < state.policy[LP_AUCTION_CUSP]


@kernel()
def _pay_keeper(state, account, k):
    """Tip and chip of the fund for the liquidator that started or reset the auction, if there is one.

    Keepers are liquidators with an open offer for the position to whom the reward pays their gas; the drawn key says
    who was first. The fund pays what it has.
    """
    side = 1 if state.positions[account, k].lots > 0 else -1
    fund = state.meta[M_TRADERS] + OFFSET_FUND
    value = notional_of(state, k, abs(state.positions[account, k].lots))
    reward = state.policy[LP_AUCTION_TIP] + mul_shift_floor(value, state.policy[LP_AUCTION_CHIP], 32)
    reward = min(reward, max(fund_equity(state), np.int64(0)))
    if reward <= 0:
        return
    first, best = np.int64(-1), np.uint64(0)
    for i in range(state.meta[M_BIDS]):
        bid = state.bids[i]
        if bid.account == account or not in_reach(state, i, account, k, side) or reward < bid.gas + bid.least:
            continue
        key = race_key(state, account, np.int64(bid.account))
        if first < 0 or key < best:
            first, best = np.int64(i), key
    if first >= 0:
        keeper = np.int64(state.bids[first].account)
        transfer(state, fund, keeper, reward)
        pay_costs(state, keeper, state.bids[first].gas)


@kernel()
def _largest_leg(state, account):
    """Contract in which the account's position is worth most, -1 if it holds none."""
    best, largest = np.int64(-1), np.int64(-1)
    for k in range(state.meta[M_CONTRACTS]):
        lots = abs(state.positions[account, k].lots)
        if lots != 0 and notional_of(state, k, lots) > largest:
            best, largest = np.int64(k), notional_of(state, k, lots)
    return best


@kernel(OF_POSITION)
def _is_safe(state, account, contract, evaluate):
    """1 when the account is not under maintenance."""
    return np.int64(own_equity(state, account, contract) >= evaluate(state, account, contract, MAINTENANCE))


@kernel(OF_POSITION)
def _restores(state, account, contract, evaluate):
    """Lots of the contract on auction that restore the target ratio at the present price; all of them otherwise.

    Selling a part x of the leg at a loss L against the mark and a fee F leaves ``E - x (L + F)`` against maintenance
    ``M - x M_leg``: x = (t M - E) / (t M_leg - L - F), with M_leg the leg's share of M by value.
    """
    i = state.accounts[account].auction
    k = np.int64(state.auctions[i].contract)
    lots = state.positions[account, k].lots
    whole = abs(lots)
    if state.policy[LP_SIZE] != SIZE_TARGET:
        return whole
    side = 1 if lots > 0 else -1
    price, mark = clip_price(state, i, side), state.quotes[k].mark
    loss = side * (value_at(state, k, whole, mark) - value_at(state, k, whole, price))
    currency = np.int64(state.contracts[k].currency)
    loss = in_account_currency(state, currency, loss) if loss > 0 else -in_account_currency(state, currency, -loss)
    here = notional_of(state, k, whole)
    fee = mul_rate(here, state.contracts[k].fee_liquidation)
    required = evaluate(state, account, contract, MAINTENANCE)
    gross = gross_value(state, account, contract)
    target = mul_rate(required, state.policy[LP_TARGET_RATIO])
    missing = target - own_equity(state, account, contract)
    freed = mul_div_floor(target, here, gross) - loss - fee
    if missing >= freed:
        return whole
    return min(max(-mul_div_floor(-missing, whole, freed), np.int64(1)), whole)


@kernel(OF_POSITION)
def clip_auction(state, account, contract, evaluate):
    """One round of a clip auction: opens or resets it, lets liquidators race at its price, closes it.

    An account that holds several contracts sells the one that is worth most first; the next auction follows.

    Returns:
        Lots that changed hands.
    """
    i = np.int64(state.accounts[account].auction)
    if i >= 0:
        k = np.int64(state.auctions[i].contract)
        if k < 0 or state.positions[account, k].lots == 0:
            close_auction(state, account)
            i = np.int64(-1)
    if i >= 0 and contract >= 0 and state.auctions[i].contract != contract:
        return np.int64(0)  # one auction at a time: the other position waits
    if i < 0:
        k = contract if contract >= 0 else _largest_leg(state, account)
        if k < 0:
            return np.int64(0)
        i = open_row(state, account, k, state.quotes[k].mark)
        _pay_keeper(state, account, k)
    k = np.int64(state.auctions[i].contract)
    if halted(state, k):
        return np.int64(0)
    if _needs_reset(state, i, 0):
        restart(state, i, state.quotes[k].mark)
        _pay_keeper(state, account, k)
    side = 1 if state.positions[account, k].lots > 0 else -1
    mark, price = state.quotes[k].mark, clip_price(state, i, side)
    gain = mul_div_floor(side * (mark - price), RATE_ONE, mark)
    if gain < 0:
        return np.int64(0)
    given = race(
        state, account, contract, k, _restores(state, account, contract, evaluate), price, price, gain, evaluate
    )
    if given > 0:
        record_event(state, EV_AUCTION, k, account, BID, given, price, 0)
        if state.positions[account, k].lots == 0 or _is_safe(state, account, contract, evaluate) != 0:
            close_auction(state, account)
    return given


@kernel(LIQUIDATE)
def auction(state, account, contract, last_resort, evaluate):
    """Work on the auction of an account under maintenance.

    Args:
        state: the market.
        account: the account, in liquidation.
        contract: -1 for the whole account, or the isolated position.
        last_resort: True closes the auction: the waterfall bears what is left.
        evaluate: compiled requirement.

    Returns:
        Lots that changed hands.
    """
    if last_resort:
        close_auction(state, account)
        return np.int64(0)
    if state.policy[LP_AUCTION] == AUCTION_CLIP:
        return clip_auction(state, account, contract, evaluate)
    if state.policy[LP_AUCTION] == AUCTION_SHARE:
        return share_auction(state, account, contract, evaluate)
    return np.int64(0)


@kernel()
def is_running(state, account, contract):
    """True while the auction of an account keeps it from the last resort.

    A solvent account stays on sale. An insolvent one has one run: to the end of the tail or the cusp (clip), to the end
    of the growing payment (share); whom nobody wants by then goes down the waterfall.
    """
    i = np.int64(state.accounts[account].auction)
    if i < 0 or state.policy[LP_OUTLET] != OUTLET_AUCTION:
        return False
    if own_equity(state, account, contract) > 0:
        return True
    elapsed = state.meta[M_STEP] - np.int64(state.auctions[i].start)
    if state.policy[LP_AUCTION] == AUCTION_SHARE:
        return elapsed < state.policy[LP_AUCTION_INSOLVENT]
    return not _needs_reset(state, i, 1)


@kernel()
def close_ended(state):
    """Close the auctions of accounts that are no longer in liquidation, or of all where a fork has other rules."""
    i = state.meta[M_AUCTIONS] - 1
    while i >= 0:
        account = np.int64(state.auctions[i].account)
        if state.accounts[account].status != LIQUIDATING or state.policy[LP_OUTLET] != OUTLET_AUCTION:
            close_auction(state, account)
        i -= 1
