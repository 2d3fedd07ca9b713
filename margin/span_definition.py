"""SPAN account by account, in Python integers of any size: the readable definition.

Amounts are in *fine* units, 2**-10 of a minor unit of the account currency, and are rounded up to minor units once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from margin.grid_rule import AccountRisk, losses, own_loss
from margin.kernels.span import DELTA_BITS, SPREAD_BITS
from margin.span_parameters import PARTNER
from sim.interfaces import PortfolioView

if TYPE_CHECKING:
    from margin.span import Table

Arrays = dict[str, np.ndarray]


@dataclass(slots=True)
class Commodity:
    """One combined commodity of an account, fine units.

    Attributes:
        scan: scan risk, with open orders where they count.
        loss: loss of the positions per scenario.
        calendar: charges for spreads between months.
        delivery: charge for months about to be delivered.
        short_minimum: short option minimum.
        net: net delta, 2**-16 reference lots.
        available: net delta that no open order could take away.
        credit: for spreads with other commodities.
    """

    scan: int = 0
    loss: list[int] = field(default_factory=list)
    calendar: int = 0
    delivery: int = 0
    short_minimum: int = 0
    net: int = 0
    available: int = 0
    credit: int = 0

    @property
    def price_risk_twice(self) -> int:
        """Twice the worst loss at average volatility less the loss from time and volatility alone, at least zero."""
        worst = self.loss.index(max(self.loss))
        return max(self.loss[worst] + self.loss[int(PARTNER[worst])] - self.loss[0] - self.loss[1], 0)

    @property
    def risk(self) -> int:
        """What it requires."""
        return max(self.scan + self.calendar + self.delivery - self.credit, self.short_minimum)


def _ceil_shift(value: int, bits: int) -> int:
    return -(-value >> bits)


def _calendar(commodity_deltas: dict[int, int], legs: np.ndarray, charges: np.ndarray) -> int:
    """Form spreads between months of opposite sign, in the order of the table; each is charged."""
    total = 0
    for (near, far), charge in zip(legs.tolist(), charges.tolist(), strict=True):
        a, b = commodity_deltas[near], commodity_deltas[far]
        if a * b >= 0:
            continue
        size = min(abs(a), abs(b))
        total += _ceil_shift(size * charge, DELTA_BITS)
        commodity_deltas[near] -= size if a > 0 else -size
        commodity_deltas[far] -= size if b > 0 else -size
    return total


def _commodity(portfolio: PortfolioView, arrays: Arrays, table: Table, a: int, g: int, *, ordered: bool) -> Commodity:
    members = np.flatnonzero(portfolio.contracts.underlying == g).tolist()
    found = Commodity(loss=losses(portfolio, table.profit, a, members, ordered=False))
    found.scan = max(0, *losses(portfolio, table.profit, a, members, ordered=ordered))
    first, last = int(arrays["tier_start"][g]), int(arrays["tier_start"][g + 1])
    months = dict.fromkeys(range(first, last), 0)
    rise = fall = 0
    for c in members:
        lots = int(portfolio.lots[a, c])
        buy, sell = (int(portfolio.open_buy[a, c]), int(portfolio.open_sell[a, c])) if ordered else (0, 0)
        delta, month = int(arrays["delta"][c]), int(arrays["tier"][c])
        months[month] += lots * delta
        rise += max(buy * delta, -sell * delta)
        fall += max(-buy * delta, sell * delta)
        found.delivery += _ceil_shift((buy + sell) * abs(delta) * int(table.delivery[month]), DELTA_BITS)
        found.short_minimum += max(sell - lots, 0) * int(table.short_minimum[c])
    found.net = sum(months.values())
    found.delivery += sum(_ceil_shift(abs(d) * int(table.delivery[t]), DELTA_BITS) for t, d in months.items())
    found.available = max(found.net - fall, 0) if found.net > 0 else min(found.net + rise, 0)
    rows = slice(int(arrays["spread_start"][g]), int(arrays["spread_start"][g + 1]))
    found.calendar = _ceil_shift((rise + fall) * int(table.spread_largest[g]), DELTA_BITS)
    found.calendar += _calendar(months, arrays["spread_legs"].reshape(-1, 2)[rows], table.spread_charge[rows])
    return found


def _credits(commodities: list[Commodity], arrays: Arrays) -> None:
    """Spreads between commodities, by priority: each leg is forgiven a part of its weighted price risk."""
    price = [one.price_risk_twice for one in commodities] if len(arrays["credit_rate"]) else []
    for k, rate in enumerate(arrays["credit_rate"].tolist()):
        rows = range(int(arrays["credit_start"][k]), int(arrays["credit_start"][k + 1]))
        legs = [(commodities[int(arrays["leg_group"][row])], int(arrays["leg_ratio"][row]), row) for row in rows]
        sides = {np.sign(one.available) * np.sign(ratio) for one, ratio, _ in legs}
        if len(sides) != 1 or 0 in sides:
            continue
        spreads = min((abs(one.available) << SPREAD_BITS) // abs(ratio) for one, ratio, _ in legs)
        for one, ratio, row in legs:
            used = spreads * abs(ratio) >> SPREAD_BITS
            risk = price[int(arrays["leg_group"][row])] * used // abs(one.net) if used else 0
            one.credit += risk * rate >> 33
            one.available -= used if one.available > 0 else -used


def _risk(portfolio: PortfolioView, arrays: Arrays, table: Table, a: int, *, ordered: bool) -> list[Commodity]:
    groups = range(len(arrays["reference"]))
    commodities = [_commodity(portfolio, arrays, table, a, g, ordered=ordered) for g in groups]
    _credits(commodities, arrays)
    return commodities


def account_risk(portfolio: PortfolioView, arrays: Arrays, table: Table, account: int) -> AccountRisk:
    """Requirements of one account.

    Args:
        portfolio: all accounts.
        arrays: published parameters, as :func:`margin.span_table.publish_arrays` states them.
        table: the same in the account currency.
        account: its row.
    """
    held = _risk(portfolio, arrays, table, account, ordered=False)
    with_orders = _risk(portfolio, arrays, table, account, ordered=True)
    parts = {
        "scan_risk": sum(one.scan for one in held),
        "calendar_spreads": sum(one.calendar for one in held),
        "delivery": sum(one.delivery for one in held),
        "spread_credits": -sum(one.credit for one in held),
        "short_option_minimum": sum(one.risk - one.scan - one.calendar - one.delivery + one.credit for one in held),
    }
    return AccountRisk.of(
        parts,
        with_orders=sum(one.risk for one in with_orders),
        own_loss=own_loss(portfolio, account, table.conversion),
        factor=int(arrays["factor"][0]),
        fine_loss=[sum(row) for row in zip(*(one.loss for one in held), strict=True)],
    )
