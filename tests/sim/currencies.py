"""A market of every kind of contract in two currencies, and a ledger for it in plain Python: slow, and obvious."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from typing import Any

from sim.contracts import Contract
from sim.kernels import state as s
from tests.sim.exchange import Exchange

DOLLARS, BITCOINS = 0, 1
SPOT, PERPETUAL, COIN, COIN_FUTURE, CALL, COIN_PUT = range(6)
PRICE = 10_000
EXPIRY = 5
FEES = {"fee_taker": 0.0005, "fee_maker": -0.0001}
RATE_ONE = 1 << 32


def contracts() -> list[Contract]:
    """Prices in dollars and ticks of a dollar; cents and satoshi. The account currency is the dollar."""
    common: dict[str, Any] = {"max_price": 1 << 16, "price_band": 0.5, "fee_liquidation": 0.01} | FEES
    linear = {"lot_size": 0.01, "tick_value": 1, "initial_price": PRICE, "underlying": "BTC"}
    coin = {"currency": "BTC", "lot_size": 100.0, "tick_value": 10**10, "initial_price": PRICE, "underlying": "BTC"}
    return [
        Contract("spot", "spot", base_currency="BTC", base_lot=10**6, **linear, **common),
        Contract("perpetual", "linear_perpetual", **linear, **common),
        Contract("coin", "inverse_perpetual", max_lots=10_000, **coin, **common),
        Contract("coin_future", "inverse_future", max_lots=10_000, expiry_step=EXPIRY, **coin, **common),
        Contract("call", "linear_option", strike=10_100.0, option_type="call", expiry_step=EXPIRY, volatility=0.8,
                 **(linear | {"initial_price": 300}), **common),
        Contract("coin_put", "inverse_option", strike=9_900.5, option_type="put", expiry_step=EXPIRY, volatility=0.8,
                 currency="BTC", lot_size=0.1, tick_size=0.0005, tick_value=5000, initial_price=60, underlying="BTC",
                 **common),
    ]  # fmt: skip


def exchange(traders: int = 4, **more: Any) -> Exchange:
    return Exchange(traders, contracts=contracts(), **more)


def nearest(x: Fraction) -> int:
    """Rounded to nearest, halves up."""
    return floor(x + Fraction(1, 2))


@dataclass
class SlowAccount:
    cash: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    lots: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    cost: dict[int, int] = field(default_factory=lambda: defaultdict(int))


class SlowLedger:
    """Cross-margined accounts; the last four are fund, fees, residue and script."""

    def __init__(self, accounts: int, terms: list[Contract]) -> None:
        self.terms = terms
        self.accounts = [SlowAccount() for _ in range(accounts + 4)]
        self.fees, self.residue = accounts + 1, accounts + 2
        self.brought: dict[int, int] = defaultdict(int)

    def currency(self, c: int) -> int:
        return BITCOINS if self.terms[c].currency == "BTC" else DOLLARS

    def value(self, c: int, lots: int, price: Fraction) -> int:
        """Value of signed lots at a price in ticks."""
        if self.terms[c].is_inverse:
            return -nearest(lots * self.terms[c].tick_value / price)
        return floor(lots * price * self.terms[c].tick_value)

    def deposit(self, account: int, currency: int, amount: int) -> None:
        self.accounts[account].cash[currency] += amount
        self.brought[currency] += amount

    def trade(self, buyer: int, seller: int, c: int, lots: int, price: int) -> None:
        """The buyer is the taker."""
        value = self.value(c, lots, Fraction(price))
        for account, side, rate in ((buyer, 1, FEES["fee_taker"]), (seller, -1, FEES["fee_maker"])):
            self._book(self.accounts[account], c, side * lots, side * value)
            units = round(Fraction(rate) * RATE_ONE)
            paid = -(-abs(value) * units // RATE_ONE)
            self.accounts[account].cash[self.currency(c)] -= paid
            self.accounts[self.fees].cash[self.currency(c)] += paid

    def _book(self, account: SlowAccount, c: int, lots: int, value: int) -> None:
        kind, held = self.terms[c].kind, account.lots[c]
        if kind == "spot":
            account.cash[DOLLARS] -= value
            account.cash[BITCOINS] += lots * self.terms[c].base_lot
            return
        account.lots[c] += lots
        if self.terms[c].is_option:
            account.cash[self.currency(c)] -= value
        elif held * lots >= 0:
            account.cost[c] += value
        else:
            closed = min(abs(held), abs(lots))
            part = abs(value) * closed // abs(lots) * (1 if value > 0 else -1)
            released = account.cost[c] * closed // abs(held)
            account.cash[self.currency(c)] -= part + released
            account.cost[c] += value - part - released

    def fund(self, c: int, mark: int, rate: int) -> None:
        for account in self.accounts:
            size = abs(self.value(c, account.lots[c], Fraction(mark, 16)))
            size = size if account.lots[c] > 0 else -size
            paid = size * rate // RATE_ONE
            account.cash[self.currency(c)] -= paid
            self.accounts[self.residue].cash[self.currency(c)] += paid

    def settle(self, c: int, mark: int) -> None:
        price = Fraction((mark + 8) // 16)
        for account in self.accounts:
            if account.lots[c]:
                value = self.value(c, account.lots[c], price)
                account.cash[self.currency(c)] += value - account.cost[c]
                account.cost[c] = value

    def expire(self, c: int, index: int) -> None:
        """``index``: price of the underlying in sixteenths of a dollar."""
        price, terms, left = Fraction(index, 16), self.terms[c], 0
        for account in self.accounts:
            lots = account.lots[c]
            if not lots:
                continue
            if terms.is_option:
                gain = price - Fraction(terms.strike) if terms.option_type == "call" else Fraction(terms.strike) - price
                inside = max(gain, Fraction(0))
                size = Fraction(str(terms.lot_size))
                coins = inside / price * 10**8 if terms.kind == "inverse_option" else inside * 100
                value = floor(lots * size * coins)
            else:
                value = self.value(c, lots, price)
            account.cash[self.currency(c)] += value - account.cost[c]
            account.cost[c] = account.lots[c] = 0
            left -= value
        self.accounts[self.residue].cash[self.currency(c)] += left

    def equity(self, number: int, marks: list[int], conversion: int, haircut: int) -> int:
        account = self.accounts[number]
        total = {k: account.cash[k] for k in (DOLLARS, BITCOINS)}
        for c in range(len(self.terms)):
            if account.lots[c]:
                total[self.currency(c)] += self.value(c, account.lots[c], Fraction(marks[c], 16)) - account.cost[c]
        coins = total[BITCOINS]
        if coins > 0:
            coins = coins * (RATE_ONE - haircut) >> 32
        return total[DOLLARS] + (coins * conversion >> 32)


class Both:
    """The same actions on both ledgers."""

    def __init__(self, traders: int = 4) -> None:
        self.fast = exchange(traders)
        self.slow = SlowLedger(traders, contracts())
        self.traders = traders
        self.index = PRICE * 16

    @property
    def state(self) -> Any:
        return self.fast.state

    def deposit(self, account: int, currency: int, amount: int) -> None:
        self.fast.deposit(account, amount, currency)
        self.slow.deposit(account, currency, amount)

    def trade(self, buyer: int, step: int, c: int, lots: int, price: int) -> None:
        seller = (buyer + step) % self.traders
        if self.state.meta[s.M_STEP] > EXPIRY and c >= COIN_FUTURE:
            return
        ticks = price if c < CALL else 1 + price // 100
        self.fast.trade(buyer, seller, lots, ticks, c)
        self.slow.trade(buyer, seller, c, lots, ticks)

    def move(self, subticks: int) -> None:
        """Put every mark and index of the underlying at one price."""
        self.index = subticks
        for c in (SPOT, PERPETUAL, COIN, COIN_FUTURE):
            for name in ("mark", "mid", "index"):
                self.state.quotes[name][c] = subticks
