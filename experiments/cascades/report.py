"""The page of a cascade study."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.cascades.tables import tables
from experiments.drawing.cascade_study import figures
from experiments.drawing.palette import regime_styles
from experiments.report import write_page

DEFINITIONS = (
    ("R0", "r0", "Long lots that a fall of 5 % makes liquidatable over bid lots resting within 5 % below the mark."),
    ("Share liquidated", "liquidated_share", "Lots liquidated in the window over leveraged lots at the shock."),
    (
        "Drawdown multiplier",
        "multiplier",
        "Mean fall of the mark from the shock over that of the twin.",
    ),
    (
        "Branching ratio",
        "branching_ratio",
        "Mean weight of others' forced fills among the causes of a liquidation.",
    ),
    ("Tree", "trees", "A liquidation that no other set off, with all that it set off, directly or not."),
    ("Burst", "bursts", "Liquidations of consecutive steps."),
)
"""What the page says of its measures."""


def write_cascades_report(folder: Path, result: Mapping[str, Any]) -> Path:
    """Write figures and the page, which holds the tables.

    Args:
        folder: output folder; gets ``report.html`` and ``figures/``.
        result: what :func:`experiments.studies.cascades.measure` gives.

    Returns:
        Path of the page.
    """
    drawn, made = figures(result, folder / "figures"), tables(result)
    context = {
        "definitions": DEFINITIONS,
        "title": f"{result['scenario']}: cascades of liquidations",
        "kind": "cascade study",
        "headline": drawn[0].title + ".",
        "tables": [{"name": t.name, "caption": t.caption, "notes": t.notes, "cells": t.text()} for t in made],
    }
    told = {**result, "command": command_line(result)}
    styles = regime_styles(["static", "dynamic", "portfolio"])
    return write_page(folder, "cascades.html.j2", context, told, drawn, styles)


def command_line(result: Mapping[str, Any]) -> str:
    """The command that makes a result again, but for ``--set`` and ``--plugin``."""
    rows = result["cascades"]

    def listed(name: str) -> list[Any]:
        return list(dict.fromkeys(row[name] for row in rows))

    parts = ["marginlab", "cascade", str(result["scenario"]), "--r0", ",".join(f"{t:g}" for t in listed("target"))]
    if listed("shock") != [1.0]:
        parts += ["--shock", ",".join(f"{s:g}" for s in listed("shock"))]
    if listed("leverage") != [None]:
        parts += ["--leverage", ",".join(listed("leverage"))]
    if "critical" in result:
        parts += ["--critical", "--bracket", ":".join(f"{end:g}" for end in result["critical"]["bracket"])]
    parts += ["--event", result["event_name"], "--seeds", seeds_option(result["seeds"])]
    return shlex.join(parts)


def seeds_option(seeds: list[int]) -> str:
    """Seeds as ``--seeds`` takes them.

    Examples:
        >>> seeds_option([0, 1, 2]), seeds_option([5, 7])
        ('0:3', '5,7')
    """
    first, last = seeds[0], seeds[-1]
    whole = list(seeds) == list(range(first, last + 1))
    return f"{first}:{last + 1}" if whole else ",".join(map(str, seeds))
