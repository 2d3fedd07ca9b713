"""The invariants of the exchange, checked exactly, in integers.

Per contract lots sum to zero; per currency wallets, pockets and costs sum to net deposits; open interest, tape volume
and ledger volume agree; spot is not held as lots and options have no cost; every reserve equals what rests; no order of
a closed account rests; the bankruptcy-price index holds every position where it belongs.
"""

from __future__ import annotations

import numpy as np

from sim.errors import InvariantError, KernelError
from sim.kernels import state as s
from sim.kernels.index import bankruptcy_price
from sim.kernels.values import is_inverse

STATUS_TEXT = {
    s.ST_LADDER: "an order out of range reached the book of contract {a}: price {b}",
    s.ST_MEMORY: "no memory for {a}",
    s.ST_REQUIREMENT: "a requirement of account {a} is too large: {b}",
}


def check_status(state: s.State) -> None:
    """Raise KernelError if a kernel found that it cannot go on."""
    code = int(state.meta[s.M_STATUS])
    if code:
        text = STATUS_TEXT.get(code, "status {code}").format(
            a=int(state.meta[s.M_STATUS_A]), b=int(state.meta[s.M_STATUS_B]), code=code
        )
        raise KernelError(f"step {int(state.meta[s.M_STEP])}: {text}")


def cash_total(state: s.State, currency: int = 0) -> int:
    """Sum over all accounts of wallet + pockets - costs in one currency (fund, fees and residue are accounts)."""
    return int(_own(state, currency).sum())


def _own(state: s.State, currency: int) -> np.ndarray:
    """Wallet + pockets - costs of every account in one currency, minor units, int64[A]."""
    mine = state.contracts["currency"] == currency
    held = state.positions[:, mine]
    own: np.ndarray = state.wallets[:, currency] + held["pocket"].sum(axis=1) - held["cost"].sum(axis=1)
    return own


def check(state: s.State) -> None:
    """Check every invariant of a market between steps.

    Raises:
        InvariantError: naming step, account and amounts.
        KernelError: a kernel reported an error.
    """
    check_status(state)
    step = int(state.meta[s.M_STEP])
    _check_money(state, step)
    _check_positions(state, step)
    _check_held(state, step)
    _check_orders(state, step)
    _check_index(state, step)


def _check_money(state: s.State, step: int) -> None:
    for currency in range(state.wallets.shape[1]):
        where = "" if state.wallets.shape[1] == 1 else f" (currency {currency})"
        deposits, brought = int(state.net_deposits[currency]), int(state.deposits[:, currency].sum())
        if brought != deposits:
            raise InvariantError(f"deposits of accounts sum to net deposits{where}", step=step, expected=deposits,
                                 found=brought)  # fmt: skip
        own, booked = _own(state, currency), state.booked[:, currency]
        bad = np.nonzero(own != booked)[0]
        if len(bad):
            raise InvariantError(f"an account's cash less cost is the sum of its entries{where}", step=step,
                                 account=int(bad[0]), expected=int(booked[bad[0]]),
                                 found=int(own[bad[0]]))  # fmt: skip
        if int(own.sum()) != deposits:
            raise InvariantError(f"cash less cost sums to net deposits{where}", step=step, expected=deposits,
                                 found=int(own.sum()))  # fmt: skip


def _check_held(state: s.State, step: int) -> None:
    """Sums over an account skip contracts without a bit: nothing may stand there."""
    rows = state.positions
    filled = (rows["lots"] != 0) | (rows["open_buy"] != 0) | (rows["open_sell"] != 0) | (rows["pocket"] != 0)
    bits = np.unpackbits(state.held.view(np.uint8), axis=1, bitorder="little")[:, : rows.shape[1]].astype(bool)
    stray = np.argwhere(filled & ~bits)
    if len(stray):
        account, contract = (int(x) for x in stray[0])
        raise InvariantError("what an account has is noted", step=step, account=account, contract=contract,
                             expected=1, found=0)  # fmt: skip


def _check_positions(state: s.State, step: int) -> None:
    lots, cost = state.positions["lots"], state.positions["cost"]
    held = lots.sum(axis=1)
    bad = np.nonzero(held != state.accounts["booked_lots"])[0]
    if len(bad):
        raise InvariantError("an account's lots are the sum of its trades", step=step, account=int(bad[0]),
                             expected=int(state.accounts["booked_lots"][bad[0]]), found=int(held[bad[0]]))  # fmt: skip
    for contract in range(lots.shape[1]):
        total = int(lots[:, contract].sum())
        if total != 0:
            raise InvariantError("lots sum to zero", step=step, contract=contract, expected=0, found=total)
        interest = int(np.maximum(lots[:, contract], 0).sum())
        stated = int(state.quotes["open_interest"][contract])
        if interest != stated:
            raise InvariantError("open interest is the sum of long lots", step=step, contract=contract,
                                 expected=interest, found=stated)  # fmt: skip
    stray = np.argwhere((lots == 0) & (cost != 0))
    if len(stray):
        account, contract = (int(x) for x in stray[0])
        raise InvariantError("a flat position has no cost", step=step, account=account, contract=contract,
                             expected=0, found=int(cost[account, contract]))  # fmt: skip
    spot, option = state.contracts["kind"] == s.SPOT, state.contracts["kind"] >= s.LINEAR_OPTION
    stray = np.argwhere((spot & (lots != 0)) | (option & (cost != 0)))
    if len(stray):
        account, contract = (int(x) for x in stray[0])
        raise InvariantError("spot is cash and an option has no cost", step=step, account=account, contract=contract,
                             expected=0, found=int(cost[account, contract] or lots[account, contract]))  # fmt: skip
    held = (lots != 0).sum(axis=1)
    bad = np.nonzero(held != state.accounts["positions"])[0]
    if len(bad):
        raise InvariantError("positions are counted", step=step, account=int(bad[0]), expected=int(held[bad[0]]),
                             found=int(state.accounts["positions"][bad[0]]))  # fmt: skip
    pending = int(state.waterfall[s.W_PENDING])
    if pending != 0:
        raise InvariantError("no loss waits to be shared", step=step, expected=0, found=pending)
    flow, ledger = int(state.meta[s.M_FLOW]), int(state.meta[s.M_LEDGER_FLOW])
    if flow != ledger:
        raise InvariantError("tape volume equals ledger volume", step=step, expected=flow, found=ledger)


