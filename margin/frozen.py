"""Published rates that stand still: the compiled publishers told to keep what they gave last."""

from __future__ import annotations

from typing import Any

from margin.kernels.addon_columns import Q_UPDATE
from margin.kernels.columns import FIXED, P_INITIAL, P_OPEN_LOWER, P_OPEN_UPPER, P_RATES, S_INITIAL
from margin.kernels.features import publish_with_addons
from margin.kernels.open_interest import publish as publish_open_interest
from margin.kernels.publish import publish
from sim.kernels.state import State

_NEVER = float(1 << 62)  # steps between renewals, and a bound that no open interest reaches


def keep_rates(kernel: Any, state: State, slot: int) -> bool:
    """Tell a built-in publisher to keep its rates, its add-ons and its description of accounts.

    Args:
        kernel: the publisher.
        state: the market; its ``model_params`` and ``addon_params`` of the slot are mutated.
        slot: number of the publisher.

    Returns:
        Whether it could; False, and nothing done, for a publisher that is not known here.
    """
    params = state.model_params[slot]
    if kernel is publish_open_interest:
        params[:, P_INITIAL] = state.model_state[slot, :, S_INITIAL]
        params[:, P_OPEN_LOWER], params[:, P_OPEN_UPPER] = _NEVER, 2.0 * _NEVER
        return True
    if kernel is not publish and kernel is not publish_with_addons:
        return False
    params[:, P_RATES] = FIXED  # neither samples nor updates; the rates in the memory are published on
    if state.features.shape[1] == len(state.accounts):
        state.addon_params[slot, :, Q_UPDATE] = _NEVER
    return True
