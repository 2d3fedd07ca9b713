"""From an output folder to its figures, tables, page and fragment for a paper.

Everything is made from what the folder keeps, so ``marginlab report DIR`` makes it again, with the same bytes. Each
command has an entry in :data:`REPORTS`: what makes its page and figures, and what makes its tables.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from experiments.store import MANIFEST, SUMMARY
from sim.errors import OutputError

if TYPE_CHECKING:
    import pandas as pd

    from experiments.tables import Table

FIGURES = "figures"
RESULTS = (SUMMARY, "backtest.json", "flat-book.json")
"""Files that hold a result, in the order in which they are looked for."""

_HERE = __name__
REPORTS: dict[str, tuple[str, str]] = {
    "run": (f"{_HERE}:compared", "experiments.tabulated.comparison:tables"),
    "compare": (f"{_HERE}:compared", "experiments.tabulated.comparison:tables"),
    "venues": ("experiments.policies_report:write_policies_report", "experiments.tabulated.venues:tables"),
    "cascade": ("experiments.cascades.report:write_cascades_report", "experiments.cascades.tables:tables"),
    "scaling": ("experiments.drawing.crossover:draw", "experiments.tabulated.cascades:scaling"),
    "flat-book": ("experiments.drawing.flat_book:draw", "experiments.tabulated.cascades:flat_book"),
    "feedback": ("experiments.drawing.feedback:draw", ""),
    "impact": ("experiments.drawing.impact:draw", "experiments.tabulated.impact:tables"),
    "impact --mechanisms": ("experiments.drawing.mechanisms:draw", "experiments.tabulated.mechanisms:tables"),
    "stylized-facts": ("experiments.drawing.facts:draw", "experiments.tabulated.sheets:facts"),
    "validate": ("experiments.validation.page:write", "experiments.tabulated.sheets:validation"),
    "backtest": ("experiments.drawing.backtests:draw", "experiments.tabulated.sheets:backtests"),
    "sweep": ("experiments.sweep.report:write", ""),
    "calibrate": ("experiments.calibration.page:write_page", "experiments.tabulated.sheets:calibration"),
    "calibrate --recover": ("", "experiments.tabulated.sheets:calibration"),
    "replicate october-2025": ("experiments.drawing.october_2025:draw", "experiments.tabulated.sheets:replication"),
    "procyclicality": ("experiments.drawing.procyclicality:draw", "experiments.procyclicality.tables:tables"),
    "sensitivity": ("experiments.sensitivity.report:write", ""),
    "gamma": ("experiments.drawing.gamma:draw", "experiments.gamma.report:tables"),
    "power": ("experiments.power.report:write", ""),
    "queue-model": ("experiments.drawing.models:draw_queues", "experiments.tabulated.sheets:queue_model"),
    "zero-intelligence": ("experiments.drawing.models:draw_scaling", "experiments.tabulated.sheets:zero_intelligence"),
}
"""Command -> (page and figures, tables), each ``module:function`` or empty.

The first is called with the folder and the result and gives the path of a page, or None; the second is called with the
result and gives a list of :class:`experiments.tables.Table`."""


def write(folder: Path) -> Path:
    """Make figures, tables, page and ``paper.tex`` of a finished job from what its folder holds.

    Args:
        folder: an output folder with a result (:data:`RESULTS`).

    Returns:
        Path of the page, or of the folder where its command has none.

    Raises:
        OutputError: the folder holds no result, or one of a command that has no report.
    """
    from experiments import latex, tables

    result = _result(folder)
    kind = command_of(folder, result)
    if kind not in REPORTS:
        raise OutputError(f"DIR = {str(folder)!r} holds a result of {kind!r}; allowed: {', '.join(REPORTS)}")
    drawing, tabulating = REPORTS[kind]
    page = _function(drawing)(folder, result) if drawing else None
    if tabulating:
        tables.write(cast("Iterable[Table]", _function(tabulating)(result)), folder)
    latex.write_fragment(folder)
    return page if isinstance(page, Path) else folder


def command_of(folder: Path, result: Mapping[str, Any]) -> str:
    """Which command made a result: what the manifest says, else what the result has."""
    path = folder / MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    said = str(manifest.get("command") or "")
    study = manifest.get("study")
    if isinstance(study, dict) and study.get("command") in REPORTS:  # a study whose points are kept as a sweep's are
        said = str(study["command"])
    if result.get("study") == "policies":
        return "venues"
    if said in REPORTS:
        return said
    if "sheet" in result:
        return "stylized-facts"
    if "frontier" in result and "prices" in result:
        return "backtest"
    if not said and ("regimes" in result or "regime" in result):
        return "compare"
    return said or str(result.get("command") or "unknown")


def compared(folder: Path, result: Mapping[str, Any]) -> Path:
    """Figures and page of a comparison or of one run."""
    from experiments.report import write_report, write_run_report

    steps, events = _shown(folder / "steps.parquet", result), _shown(folder / "events.parquet", result)
    causes = _shown(folder / "causes.parquet", result)
    if "regimes" in result:
        return write_report(folder, result, steps, events, causes)
    regime = result["regime"]
    return write_run_report(folder, result, steps[regime], events.get(regime), causes.get(regime))


def _result(folder: Path) -> dict[str, Any]:
    for name in RESULTS:
        path = folder / name
        if path.is_file():
            return cast("dict[str, Any]", json.loads(path.read_text(encoding="utf-8")))
    allowed = "the output folder of a finished run or study"
    raise OutputError(f"DIR = {str(folder)!r} has no {SUMMARY}; allowed: {allowed}")


def _function(name: str) -> Callable[..., Any]:
    module, _, function = name.partition(":")
    return cast("Callable[..., Any]", getattr(import_module(module), function))


def _shown(path: Path, result: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """A table's rows of the seed that figures show, by regime; nothing where tables were not kept."""
    import pandas as pd

    if not path.is_file():
        return {}
    seed = result.get("shown_seed", result.get("seed"))
    table = pd.read_parquet(path, filters=[("seed", "==", seed)])
    return {str(regime): rows.reset_index(drop=True) for regime, rows in table.groupby("regime", sort=False)}
