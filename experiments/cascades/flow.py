"""The flow of forced orders after a shock: how much of the volume, how fast, how concentrated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def forced_flow(steps: pd.DataFrame, start: int, end: int, dt_seconds: float) -> dict[str, float]:
    """Forced orders of a run's window.

    Args:
        steps: step table of a run, every step recorded or fewer.
        start: step at whose end the window begins.
        end: last step.
        dt_seconds: seconds per step.

    Returns:
        ``forced_share`` of the window's volume (lots, one side; NaN without volume), ``forced_half_s``: seconds until
        half of the forced lots are out (NaN where none are), ``forced_peak``: share of them in the fullest recorded
        step.
    """
    inside = steps[(steps["step"] >= start) & (steps["step"] <= end)]
    table = inside.groupby("step", sort=True)[["liquidated", "volume"]].sum()
    at = table.index.to_numpy()
    if len(at) < 2:
        return dict.fromkeys(("forced_share", "forced_half_s", "forced_peak"), float("nan"))
    forced = np.diff(table["liquidated"].to_numpy(np.float64))
    volume = float(table["volume"].iloc[-1] - table["volume"].iloc[0])
    total = float(forced.sum())
    half = float("nan")
    if total > 0:
        half = float(at[1:][np.searchsorted(np.cumsum(forced), total / 2)] - at[0]) * dt_seconds
    return {
        "forced_share": total / volume if volume > 0 else float("nan"),
        "forced_half_s": half,
        "forced_peak": float(forced.max()) / total if total > 0 else float("nan"),
    }
