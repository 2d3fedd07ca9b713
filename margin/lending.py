r"""Lending markets: health factor, close factor, and what a liquidator seizes (Aave v3).

The health factor of a borrower is :math:`H = \sum_i C_i\,LT_i / D`: collateral values, each weighted by its liquidation
threshold, over debt. Below one anybody may repay a part of the debt, the close factor, and take collateral worth that
part plus a bonus. Above a loan-to-value of :math:`1 / (1 + i)`, i being the bonus, each such repayment worsens the
health of what is left ("toxic"): there the spiral ends in bad debt (Warmuz, Chaudhary and Pinna, 2022).

The exchange's counterpart, equity over maintenance, stands in :mod:`sim.kernels.sizes`.
"""

from __future__ import annotations

from collections.abc import Sequence

CLOSE_FACTOR = 0.5
CLOSE_FACTOR_HEALTH = 0.95


def health_factor(collateral: Sequence[float], thresholds: Sequence[float], debt: float) -> float:
    """Health factor of a borrower; liquidatable below one.

    Args:
        collateral: value of each collateral, in one unit of account.
        thresholds: liquidation threshold of each, a fraction.
        debt: value of all debt; without debt the health is infinite.

    Examples:
        >>> round(health_factor([10_000], [0.8], 6_000), 4)
        1.3333
    """
    if len(collateral) != len(thresholds):
        raise ValueError(f"{len(collateral)} collaterals, but {len(thresholds)} thresholds")
    weighted = sum(value * threshold for value, threshold in zip(collateral, thresholds, strict=True))
    return weighted / debt if debt > 0 else float("inf")


def close_factor(health: float, part: float = CLOSE_FACTOR, limit: float = CLOSE_FACTOR_HEALTH) -> float:
    """Share of a debt that one liquidation may repay: nothing when healthy, ``part`` above ``limit``, else all.

    Args:
        health: health factor.
        part: close factor of a debt that is not far under water.
        limit: health at or below which everything may be repaid.
    """
    if health >= 1:
        return 0.0
    return part if health > limit else 1.0


def toxic_ltv(bonus: float) -> float:
    """Loan-to-value above which liquidations at a bonus worsen it: 1 / (1 + bonus).

    Examples:
        >>> round(toxic_ltv(0.05), 4)
        0.9524
    """
    return 1.0 / (1.0 + bonus)


def seized(
    repaid: float, debt_price: float, collateral_price: float, bonus: float, fee: float = 0.0
) -> tuple[float, float]:
    """Collateral that a repayment takes: for the liquidator, and for the protocol (units of the collateral).

    Args:
        repaid: units of the debt repaid.
        debt_price: price of a unit of debt.
        collateral_price: price of a unit of collateral.
        bonus: of the liquidator, a fraction.
        fee: the protocol's share of the bonus part only.

    Examples:
        >>> mine, protocol = seized(1_000, 1.0, 2_000.0, 0.05, 0.1)
        >>> round(mine, 6), round(protocol, 6)
        (0.5225, 0.0025)
    """
    plain = repaid * debt_price / collateral_price
    protocol = plain * bonus * fee
    return plain * (1.0 + bonus) - protocol, protocol
