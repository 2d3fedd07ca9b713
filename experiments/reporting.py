"""From an output folder to its figures and its page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.store import SUMMARY

if TYPE_CHECKING:
    import pandas as pd


def write(folder: Path) -> Path:
    """Make the report of a finished run or comparison from what its folder holds.

    Args:
        folder: an output folder with ``summary.json``.

    Returns:
        Path of the page.
    """
    from experiments.report import write_report, write_run_report

    result = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    if result.get("kind") == "sweep":
        from experiments.sweep.report import write as write_sweep

        return write_sweep(folder, result)
    if result.get("study") == "policies":
        from experiments.policies_report import write_policies_report

        return write_policies_report(folder, result)
    steps, events = _shown(folder / "steps.parquet", result), _shown(folder / "events.parquet", result)
    causes = _shown(folder / "causes.parquet", result)
    if "regimes" in result:
        return write_report(folder, result, steps, events, causes)
    regime = result["regime"]
    return write_run_report(folder, result, steps[regime], events.get(regime), causes.get(regime))


def _shown(path: Path, result: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """A table's rows of the seed that figures show, by regime; nothing where tables were not kept."""
    import pandas as pd

    if not path.is_file():
        return {}
    seed = result.get("shown_seed", result.get("seed"))
    table = pd.read_parquet(path, filters=[("seed", "==", seed)])
    return {str(regime): rows.reset_index(drop=True) for regime, rows in table.groupby("regime", sort=False)}
