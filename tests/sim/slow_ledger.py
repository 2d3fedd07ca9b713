"""The ledger in plain Python integers: slow, and obvious."""

from __future__ import annotations

from dataclasses import dataclass, field

RATE_ONE = 1 << 32


@dataclass
class SlowPosition:
    lots: int = 0
    cost: int = 0
    pocket: int = 0


@dataclass
class SlowAccount:
    contracts: int
    isolated: bool
    wallet: int = 0
    positions: list[SlowPosition] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.positions = [SlowPosition() for _ in range(self.contracts)]

    def trade(self, c: int, lots: int, value: int, rate_initial: int) -> None:
        """Signed lots for a positive value: what closes comes first, what is left opens."""
        held = self.positions[c].lots
        if held * lots >= 0:
            self._open(c, lots, value, rate_initial)
        elif abs(lots) <= abs(held):
            self._close(c, lots, value)
        else:
            part = value * abs(held) // abs(lots)
            self._close(c, -held, part)
            self._open(c, lots + held, value - part, rate_initial)

    def _open(self, c: int, lots: int, value: int, rate_initial: int) -> None:
        position = self.positions[c]
        position.lots += lots
        position.cost += value if lots > 0 else -value
        if self.isolated:
            margin = min(-(-value * rate_initial // RATE_ONE), max(self.wallet, 0))
            self.wallet -= margin
            position.pocket += margin

    def _close(self, c: int, lots: int, value: int) -> None:
        position = self.positions[c]
        held, closed = abs(position.lots), abs(lots)
        released = position.cost * closed // held
        profit = (value if lots < 0 else -value) - released
        share = position.pocket * closed // held if position.pocket > 0 or closed == held else 0
        position.lots += lots
        position.cost -= released
        if not self.isolated:
            self.wallet += profit
            return
        position.pocket -= share
        back = share + profit
        if back >= 0:
            self.wallet += back
        else:
            position.pocket += back

    def pay(self, c: int, amount: int) -> None:
        """Cash from a position: out of its pocket, or the wallet."""
        if self.isolated:
            self.positions[c].pocket -= amount
        else:
            self.wallet -= amount

    def equity(self, marks: list[int], tick_values: list[int]) -> int:
        total = self.wallet
        for position, mark, tick_value in zip(self.positions, marks, tick_values, strict=True):
            total += position.pocket
            if position.lots:
                total += position.lots * mark * tick_value // 16 - position.cost
        return total


def fee(value: int, rate: int) -> int:
    return -(-value * rate // RATE_ONE)


def funding_rate(premium: int, interest: int, clamp: int, periods: int) -> int:
    return (premium + max(-clamp, min(interest - premium, clamp))) // periods
