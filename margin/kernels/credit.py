"""Potential increase of an exposure, compiled: normal, from sensitivities and one correlation, or historical.

Real numbers in a fixed order (addition, multiplication, square root), so that the readable definition in
:mod:`margin.credit` gives the same bits.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.wide import mul_shift_floor


@kernel()
def normal_increase(lots, sensitivity, underlying, underlyings, correlation, scale):
    """Quantile of the change of value of each account's portfolio, int64[A] minor units, rounded up.

    ``sqrt(sum_u e_u^2 + rho ((sum_u e_u)^2 - sum_u e_u^2))`` with ``e_u`` the exposures by underlying.

    Args:
        lots: int64[A, C].
        sensitivity: int64[C], quantile of the change of one long lot, ``1 / scale`` minor units of the account
            currency; negative where it loses when the underlying rises.
        underlying: int64[C].
        underlyings: their number.
        correlation: rho, from 0 to 1, common to every two underlyings.
        scale: float64.
    """
    answer = np.zeros(len(lots), np.int64)
    exposure = np.empty(underlyings)
    for a in range(len(lots)):
        exposure[:] = 0.0
        for c in range(lots.shape[1]):
            if lots[a, c] != 0:
                exposure[underlying[c]] += np.float64(lots[a, c]) * np.float64(sensitivity[c])
        total, squares = 0.0, 0.0
        for u in range(underlyings):
            total += exposure[u]
            squares += exposure[u] * exposure[u]
        square = squares + correlation * (total * total - squares)
        if square > 0.0:
            answer[a] = np.int64(np.ceil(np.sqrt(square) / scale))
    return answer


@kernel()
def historical_increase(lots, profit, rank):
    """Loss of each account's portfolio at a rank of its historical scenarios, int64[A] minor units, at least zero.

    Args:
        lots: int64[A, C].
        profit: int64[C, S], profit of 2**10 long lots in each scenario, minor units of the account currency.
        rank: from 0, of the losses in rising order.
    """
    answer = np.zeros(len(lots), np.int64)
    loss = np.empty(profit.shape[1], np.int64)
    for a in range(len(lots)):
        loss[:] = 0
        held = False
        for c in range(lots.shape[1]):
            if lots[a, c] != 0:
                held = True
                for s in range(len(loss)):
                    loss[s] -= mul_shift_floor(lots[a, c], profit[c, s], 10)
        if held:
            answer[a] = max(np.sort(loss)[rank], np.int64(0))
    return answer
