"""The default waterfall: who pays, layer by layer, what a failed account leaves unpaid.

Positions go down the layers in the order of the design: the insurance fund or the backstop vault takes them over while
its equity lasts (:mod:`sim.kernels.takeover`), auto-deleveraging closes them against counterparties
(:mod:`sim.kernels.adl`), socialised loss lets them be sold at any price. What an account owes in cash once it is flat
goes down the same layers, of which two can pay cash: the fund, and everybody else by socialised loss. What is left then
is a debt of the fund, counted as uncovered and stated at the end of a run (:mod:`sim.statement`).
"""

from __future__ import annotations

import numpy as np

from sim.kernels.adl import deleverage, is_flat
from sim.kernels.index import owes
from sim.kernels.jit import kernel
from sim.kernels.ledger import OFFSET_FUND, equity, position_equity
from sim.kernels.orders import cancel_all
from sim.kernels.peaks import fund_lost
from sim.kernels.shortfall import convert_wallets, cover, has_layer, make_good, settle_closed, settle_losses
from sim.kernels.state import (
    BEAR,
    CLOSED,
    CROSS,
    LAYER_ADL,
    LAYER_FUND,
    LAYER_NONE,
    LAYER_VAULT,
    M_CONTRACTS,
    M_LAYOUT,
    M_TRADERS,
    TRIGGER_FUND_DRAWDOWN,
    TRIGGER_NEGATIVE_EQUITY,
    W_FUND_DEBT,
    W_LAYER,
    W_LAYER_4,
    W_TRIGGER,
    W_VAULT,
    WALK,
)
from sim.kernels.takeover import backstop, can_take, close_account, fund_equity, sweep_pockets, take_over

__all__ = [
    "adl_due", "backstop", "bear", "can_take", "close_account", "convert_wallets", "cover", "deleverage",
    "settle_losses",    "take_over",
]  # fmt: skip


@kernel(WALK)
def walk(state, account, contract, own_layer):
    """Send positions down the layers: fund, vault and counterparties in the order of the design, until all are gone.

    Args:
        state: the market.
        account: the failed account.
        contract: -1 for the whole account (cross), else the isolated position.
        own_layer: the layer that failed itself, after which the walk begins; LAYER_NONE: from the first.

    Returns:
        Lots moved; -1 when what is left shall be sold at any price.
    """
    fund = state.meta[M_TRADERS] + OFFSET_FUND
    begun = own_layer == LAYER_NONE or not has_layer(state, own_layer)
    for cell in range(W_LAYER, W_LAYER_4 + 1):
        layer = state.waterfall[cell]
        if not begun:
            begun = layer == own_layer
            continue
        if layer == LAYER_FUND:
            if can_take(state, account, contract, fund):
                return take_over(state, account, contract, fund)
        elif layer == LAYER_VAULT:
            vault = state.waterfall[W_VAULT]
            if vault >= 0 and can_take(state, account, contract, vault):
                return take_over(state, account, contract, vault)
        elif layer == LAYER_ADL:
            moved = deleverage(state, account, contract)
            if moved > 0 and is_flat(state, account, contract):
                return moved
    return np.int64(-1)


@kernel(BEAR)
def bear(state, account, contract, evaluate):
    """The last resort of a liquidation: what could not be sold goes down the layers of the waterfall.

    Args:
        state: the market.
        account: the account in liquidation, its orders cancelled.
        contract: -1 for the whole account (cross), else the isolated position.
        evaluate: compiled requirement (not asked).

    Returns:
        Lots moved; -1 when no layer could take all: the rest is to be sold at any price, and the loss is shared.
    """
    return walk(state, account, contract, np.int64(LAYER_NONE))


@kernel()
def adl_due(state, account, contract=-1):
    """True when auto-deleveraging comes before everything else, by the design's trigger.

    ``negative_equity``: the account's (isolated: the position's, with contract -1 any position's) equity is below zero.
    ``fund_drawdown``: the fund has lost the stated part of its peak within the window.
    """
    trigger = state.waterfall[W_TRIGGER]
    if not has_layer(state, LAYER_ADL):
        return False
    if trigger == TRIGGER_NEGATIVE_EQUITY:
        if state.meta[M_LAYOUT] == CROSS:
            return equity(state, account) < 0
        for k in range(state.meta[M_CONTRACTS]):
            if state.positions[account, k].lots != 0 and (contract < 0 or k == contract):
                if position_equity(state, account, k) < 0:
                    return True
        return False
    return trigger == TRIGGER_FUND_DRAWDOWN and fund_lost(state)


@kernel()
def _fail_vault(state, vault):
    """A vault with negative equity: its positions go down the layers after it, and it is closed once it is flat."""
    cancel_all(state, vault, -1)
    if state.accounts[vault].positions > 0:
        walk(state, vault, np.int64(-1), np.int64(LAYER_VAULT))
        sweep_pockets(state, vault)
    missing = -equity(state, vault)
    if state.accounts[vault].positions == 0:
        if state.accounts[vault].status != CLOSED:
            settle_closed(state, vault, np.int64(-1))
    elif missing > 0:
        make_good(state, vault, -1, missing)


@kernel()
def _pay_debt_back(state):
    """The fund's debt of earlier losses is no more than its equity is below zero; what it had beyond that is paid."""
    own = fund_equity(state)
    state.waterfall[W_FUND_DEBT] = min(state.waterfall[W_FUND_DEBT], max(-own, np.int64(0)))


@kernel()
def _fail_fund(state, fund):
    """A fund whose positions have lost more than it had: they go down the layers after it, then what is still missing.

    What it owes of earlier losses is not counted again; prices better than the mark, at which counterparties may close
    its positions, pay it back.
    """
    cancel_all(state, fund, -1)
    if state.accounts[fund].positions > 0:
        walk(state, fund, np.int64(-1), np.int64(LAYER_FUND))
        _pay_debt_back(state)
    missing = -fund_equity(state) - state.waterfall[W_FUND_DEBT]
    if missing > 0:
        make_good(state, fund, -1, missing)


@kernel()
def _settle_vault(state):
    """Let the vault fail where its equity is negative; its pockets go to its wallet, as it answers with all it has."""
    vault = state.waterfall[W_VAULT]
    if vault < 0 or state.accounts[vault].status == CLOSED:
        return
    sweep_pockets(state, vault)
    if state.accounts[vault].positions == 0 and owes(state, vault):
        convert_wallets(state, vault)
    if equity(state, vault) < 0:
        _fail_vault(state, vault)


@kernel()
def settle_backstops(state):
    """Let vault and fund fail where their own positions have made their equity negative. Once a step, after the rounds.

    The fund's debt shrinks with what it earned since. The vault is looked at again after a failed fund, whose positions
    may have been closed against its own.
    """
    _settle_vault(state)
    fund = state.meta[M_TRADERS] + OFFSET_FUND
    if state.accounts[fund].positions != 0 or state.waterfall[W_FUND_DEBT] != 0:
        _pay_debt_back(state)
        if fund_equity(state) + state.waterfall[W_FUND_DEBT] < 0:
            _fail_fund(state, fund)
            _settle_vault(state)
    settle_losses(state)
