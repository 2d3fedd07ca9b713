"""Features of accounts for rules that read them without having compiled add-ons."""

from __future__ import annotations

import numpy as np

from margin.kernels.addon_columns import FEATURE_COUNT, Q_DAYS, Q_FULL, Q_TRACKED, Q_UPDATE, Q_WEIGHT_NEW
from margin.kernels.features import install
from sim.kernels.realmath import power
from sim.kernels.state import ADDON_PARAMS, M_CONTRACTS, M_STEPS_PER_DAY, State

UPDATES_PER_DAY = 144  # every ten minutes of a market that never closes; forgotten with a half-life of a day


def begin(state: State, slot: int) -> None:
    """Write the memory of features into a market's state; mutates ``addon_params`` and ``addon_memory``.

    Args:
        state: the market, allocated with features.
        slot: publisher whose rule reads them.
    """
    per_day = max(int(state.meta[M_STEPS_PER_DAY]), 1)
    update = max(1, round(per_day / UPDATES_PER_DAY))
    params = np.zeros((int(state.meta[M_CONTRACTS]), ADDON_PARAMS))
    params[:, Q_TRACKED] = 1.0
    params[:, Q_FULL : Q_FULL + FEATURE_COUNT] = 1.0
    params[:, Q_UPDATE] = update
    params[:, Q_WEIGHT_NEW] = 1.0 - power(0.5, update / per_day)
    params[:, Q_DAYS] = update / per_day
    install(state, slot, params)
