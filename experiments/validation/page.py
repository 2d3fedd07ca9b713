"""The page of a validation, written from stored results.

    python -m experiments.validation.page
    python -m experiments.validation.page --tuning out/validate/summary.json --fresh out/fresh/summary.json

The first writes ``docs/validation.md`` and its figure anew from the results in ``docs/validation/``; the second puts
other results there first.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.store import installation
from experiments.validation.bands import ERROR, MISS, PASS, REPORTED, UNCLEAR, VERDICTS
from experiments.validation.table import Row, asked, counted, crosses, measured, rule_in_words, seeds
from sim.errors import ConfigError, MarginLabError

TUNING, FRESH = "tuning", "fresh"
NAMES = {TUNING: "tuning seeds", FRESH: "fresh seeds"}
_WORDS = {PASS: "pass", MISS: "**MISS**", UNCLEAR: "*unclear*", ERROR: "**ERROR**", REPORTED: "reported"}
_NOT_STORED = ("wall_seconds", "seconds")  # of one machine

READING = """\
Each row asks one question of the market and gives the range in which the answer has to lie. A row **passes** when the
whole 95 % interval of the measurement lies in the range, is a **miss** when the whole interval lies outside, and is
*unclear* when the interval crosses an edge: more seeds would tell. Where a band is stated of the sample itself (a share
of seeds, an exact zero) the estimate decides; where it asks for "no significant difference", the interval has to reach
the range; where there is no range, the answer is *reported* and not judged. A pass with a star (\\*) is one by such a
rule, with an interval that crosses an edge. The last table says which rule a row has and where its band comes from. A
negative control is a market spoilt on purpose; its band is the failure that must show."""


def page(results: Mapping[str, Mapping[str, Any]], figure: str | None = None) -> str:
    """The page as Markdown.

    Args:
        results: results of :func:`experiments.validation.run.validate`, by the name of their seeds: one or two.
        figure: path of the summary figure from the page, or None.
    """
    rows = _joined(results)
    parts = [
        "# Validation",
        "<!-- Written by experiments/validation/page.py from stored results; `make validation` writes it again. -->",
        *_head(results),
        READING,
        _counts(results),
        "## What is missed",
        _said(rows, results, (ERROR, MISS)) or "Nothing is missed.",
        "## What is unclear",
        _said(rows, results, (UNCLEAR,)) or "Nothing is unclear.",
    ]
    if figure is not None:
        title = "Every band's interval on its range of acceptance"
        parts += ["## All bands", f"![{title}]({figure})", _caption(results)]
    for group in dict.fromkeys(row["group"] for row in rows):
        parts += [f"## {group[:1].upper()}{group[1:]}", _table([r for r in rows if r["group"] == group], results)]
    parts += ["## Sources of the bands", _sources(rows)]
    return "\n\n".join(parts) + "\n"


def _head(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    first = next(iter(results.values()))
    markets = " and ".join(f"`{name}`" for name in first["markets"].values())
    said = [f"What the markets {markets} show, beside what a believable market shows." if markets else ""]
    commands = []
    for name, result in results.items():
        quick = " --quick" if result["quick"] else ""
        start = f" --seeds-from {result['first_seed']}" if result["first_seed"] else ""
        commands.append(f"marginlab validate{quick}{start} --out DIR   # {_named(name)}")
    said.append("```bash\n" + "\n".join(commands) + "\n```")
    if FRESH in results:
        said.append(
            "Parameters were chosen by looking at tuning seeds. The fresh seeds were used once, for this table, and "
            "never for a choice."
        )
    return [part for part in said if part]


def _named(name: str) -> str:
    return NAMES.get(name, name)


def _counts(results: Mapping[str, Mapping[str, Any]]) -> str:
    shown = [PASS, MISS, UNCLEAR]
    for rare in (ERROR, REPORTED):
        if any(result["verdicts"].get(rare) for result in results.values()):
            shown.append(rare)
    lines = [f"| | {' | '.join(shown)} | results hash |", "|---|" + "---:|" * len(shown) + "---|"]
    for name, result in results.items():
        cells = " | ".join(str(result["verdicts"].get(verdict, 0)) for verdict in shown)
        kind = "quick" if result["quick"] else "full"
        seed = result["first_seed"]
        lines.append(f"| {_named(name)} (from {seed}), {kind} | {cells} | `{result['results_hash'][:16]}` |")
    return "\n".join(lines)


def _joined(results: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row per band with the rows of every result under ``by``, the worst verdicts of a group first."""
    found: dict[str, dict[str, Any]] = {}
    for name, result in results.items():
        for row in result["rows"]:
            found.setdefault(row["id"], {**row, "by": {}})["by"][name] = row
    groups = list(dict.fromkeys(row["group"] for row in found.values()))

    def order(row: Mapping[str, Any]) -> tuple[int, int, int]:
        ranks = sorted(VERDICTS.index(of["verdict"]) for of in row["by"].values())
        return groups.index(row["group"]), ranks[0], ranks[-1]

    return sorted(found.values(), key=order)


