"""Who is deleveraged first: the published rankings of counterparties as scores, and the lists they are kept in.

A list is drawn up once per reading of marks, contract and side; what changes between two readings only takes
counterparties out of it. Lists of ranked counterparties are heaps: the first by score, then by account number, on top.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.charges import position_charge
from sim.kernels.jit import kernel
from sim.kernels.ledger import equity, notional, position_equity, unrealised
from sim.kernels.state import (
    CLOSED,
    ISOLATED,
    M_CONTRACTS,
    M_LAYOUT,
    M_ROUND,
    M_STEP,
    M_TRADERS,
    MAINTENANCE,
    RANK_BINANCE,
    RANK_BITMEX,
    RANK_HYPERLIQUID,
    RANK_PRO_RATA,
    RANK_RISK_PRO_RATA,
    RANKED,
    W_RANKING,
    W_VAULT,
)
from sim.kernels.values import in_account_currency, is_inverse, is_option, maintenance_row, notional_of, value_at, worth

# Columns of ``adl_state``
STEP, ROUND, MARK, RANKING, COUNT = range(5)


@kernel()
def money_behind(state, account, k):
    """Equity that stands behind a position: of the account, or with isolated pockets of the position."""
    return position_equity(state, account, k) if state.meta[M_LAYOUT] == ISOLATED else equity(state, account)


@kernel()
def _profit_in_account_currency(state, account, k):
    profit = unrealised(state, account, k)
    currency = state.contracts[k].currency
    return profit if currency == 0 else worth(state, currency, profit)


@kernel()
def _maintenance_of(state, account, k):
    """Maintenance margin of one position by the contract's rate or schedule, account currency; without one its value.

    Venues rank by the margin that their tables ask of the position, whatever a portfolio rule takes off.
    """
    lots = state.positions[account, k].lots
    rate = state.rate_maintenance[maintenance_row(state), k]
    charge = position_charge(state, k, MAINTENANCE, lots, rate)
    if charge <= 0:
        return notional_of(state, k, abs(lots))
    return in_account_currency(state, state.contracts[k].currency, charge)


@kernel()
def bitmex_score(profit_ratio, leverage):
    """PNL % x effective leverage of a winner, PNL % / effective leverage of a loser (BitMEX, "Auto-Deleveraging")."""
    return profit_ratio * leverage if profit_ratio > 0.0 else profit_ratio / leverage


@kernel()
def binance_score(profit, wallet, maintenance):
    """max(0, profit) / max(1, wallet) x maintenance / (wallet + profit), 0 without equity (Binance developers' forum).

    Amounts are minor units, so that the one of the formula is the smallest amount of money.
    """
    if wallet + profit <= 0:
        return 0.0
    return max(0.0, np.float64(profit)) / max(1.0, np.float64(wallet)) * maintenance / (wallet + profit)


@kernel()
def hyperliquid_score(mark_over_entry, side, leverage):
    """(mark / entry) x (notional / account value) of a long (Hyperliquid documentation, "Auto-deleveraging").

    The published ratio ranks the shorts that lose most first; a short's is turned over here, entry / mark, so that on
    both sides whoever gains more goes before.
    """
    return (mark_over_entry if side > 0 else 1.0 / mark_over_entry) * leverage


@kernel()
def score_of(state, account, k, own, ranking):
    """Place of a counterparty in a ranking; higher is deleveraged first.

    The ledger keeps no entry price of an option (its premium was paid in cash): its profit counts as 100 %.

    Args:
        state: the market.
        account: the counterparty.
        k: contract.
        own: equity behind the position, positive.
        ranking: RANK_*.
    """
    position = state.positions[account, k]
    lots = position.lots
    isolated = state.meta[M_LAYOUT] == ISOLATED
    if ranking == RANK_PRO_RATA:
        return 0.0
    if ranking == RANK_BINANCE:
        profit, maintenance = np.int64(0), np.int64(0)
        for other in range(state.meta[M_CONTRACTS]):
            if state.positions[account, other].lots != 0 and (other == k or not isolated):
                profit += _profit_in_account_currency(state, account, other)
                maintenance += _maintenance_of(state, account, other)
        return binance_score(profit, own - profit, maintenance)
    size = notional_of(state, k, abs(lots))
    if ranking == RANK_BITMEX or ranking == RANK_HYPERLIQUID:
        leverage = size / np.float64(own)
        cost = np.float64(abs(position.cost))
        if ranking == RANK_BITMEX:
            ratio = 1.0
            if not is_option(state, k) and cost > 0.0:
                ratio = unrealised(state, account, k) / cost
            return bitmex_score(ratio, leverage)
        value = np.float64(abs(value_at(state, k, lots, state.quotes[k].mark)))
        rise = 1.0
        if not is_option(state, k) and cost > 0.0 and value > 0.0:
            rise = cost / value if is_inverse(state, k) else value / cost
        return hyperliquid_score(rise, 1 if lots > 0 else -1, leverage)
    gross = size if isolated else notional(state, account)
    return gross / np.float64(own)


@kernel()
def may_give(state, account, k, side):
    """True for a counterparty that auto-deleveraging may close: a trader with lots of that side who is not closed.

    Exempt accounts, which stand for the world outside, take no part; the vault does, like everybody else.
    """
    if state.positions[account, k].lots * side <= 0 or state.accounts[account].status == CLOSED:
        return False
    return state.accounts[account].exempt == 0 or account == state.waterfall[W_VAULT]


@kernel()
def lots_to_give(state, account, k, side):
    """Lots of a solvent counterparty, 0 for others."""
    if not may_give(state, account, k, side) or money_behind(state, account, k) <= 0:
        return np.int64(0)
    return abs(state.positions[account, k].lots)


@kernel()
def _before(state, k, row, a, b):
    """True when entry a of a list goes before entry b."""
    one, other = state.adl_heaps[k, row, a], state.adl_heaps[k, row, b]
    return one.score > other.score or (one.score == other.score and one.account < other.account)


@kernel()
def swap(state, k, row, a, b):
    """Exchange two entries of a list. Mutates ``adl_heaps``."""
    score, own = state.adl_heaps[k, row, a].score, state.adl_heaps[k, row, a].equity
    taken, account = state.adl_heaps[k, row, a].taken, state.adl_heaps[k, row, a].account
    other = state.adl_heaps[k, row, b]
    put(state, k, row, a, np.int64(other.account), other.score, other.equity, other.taken)
    put(state, k, row, b, np.int64(account), score, own, taken)


@kernel()
def put(state, k, row, place, account, score, own, taken):
    """Write an entry of a list. Mutates ``adl_heaps``."""
    entry = state.adl_heaps[k, row, place]
    entry.account = account
    entry.score = score
    entry.equity = own
    entry.taken = taken


@kernel()
def sift_down(state, k, row, place, count):
    """Move an entry down to where it belongs in the heap of the first ``count`` entries."""
    while True:
        best = place
        for child in range(2 * place + 1, min(2 * place + 3, count)):
            if _before(state, k, row, child, best):
                best = child
        if best == place:
            return
        swap(state, k, row, place, best)
        place = best


@kernel()
def sift_up(state, k, row, place):
    """Move an entry up to where it belongs in a heap."""
    while place > 0 and _before(state, k, row, place, (place - 1) // 2):
        swap(state, k, row, place, (place - 1) // 2)
        place = (place - 1) // 2


@kernel()
def is_ranked(ranking):
    """True for rankings whose lists are heaps; the pro rata ones go through all counterparties by account number."""
    return ranking != RANK_PRO_RATA and ranking != RANK_RISK_PRO_RATA


@kernel()
def is_fresh(state, k, row):
    """True when the list was drawn up at this reading of the mark, for the ranking in force."""
    head = state.adl_state[k, row]
    return (
        head[STEP] == state.meta[M_STEP]
        and head[ROUND] == state.meta[M_ROUND]
        and head[MARK] == state.quotes[k].mark
        and head[RANKING] == state.waterfall[W_RANKING]
    )


@kernel()
def draw_up(state, k, side):
    """Make the list of solvent counterparties of a side, with their scores. Mutates ``adl_heaps``, ``adl_state``."""
    traders = state.meta[M_TRADERS]
    if state.adl_heaps.shape[2] < traders:
        state.adl_heaps = np.zeros((state.meta[M_CONTRACTS], 2, traders), RANKED)
        state.adl_state[:, :, MARK] = -1
    row = 0 if side > 0 else 1
    ranking = state.waterfall[W_RANKING]
    count = 0
    for account in range(traders):
        if not may_give(state, account, k, side):
            continue
        own = money_behind(state, account, k)
        if own > 0:
            put(state, k, row, count, account, score_of(state, account, k, own, ranking), np.float64(own), 0)
            count += 1
    if is_ranked(ranking):
        for place in range(count // 2 - 1, -1, -1):
            sift_down(state, k, row, place, count)
    head = state.adl_state[k, row]
    head[STEP] = state.meta[M_STEP]
    head[ROUND] = state.meta[M_ROUND]
    head[MARK] = state.quotes[k].mark
    head[RANKING] = ranking
    head[COUNT] = count
