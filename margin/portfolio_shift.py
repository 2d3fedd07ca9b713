"""A portfolio at another price of one underlying, all else held.

Linear and inverse contracts and futures keep their basis in proportion; options are revalued by Black-76 at the
volatility that their mark implies; coins of that underlying change their worth as collateral. Entries, limits, pockets,
volatilities and other underlyings stay.
"""

from __future__ import annotations

from decimal import Decimal

from margin.portfolio import ContractTerms, Portfolio
from margin.portfolio_units import marks, option_value, volatility_of_mark

_LEAST = Decimal("1e-12")  # an option is never worth nothing to the unit


class Shifter:
    """Puts a portfolio at other prices.

    Args:
        portfolio: as it stands now.
    """

    def __init__(self, portfolio: Portfolio) -> None:
        now = marks(portfolio)
        self.portfolio = portfolio.model_copy(
            update={
                "positions": tuple(
                    row if row.entry is not None else row.model_copy(update={"entry": now[row.contract]})
                    for row in portfolio.positions
                ),
                "orders": tuple(
                    row if row.price is not None else row.model_copy(update={"price": now[row.contract]})
                    for row in portfolio.orders
                ),
            }
        )
        given = [one for one in portfolio.contracts if one.is_option and one.mark is not None]
        self._implied = {one.name: volatility_of_mark(portfolio, one) for one in given}

    def at(self, underlying: str, price: float) -> Portfolio:
        """The portfolio at a price of an underlying.

        Args:
            underlying: its name.
            price: above 0.
        """
        file = self.portfolio
        now = next(one.price for one in file.underlyings if one.name == underlying)
        there = Decimal(repr(float(price)))
        ratio = there / now
        moved = file.model_copy(
            update={
                "underlyings": tuple(
                    one.model_copy(update={"price": there}) if one.name == underlying else one
                    for one in file.underlyings
                ),
                "collateral": tuple(
                    row.model_copy(update={"price": row.price / ratio})
                    if row.price is not None and file.currency == underlying
                    else row.model_copy(update={"price": row.price * ratio})
                    if row.price is not None and row.currency == underlying
                    else row
                    for row in file.collateral
                ),
            }
        )
        contracts = tuple(
            self._contract(one, moved, ratio) if one.underlying == underlying else one for one in file.contracts
        )
        return moved.model_copy(update={"contracts": contracts})

    def _contract(self, terms: ContractTerms, moved: Portfolio, ratio: Decimal) -> ContractTerms:
        before = terms
        if terms.forward is not None:
            terms = terms.model_copy(update={"forward": terms.forward * ratio})
        if terms.mark is None:
            return terms
        if not terms.is_option:
            return terms.model_copy(update={"mark": terms.mark * ratio})
        implied = self._implied[terms.name]
        if implied is not None:
            mark = Decimal(repr(option_value(moved, terms, implied)))
        else:  # no volatility gives the mark: it keeps its distance from Black-76 at the file's volatility
            step = option_value(moved, terms) - option_value(self.portfolio, before)
            mark = terms.mark + Decimal(repr(step))
        return terms.model_copy(update={"mark": max(mark, _LEAST)})
