"""A sweep on the terminal and as a folder: tables, figures, one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments import tables as tabulated
from experiments.drawing import sweep as drawing
from experiments.drawing.palette import regime_styles
from experiments.latex import write_fragment
from experiments.report import write_page
from experiments.sweep import findings
from experiments.tables import Table

ROWS_SHOWN = 24  # on a terminal; all are in the folder
PAGE_ROWS = 400


def write(folder: Path, result: Mapping[str, Any]) -> Path:
    """Write ``tables/``, ``figures/``, ``paper.tex`` and ``report.html``.

    Args:
        folder: output folder of the sweep.
        result: its summary.

    Returns:
        Path of the page.
    """
    if "parts" in result:
        return _write_parts(folder, result)
    found = findings.tables(result)
    tabulated.write(found, folder)
    drawn = drawing.figures(result, folder / "figures")
    write_fragment(folder)
    holds, placebo = findings.placebo(result)
    context = {
        "title": result["title"],
        "kind": "study",
        "headline": findings.headline(result),
        "reading": findings.reading(result),
        "notes": findings.notes(result),
        "placebo": placebo,
        "placebo_holds": holds,
        "tables": [_page_table(table) for table in found],
        "failures": result["failures"][:PAGE_ROWS],
        "parameters": _parameters(result),
        "definitions": findings.definitions(result),
        "parts": [],
        "points": len(result["points"]),
        "design": result["design"]["kind"].replace("_", " "),
    }
    return write_page(folder, "sweep.html.j2", context, result, drawn, regime_styles(result["regimes"]))


def _write_parts(folder: Path, result: Mapping[str, Any]) -> Path:
    """The page of a study of parts: what each found, and where it is."""
    leaves = [part for part in result["parts"].values() if "parts" not in part]
    outcomes = list(dict.fromkeys(name for part in leaves for name in part["outcomes"]))
    seeds = sorted({seed for part in leaves for seed in part["seeds"]})
    holds = [findings.placebo(part)[0] for part in leaves]
    context = {
        "title": result["title"],
        "kind": "study",
        "headline": f"{len(result['parts'])} parts.",
        "reading": "see each part",
        "notes": [note for part in leaves for note in findings.notes(part)],
        "placebo": "; ".join(f"{part['title']}: {findings.placebo(part)[1]}" for part in leaves),
        "placebo_holds": False if False in holds else None if None in holds else True,
        "tables": [],
        "failures": result["failures"][:PAGE_ROWS],
        "parameters": {},
        "definitions": findings.definitions({"outcomes": outcomes}),
        "parts": [(name, part["title"], _part_headline(part)) for name, part in result["parts"].items()],
        "points": sum(len(part["points"]) for part in leaves),
        "design": "parts",
    }
    write_fragment(folder)
    return write_page(folder, "sweep.html.j2", context, {**result, "seeds": seeds}, [], {})


def _part_headline(part: Mapping[str, Any]) -> str:
    if "parts" in part:
        return f"{len(part['parts'])} parts."
    return findings.headline(part)


def _page_table(table: Table) -> dict[str, Any]:
    heads, *rows = table.text()
    left = ROWS_LEFT.format(len(rows) - PAGE_ROWS, table.name) if len(rows) > PAGE_ROWS else ""
    return {
        "name": table.name, "heads": heads, "rows": rows[:PAGE_ROWS], "caption": table.caption,
        "notes": [*table.notes, *filter(None, [left])], "title": TITLES.get(table.name, table.name),
        "text": [table.align(i) == "left" for i in range(len(heads))],
    }  # fmt: skip


ROWS_LEFT = "{} more rows in tables/{}.csv."
TITLES = {
    "outcomes": "Outcomes by point and regime",
    "differences": "Paired differences by point",
    "effects": "Effects of the factors",
    "incidence": "Who pays",
}


def _parameters(result: Mapping[str, Any]) -> dict[str, str]:
    """Rules of the regimes at the first point."""
    found = {}
    for label, stated in result["points"][0]["parameters"].items():
        params = ", ".join(f"{key} = {value}" for key, value in stated["params"].items())
        rule = "" if stated["regime"] == label else f"rule {stated['regime']}; "
        found[label] = f"{rule}{params or 'no parameters'}"
    return found


def lines(result: Mapping[str, Any]) -> list[str]:
    """A sweep for the terminal.

    Args:
        result: what :func:`experiments.sweep.command.carry_out` gives.
    """
    if "parts" in result:
        return _part_lines(result)
    found = [f"{result['title']}: {result['scenario']}, {findings.reading(result)}", ""]
    for table in findings.tables(result):
        if table.name == "incidence" or (table.name == "outcomes" and len(table.rows) > ROWS_SHOWN):
            continue
        found += [TITLES[table.name], *table.lines()[: ROWS_SHOWN + 1]]
        if len(table.rows) > ROWS_SHOWN:
            found.append(f"... {len(table.rows) - ROWS_SHOWN} more rows with --out, in tables/{table.name}.csv")
        found += [*table.notes, ""]
    found += [findings.headline(result), *findings.notes(result), findings.placebo(result)[1]]
    found += findings.failure_lines(result["failures"])
    return [*found, f"Results hash: {result['results_hash']}"]


def _part_lines(result: Mapping[str, Any]) -> list[str]:
    found = []
    for name, part in result["parts"].items():
        found += [f"== {name}", *lines(part), ""]
    return [*found, f"Results hash of all parts: {result['results_hash']}"]
