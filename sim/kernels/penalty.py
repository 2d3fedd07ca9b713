"""What a forced close costs the account: the liquidation fee, and the count of what was liquidated."""

from __future__ import annotations

import numpy as np

from sim.kernels.index import touch
from sim.kernels.jit import kernel
from sim.kernels.ledger import OFFSET_FUND, credit, credit_in, equity, position_equity
from sim.kernels.state import M_TRADERS, RATE_ONE
from sim.kernels.values import in_account_currency
from sim.kernels.wide import mul_div_floor, mul_rate


@kernel()
def own_equity(state, account, contract):
    """Equity of what is being liquidated: the account (contract -1) or one isolated position."""
    return equity(state, account) if contract < 0 else position_equity(state, account, contract)


@kernel()
def charge_penalty(state, account, contract, value, k, wallet):
    """Take the liquidation fee of a filled value (settlement currency), at most what equity is left, for the fund.

    An isolated position that is flat by now pays from what its pocket returned to the wallet, which held ``wallet``
    before the fill.
    """
    currency = state.contracts[k].currency
    fee = mul_rate(value, state.contracts[k].fee_liquidation)
    flat = contract >= 0 and state.positions[account, contract].lots == 0
    left = max(state.wallets[account, 0] - wallet if flat else own_equity(state, account, contract), np.int64(0))
    if currency != 0 and in_account_currency(state, currency, fee) > left:
        fee = mul_div_floor(left, RATE_ONE, max(state.conversion[currency], np.int64(1)))
    elif currency == 0:
        fee = min(fee, left)
    if fee <= 0:
        return
    if flat or contract < 0:
        credit_in(state, account, currency, -fee)
    else:
        credit(state, account, contract, -fee)
    credit_in(state, state.meta[M_TRADERS] + OFFSET_FUND, currency, fee)
    state.accounts[account].fees += in_account_currency(state, currency, fee)
    touch(state, account)


@kernel()
def count_liquidated(state, account, k, lots):
    """Add forced lots to the counts of contract, position and account."""
    state.quotes[k].liquidated += lots
    state.positions[account, k].liquidated += lots
    state.accounts[account].liquidated += lots
