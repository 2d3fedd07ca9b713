"""A comparison of venues as a page, as Markdown, and as lines of a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.drawing.policies import figures, series, styles_of
from experiments.report import incidence_tables, seed_ranges, write_page
from experiments.terminal import columns
from experiments.vocabulary import Money, Scale, describe, number, places_of, scale_of, show, with_unit
from experiments.wording import VERDICTS, cautions, p_text, placebo_sentence, verdict_of

MEASURES = (
    "drawdown_mid", "drawdown_mark", "bad_debt_bp", "fund_paid", "adl_lots", "backstop_lots", "socialised", "uncovered",
    "liquidated_lots", "liquidated_share", "recovery_minutes", "recovery_censored", "cost_to_liquidated",
)  # fmt: skip
"""Measures of the tables."""
CHECKS = ("mark_jump", "first_reading_share", "before_event_share", "unresolved", "debt_left")
"""What a reader must know of the fork and of the end."""
_HEADLINE = ("drawdown_mid", "bad_debt_bp", "liquidated_share", "cost_to_liquidated", "recovery_minutes")
_TERMINAL = ("drawdown_mid", "bad_debt_bp", "adl_lots", "liquidated_share", "recovery_minutes", "cost_to_liquidated")
MARKDOWN = "policies.md"


def write_policies_report(folder: Path, result: Mapping[str, Any]) -> Path:
    """Write figures, ``policies.md`` and the page.

    Args:
        folder: output folder; gets ``report.html``, ``policies.md`` and ``figures/``.
        result: what :func:`experiments.studies.policies.summary` gives.

    Returns:
        Path of the page.
    """
    drawn = figures(folder / "figures", result)
    (folder / MARKDOWN).write_text("\n".join(markdown(result)) + "\n", encoding="utf-8")
    names = [*MEASURES, *CHECKS]
    money = Money.of(result)
    settings = result.get("statistics") or {}
    gained = {
        label: {population: {"against_off": by["against_off"]} for population, by in found.items()}
        for label, found in result["incidence"].items()
        if label in result["regimes"]
    }
    context = {
        "title": f"{result['scenario']}: designs of the venue",
        "kind": "comparison of venues",
        "baseline": result["baseline"],
        "headline": drawn[0].title + ".",
        "sentences": effect_sentences(result),
        "notes": cautions(result),
        "placebo": placebo_sentence(result)[1],
        "placebo_holds": placebo_sentence(result)[0] and result.get("placebo_identical"),
        "outcomes": _table(result, MEASURES),
        "differences": _table(result, MEASURES, differences=True),
        "checks": _table(result, CHECKS),
        "effects": _effect_rows(result),
        "incidence": _by_arm(incidence_tables(gained, list(gained), money), list(gained)),
        "parameters": {label: _stated(stated) for label, stated in result["parameters"].items()},
        "definitions": [(describe(n).label, n, describe(n).definition) for n in names],
        "confidence": f"{100.0 * float(settings.get('confidence', 0.95)):g}",
    }
    return write_page(
        folder, "policies.html.j2", context, {**result, "command": command_line(result)}, drawn,
        styles_of([*series(result)[1], "mark", "policy"]),
    )  # fmt: skip


def command_line(result: Mapping[str, Any]) -> str:
    """The command that makes a result again."""
    parts = [f"marginlab venues {result['scenario']}"]
    crossed = {label: f for label, f in result["factors"].items() if f}
    if crossed:
        parts.append(f"--policies {','.join(dict.fromkeys(f['policy'] for f in crossed.values()))}")
        parts.append(f"--marks {','.join(dict.fromkeys(f['mark'] for f in crossed.values()))}")
    for label in result["regimes"]:
        stated = result["parameters"][label]
        if label not in crossed and stated:
            parts.append(f"--arm '{label}: {_stated(stated)}'")
    parts.append(f"--fork-lead {result['event_step'] - result['fork_step']}")
    seeds = sorted(result["seeds"])
    whole = seeds == list(range(seeds[0], seeds[-1] + 1))
    parts.append(f"--seeds {seeds[0]}:{seeds[-1] + 1}" if whole else f"--seeds {','.join(map(str, seeds))}")
    return " ".join(parts)


def effect_sentences(result: Mapping[str, Any]) -> list[str]:
    """What mark rules and policies do, each averaged over the other, with intervals whatever they are."""
    said = []
    for factor in ("mark", "policy"):
        found = result["effects"].get(factor) or {}
        other = "policies" if factor == "mark" else "marks"
        for level, by in found.get("differences", {}).items():
            parts = []
            for name in (n for n in _HEADLINE if n in by):
                scale = _difference_scale(result, name, by[name])
                shown = show(by[name], scale, difference=True)
                verdict = VERDICTS[verdict_of(by[name])]
                parts.append(f"{describe(name).label} {shown.text} ({verdict})")
            said.append(f"{factor} {level} against {found['baseline']}, mean over {other}: {'; '.join(parts)}.")
    return said


def lines(result: Mapping[str, Any]) -> list[str]:
    """The study for a terminal: outcomes of every arm, effects, placebo, hash.

    Args:
        result: what :func:`experiments.studies.policies.summary` gives.
    """
    scales = {name: _scale(result, name) for name in _TERMINAL}
    rows = [["design", *(_head(describe(n).label, s.unit) for n, s in scales.items())]]
    for label in result["regimes"]:
        cells = []
        for name, scale in scales.items():
            shown = show(result["measures"][name][label], scale, places=_places(result, name, scale))
            difference = result["differences"].get(label, {}).get(name)
            sign = " *" if difference is not None and verdict_of(difference) == "different" else ""
            cells.append(f"{shown.value} {shown.interval}".strip() + sign)
        rows.append([f"{label} (own)" if label == result["baseline"] else label, *cells])
    seeds = f"{len(result['seeds'])} paired seeds" if len(result["seeds"]) != 1 else "1 seed"
    title = f"{result['scenario']}, {result['reading']}, {seeds}"
    told = ["* differs from the scenario's own venue, corrected for the number of designs"] if len(rows) > 2 else []
    return [
        title, "", *columns(rows), "", *told, *effect_sentences(result), placebo_sentence(result)[1],
        *cautions(result), f"Results hash: {result['results_hash']}",
    ]  # fmt: skip


def markdown(result: Mapping[str, Any]) -> list[str]:
    """The study as Markdown tables: outcomes, differences, effects, who paid, checks of the fork."""
    seeds = seed_ranges(result["seeds"])
    shown = [f"`{command_line(result)}`, seeds {seeds}", ""]
    for title, table in (
        ("Outcomes, mean over seeds and 95 % bootstrap interval", _table(result, MEASURES)),
        (f"Paired differences from {result['baseline']}; bold: differs after correction over designs",
         _table(result, MEASURES, differences=True)),
        ("Fork and end", _table(result, CHECKS)),
    ):  # fmt: skip
        shown += [f"### {title}", "", *_markdown_table(table), ""]
    if result["effects"]:
        shown += ["### Effects of mark and policy", "", "| effect | measure | mean | bootstrap | t | p, corrected |"]
        shown += ["|---|---|---|---|---|---|"]
        shown += ["| " + " | ".join(row) + " |" for row in _effect_rows(result)] + [""]
    money = Money.of(result)
    scale = scale_of("money", [_gain(result, label, p)["mean"] for label, p in _pairs(result)], money)
    populations = list(result["incidence"][result["baseline"]])
    shown += [f"### Profit against the twin without liquidations, {scale.unit}, positions at the mid", ""]
    shown += ["| design | " + " | ".join(populations) + " |", "|---|" + "---|" * len(populations)]
    for label in result["regimes"]:
        cells = [show(_gain(result, label, p), scale, difference=True) for p in populations]
        shown.append(f"| {label} | " + " | ".join(f"{c.value} {c.interval}".strip() for c in cells) + " |")
    return [*shown, "", placebo_sentence(result)[1]]


def _gain(result: Mapping[str, Any], label: str, population: str) -> Mapping[str, Any]:
    return result["incidence"][label][population]["against_off"]


def _pairs(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(label, p) for label in result["regimes"] for p in result["incidence"][label]]


def _scale(result: Mapping[str, Any], name: str) -> Scale:
    return scale_of(describe(name).kind, [e.get("mean") for e in result["measures"][name].values()], Money.of(result))


def _difference_scale(result: Mapping[str, Any], name: str, difference: Mapping[str, Any]) -> Scale:
    return scale_of(describe(name).kind, [difference.get(k) for k in ("mean", "low", "high")], Money.of(result))


def _places(result: Mapping[str, Any], name: str, scale: Scale) -> int:
    return min(max(places_of(e, scale) for e in result["measures"][name].values()), 3)


def _table(result: Mapping[str, Any], names: Sequence[str], *, differences: bool = False) -> dict[str, Any]:
    """A row per arm, a column per measure; cells are (value, interval, whether it differs from the baseline)."""
    names = [name for name in names if name in result["measures"]]
    scales = {name: _scale(result, name) for name in names}
    heads = []
    for name in names:
        unit = scales[name].difference_unit if differences else scales[name].unit
        heads.append(_head(describe(name).label, unit))
    rows = []
    for label in result["regimes"]:
        if differences and label not in result["differences"]:
            continue
        cells = []
        for name in names:
            difference = result["differences"].get(label, {}).get(name, {})
            estimate = difference if differences else result["measures"][name].get(label, {})
            places = _places(result, name, scales[name])
            shown = show(estimate, scales[name], difference=differences, places=places)
            differs = differences and bool(difference) and verdict_of(difference) == "different"
            cells.append((shown.value, shown.interval, differs))
        rows.append((label, cells))
    return {"heads": heads, "rows": rows}


def _head(label: str, unit: str) -> str:
    return f"{label}, {unit}" if unit and unit not in label.split() else label


def _markdown_table(table: Mapping[str, Any]) -> list[str]:
    found = ["| design | " + " | ".join(table["heads"]) + " |", "|---|" + "---|" * len(table["heads"])]
    for label, cells in table["rows"]:
        texts = [f"{'**' * differs}{value}{'**' * differs} {interval}".strip() for value, interval, differs in cells]
        found.append(f"| {label} | " + " | ".join(texts) + " |")
    return found


def _effect_rows(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Effect, measure, mean, bootstrap interval, t interval, corrected p, as texts."""
    rows: list[tuple[str, ...]] = []
    for factor in ("mark", "policy"):
        found = result["effects"].get(factor) or {}
        for level, by in found.get("differences", {}).items():
            for name in (n for n in MEASURES if n in by):
                difference, scale = by[name], _difference_scale(result, name, by[name])
                shown = show(difference, scale, difference=True)
                student = show({**difference["t"], "n": 0}, scale, difference=True, places=places_of(difference, scale))
                rows.append(
                    (
                        f"{factor} {level} - {found['baseline']}", describe(name).label,
                        with_unit(shown.value, shown.unit), shown.interval, student.interval,
                        p_text(difference.get("p_holm")),
                    )
                )  # fmt: skip
    return rows


def _by_arm(tables: Sequence[Any], labels: Sequence[str]) -> dict[str, Any] | None:
    """The table of gains with a row per arm and a column per population."""
    if not tables:
        return None
    (table,) = tables
    rows = []
    for place, label in enumerate(labels):
        cells = [row.cells[place] for row in table.rows]
        rows.append((label, [(c.shown.value, c.shown.interval, False) if c else ("n/a", "", False) for c in cells]))
    return {"heads": [f"{row.label}, {row.unit}" for row in table.rows], "rows": rows}


def _stated(stated: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={_value(value)}" for key, value in stated.items())


def _value(value: Any) -> str:
    """As TOML and ``--arm`` spell it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "[" + ", ".join(f'"{v}"' if isinstance(v, str) else _value(v) for v in value) + "]"
    return number(value, 0) if isinstance(value, int) and abs(value) < 1000 else repr(value)
