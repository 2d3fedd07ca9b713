r"""Limit prices of forced orders as dYdX v4 computes them, in prices and units (the exchange's kernel: integers).

Symbols: net notional N of the position (negative for a short), size S (negative for a short), maintenance M of the
position, total collateral C (equity) and total maintenance T of the account.

The bankruptcy rating is :math:`R = \mathrm{clip}(b (1 - C / T), 0, 1)`, the fillable price :math:`(N - R s M) / S`: at
the oracle price for an account at maintenance, s maintenances beyond it for one without collateral. With the size
signed, shorts get a price above the oracle's, as the protocol's code has it (its documentation drops the sign). The
bankruptcy price is :math:`(N - C M / T) / S`.
"""

from __future__ import annotations


def bankruptcy_rating(collateral: float, maintenance: float, adjustment: float = 1.0) -> float:
    """How close an account is to bankruptcy: 0 at maintenance, 1 without collateral.

    Args:
        collateral: total net collateral (equity) of the account.
        maintenance: its total maintenance requirement, above 0.
        adjustment: slope b.
    """
    return min(max(adjustment * (1.0 - collateral / maintenance), 0.0), 1.0)


def fillable_price(
    size: float, price: float, position_maintenance: float, collateral: float, maintenance: float,
    adjustment: float = 1.0, spread: float = 1.5,
) -> float:  # fmt: skip
    """Worst price of a liquidation order.

    Args:
        size: units, negative for a short.
        price: oracle price.
        position_maintenance: maintenance requirement of the position.
        collateral: equity of the account.
        maintenance: its total maintenance requirement.
        adjustment: slope of the bankruptcy rating.
        spread: distance in maintenances at a rating of one.

    Examples:
        >>> fillable_price(1, 50_000, 1_500, 1_000, 1_500)
        49250.0
        >>> fillable_price(-1, 50_000, 1_500, 1_000, 1_500)
        50750.0
    """
    rating = bankruptcy_rating(collateral, maintenance, adjustment)
    return (size * price - rating * spread * position_maintenance) / size


def bankruptcy_price(
    size: float, price: float, position_maintenance: float, collateral: float, maintenance: float
) -> float:
    """Price at which closing the position uses up its share of the collateral, by maintenance; arguments as above.

    Examples:
        >>> bankruptcy_price(1, 50_000, 1_500, 1_000, 1_500), bankruptcy_price(-1, 50_000, 1_500, 1_000, 1_500)
        (49000.0, 51000.0)
    """
    return (size * price - collateral * position_maintenance / maintenance) / size
