"""The page of a calibration: table of the fit, figure, what must be said, how to make it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.calibration import lines as told

_EXPLAINED = (
    ("Distance", "distance", "g' W g with g = simulated less observed moments and W the weights; about chi-squared "
     "when the model is true and W the inverse of the covariance of g"),
    ("t", "t", "simulated less observed moment over the standard error of that difference, (1 + 1/tau) times the "
     "bootstrap variance of the data's moment, tau = simulated length over the length of the data"),
    ("Standard error", "error", "sandwich formula with derivatives by paired central differences"),
    ("Profile", "profile", "values whose distance, the others following to first order, lies within 3.84 of the "
     "smallest; < and > mark a side that the slice did not close"),
    ("Seeds inside", "inside", "share of simulated runs whose moment lies in the data's 95 % bootstrap interval"),
)  # fmt: skip


def command_line(result: Mapping[str, Any]) -> str:
    """The command that makes a result again."""
    parts = ["marginlab", "calibrate", str(result["asked"]["scenario"]), "--data", str(result["asked"]["data"])]
    for text in result["asked"]["free"]:
        parts += ["--free", text]
    parts += [str(part) for part in result["asked"]["options"]]
    return shlex.join(parts)


def write_page(folder: Path, result: Mapping[str, Any]) -> Path:
    """Draw the figure and write ``report.html`` into a folder."""
    from experiments.drawing.calibration import figure
    from experiments.report import write_page as fill

    drawn = figure(result, folder / "figures")
    context = {
        "title": f"Calibration of {result['scenario']} to {result['data']['name']}",
        "kind": "calibration",
        "headline": told.headline(result),
        "test": told.test_text(result),
        "tables": [
            ("Parameters", told.PARAMETER_HEADS, told.parameter_rows(result)),
            ("Moments", told.MOMENT_HEADS, told.moment_rows(result)),
        ],
        "meanings": [(row["name"], row["what"]) for row in result["moments"]],
        "identification": [text.strip() for text in told.identification_texts(result)],
        "facts": [told.weights_text(result), told.search_text(result)],
        "definitions": _EXPLAINED,
    }
    shown = {**result, "command": command_line(result)}
    return fill(folder, "calibration.html.j2", context, shown, [drawn], {})