def _said(rows: Sequence[Mapping[str, Any]], results: Mapping[str, Any], verdicts: Sequence[str]) -> str:
    lines = []
    for row in rows:
        hit = [(name, of) for name, of in row["by"].items() if of["verdict"] in verdicts]
        if not hit:
            continue
        shown = "; ".join(f"{_where(name, results)}{_found(of)}" for name, of in hit)
        held = [name for name, of in row["by"].items() if of["verdict"] == PASS]
        also = f" It passes on {_named(held[0])}." if held else ""
        note = hit[0][1]["note"]
        remark = f" {note[:1].upper()}{note[1:].rstrip('.')}." if note and hit[0][1]["verdict"] != ERROR else ""
        lines.append(f"- `{row['id']}`: {asked(row['question'])} {shown}; band: {row['statement']}.{also}{remark}")
    return "\n".join(lines)


def _where(name: str, results: Mapping[str, Any]) -> str:
    return f"{_named(name)}: " if len(results) > 1 else ""


def _found(row: Row) -> str:
    return f"the check failed ({row['note']})" if row["verdict"] == ERROR else measured(row)


def _table(rows: Sequence[Mapping[str, Any]], results: Mapping[str, Any]) -> str:
    heads = "".join(f" {_named(name)} | seeds | verdict |" for name in results)
    lines = [f"| band | question | accepted |{heads}", "|---|---|---|" + "---|---:|---|" * len(results)]
    for row in rows:
        cells = []
        for name in results:
            of = row["by"].get(name)
            cells += (
                ["", "", ""]
                if of is None
                else [measured(of), seeds(of), _WORDS[of["verdict"]] + ("\\*" if crosses(of) else "")]
            )
        control = "Negative control: " if row["control"] else ""
        shown = [f"`{row['id']}`", f"{control}{asked(row['question'])}", row["statement"], *cells]
        lines.append("| " + " | ".join(_cell(text) for text in shown) + " |")
    notes = [
        f"- `{row['id']}`: {note}."
        for row in rows
        if (note := next((of["note"].rstrip(".") for of in row["by"].values() if of["note"]), ""))
    ]
    return "\n".join(lines) + ("\n\n" + "\n".join(notes) if notes else "")


def _sources(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = ["| band | source | judged by |", "|---|---|---|"]
    lines += [
        f"| `{row['id']}` | {_cell(row['source'])} | {rule_in_words(row) or 'the whole interval'} |" for row in rows
    ]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _caption(results: Mapping[str, Mapping[str, Any]]) -> str:
    from experiments.drawing.validation import CAPTION

    counts = "; ".join(f"{_named(name)}: {counted(result['verdicts'])}" for name, result in results.items())
    return f"{CAPTION} {counts[:1].upper()}{counts[1:]}."


def write(folder: Path, result: Mapping[str, Any]) -> Path:
    """Write the page of one result, with its figure, into a folder."""
    from experiments.drawing.canvas import FIGURES
    from experiments.drawing.validation import summary_figure

    name = f"seeds from {result['first_seed']}"
    drawn = summary_figure({name: result}, folder / FIGURES)
    path = folder / "validation.md"
    path.write_text(page({name: result}, f"{FIGURES}/{drawn.png.name}"), encoding="utf-8")
    return path


def publish(docs: Path, given: Mapping[str, Path]) -> Path:
    """Store results beside the page, if any are given, and write page and figure from what is stored.

    Raises:
        ConfigError: a given file is no result, or nothing is stored.
    """
    from experiments.drawing.validation import summary_figure

    home = docs / "validation"
    results = {}
    for name in NAMES:
        stored = home / f"{name}.json"
        if name in given:
            result = {key: value for key, value in _read(given[name]).items() if key not in _NOT_STORED}
            home.mkdir(parents=True, exist_ok=True)
            stored.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        if stored.is_file():
            results[name] = _read(stored)
    if not results:
        raise ConfigError.of("--tuning", None, f"summary.json of a finished validation, since {home} holds none")
    drawn = summary_figure(results, home)
    drawn.svg.unlink()
    path = docs / "validation.md"
    path.write_text(page(results, f"validation/{drawn.png.name}"), encoding="utf-8")
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or "rows" not in found:
        raise ConfigError.of("result", str(path), "summary.json of a validation")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="python -m experiments.validation.page", description=__doc__)
    for name, words in NAMES.items():
        parser.add_argument(f"--{name}", type=Path, metavar="SUMMARY", help=f"summary.json of the run on {words}")
    parser.add_argument("--docs", type=Path, default=installation() / "docs", help="folder of the documentation")
    asked = parser.parse_args(arguments)
    try:
        print(publish(asked.docs, {name: path for name in NAMES if (path := getattr(asked, name)) is not None}))
    except MarginLabError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