def _check_orders(state: s.State, step: int) -> None:
    orders = state.orders
    live = orders[orders["side"] != 0]
    if len(live) != int(state.meta[s.M_LIVE]):
        raise InvariantError("live orders are counted", step=step, expected=len(live), found=int(state.meta[s.M_LIVE]))
    status = state.accounts["status"][live["account"]]
    closed = np.nonzero(status == s.CLOSED)[0]
    if len(closed):
        raise InvariantError("no order of a closed account rests", step=step,
                             account=int(live["account"][closed[0]]), expected=0, found=len(closed))  # fmt: skip
    shape = state.positions.shape
    for side, lots_name, loss_name in ((s.BUY, "open_buy", "loss_buy"), (s.SELL, "open_sell", "loss_sell")):
        mine = live[live["side"] == side]
        place = (mine["account"].astype(np.int64), mine["contract"].astype(np.int64))
        for name, amount in ((lots_name, mine["quantity"]), (loss_name, mine["quantity"] * mine["loss"])):
            total = np.zeros(shape, np.int64)
            np.add.at(total, place, amount)
            bad = np.argwhere(total != state.positions[name])
            if len(bad):
                account, contract = (int(x) for x in bad[0])
                raise InvariantError(
                    f"{name} is what rests", step=step, account=account, contract=contract,
                    expected=int(total[account, contract]), found=int(state.positions[name][account, contract]),
                )  # fmt: skip
    for contract in range(len(state.quotes)):
        quote = state.quotes[contract]
        if quote["bid"] > 0 and quote["ask"] > 0 and quote["bid"] >= quote["ask"]:
            raise InvariantError("the book is not crossed", step=step, contract=contract,
                                 expected=f"below {int(quote['ask'])}", found=int(quote["bid"]))  # fmt: skip


def _check_index(state: s.State, step: int) -> None:
    """Every position that the index serves stands in the bucket of its bankruptcy price; the others are listed."""
    table = state.positions
    isolated = state.meta[s.M_LAYOUT] == s.ISOLATED
    accounts = state.accounts
    listed = (accounts["exempt"] == 0) & (accounts["status"] != s.CLOSED)
    several = np.zeros(len(accounts), bool)
    if not isolated:
        foreign = (state.wallets[:, 1:] != 0).any(axis=1)
        foreign |= ((table["lots"] != 0) & (state.contracts["currency"] != 0)).any(axis=1)
        several = (accounts["positions"] > 1) | ((accounts["positions"] > 0) & foreign)
    optional = ((table["lots"] != 0) & (state.contracts["option"] != 0)).any(axis=1)
    if not isolated:
        several |= optional
    missed = np.nonzero((listed & (several | optional))[:-1] & (state.multi_where[:-1] < 0))[0]
    if len(missed):
        raise InvariantError("an account that the index does not serve is listed", step=step, account=int(missed[0]))
    buckets = state.bucket_heads.shape[2]
    for contract in np.flatnonzero(state.contracts["option"] == 0).tolist():
        rows = np.nonzero(listed & ~several & (table["lots"][:, contract] != 0))[0]
        held = table[rows, contract]
        cash = held["pocket"] if isolated else state.wallets[rows, 0]
        price = np.array(
            [bankruptcy_price(state, contract, *(int(x) for x in row)) for row in zip(
                held["lots"], held["cost"], cash, strict=True
            )], np.int64,
        ) if is_inverse(state, contract) else (
            (held["cost"] - cash) // (held["lots"] * state.contracts["tick_value"][contract])
        )  # fmt: skip
        bucket = np.clip(price >> state.bucket_scale[contract], 0, buckets - 1)
        bucket = bucket + np.where(held["lots"] < 0, buckets, 0)
        bad = np.nonzero(bucket != held["bucket"])[0]
        if len(bad):
            raise InvariantError(
                "the index holds positions by bankruptcy price", step=step, account=int(rows[bad[0]]),
                contract=contract, expected=int(bucket[bad[0]]), found=int(held["bucket"][bad[0]]),
            )  # fmt: skip
