"""The study's results as tables: what the bare rule does, what each tool does, who paid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from experiments.statistics import LEVEL
from experiments.studies.dynamic_vs_static.reactions import LABELS
from experiments.studies.dynamic_vs_static.summary import BARE
from experiments.tables import Cell, Column, Estimate, Table, Written
from experiments.vocabulary import Kind, Money, Scale, decimals, describe, number, scale_of

SIGNS = {"different": "*", "suggestive": "?", "none": "=", "identical": "==", "untested": "-"}
_NOTE = (
    "Mean paired difference with its 95 % bootstrap interval. * differs after Holm's correction, ? unclear, = no "
    "difference detectable, == equal on every seed, - not tested."
)


def label_of(name: str) -> str:
    """What a measure is called."""
    return LABELS[name][0] if name in LABELS else describe(name).label


def kind_of(name: str) -> Kind:
    """Its kind."""
    return LABELS[name][1] if name in LABELS else describe(name).kind


def scale_for(result: Mapping[str, Any], name: str, entries: Iterable[Mapping[str, Any]]) -> Scale:
    """The unit in which some estimates of a measure are shown."""
    ends = [entry.get(key) for entry in entries for key in ("mean", "low", "high")]
    return scale_of(kind_of(name), ends, Money.of(result))


def _estimate(entry: Mapping[str, Any], scale: Scale, *, signed: bool = False, mark: str = "") -> Estimate:
    """An estimate in shown units; one that hardly varies over seeds gets decimals of its value, not of its interval."""
    mean, low, high = (entry.get(key) for key in ("mean", "low", "high"))
    narrow = None not in (mean, low, high) and high - low < 1e-3 * abs(mean)  # type: ignore[operator, arg-type]
    digits = decimals((mean * scale.factor,)) if narrow and mean else None  # type: ignore[operator]
    return Estimate.of(entry, scale, digits=digits, signed=signed, mark=mark)


def tables(result: Mapping[str, Any]) -> list[Table]:
    """Three tables for each reading of a part.

    Args:
        result: :func:`experiments.studies.dynamic_vs_static.summary.summary`.
    """
    made = []
    for reading, found in result["readings"].items():
        stem = f"dynamic-vs-static-{result['part']}"
        if len(result["readings"]) > 1:
            stem += "-" + reading.replace(" ", "-")
        where = f"{result['scenario']}, {len(result['seeds'])} paired seeds, {reading}"
        made += [
            _bare(result, found, f"{stem}-dynamic", where),
            _all(result, found, f"{stem}-rules", where),
            _paid(result, found, f"{stem}-who-paid", where),
        ]
    return made


def lines(result: Mapping[str, Any]) -> list[str]:
    """The tables of a part for a terminal."""
    shown = []
    for table in tables(result):
        shown += ["", table.caption, "", *table.lines()]
    same = "equal to the bit" if result["placebo_identical"] else "NOT EQUAL"
    factors = ", ".join(f"{rule} {found['factor']:.3g}" for rule, found in result["factors"].items())
    return [*shown, "", f"placebo (static again): {same}; factors of equal mean margin: {factors}"]


def _rows(found: Mapping[str, Any]) -> list[str]:
    return list(found["measures"])


def _bare(result: Mapping[str, Any], found: Mapping[str, Any], name: str, where: str) -> Table:
    rows: list[tuple[Cell, ...]] = []
    baseline = result["baseline"]
    for measure in _rows(found):
        entry, level = found["differences"][BARE][measure], found["measures"][measure][baseline]
        scale = scale_for(result, measure, (entry, level))
        reach = entry["detectable"]
        rows.append(
            (
                f"{label_of(measure)} ({scale.unit})" if scale.unit else label_of(measure),
                _estimate(level, scale),
                _estimate(entry, scale, signed=True, mark=SIGNS[entry["verdict"]]),
                Estimate(entry["effect"], digits=2, signed=True),
                _p(entry["p_holm"]),
                "" if entry["required_n"] is None else entry["required_n"],
                Estimate(None if reach is None else reach * scale.factor),
            )
        )
    columns = (
        Column("outcome", "Outcome", align="left"),
        Column("static", baseline, align="right"),
        Column("difference", f"{BARE} less {baseline}", align="right"),
        Column("effect", "effect size", align="right"),
        Column("p", "p, Holm", align="right"),
        Column("seeds", "seeds needed", align="right"),
        Column("detectable", "detectable", align="right"),
    )
    notes = (
        _NOTE,
        "Effect size: mean difference over its standard deviation. Seeds needed: to find that effect with 80 % power. "
        "Detectable: the difference that these seeds find with 80 % power.",
    )
    caption = f"What margin that follows volatility does at equal margin: {where}."
    return Table(name, caption, columns, tuple(rows), notes)


def _all(result: Mapping[str, Any], found: Mapping[str, Any], name: str, where: str) -> Table:
    baseline, rules = result["baseline"], [rule for rule in result["regimes"] if rule != result["baseline"]]
    rows: list[tuple[Cell, ...]] = []
    for measure in _rows(found):
        level = found["measures"][measure][baseline]
        entries = {rule: found["differences"][rule][measure] for rule in rules}
        scale = scale_for(result, measure, (level, *entries.values()))
        rows.append(
            (
                f"{label_of(measure)} ({scale.unit})" if scale.unit else label_of(measure),
                _estimate({"mean": level["mean"]}, scale),
                *(_estimate(e, scale, signed=True, mark=_mark(found, rule, measure)) for rule, e in entries.items()),
            )
        )
    columns = (
        Column("outcome", "Outcome", align="left"),
        Column(baseline, baseline, align="right"),
        *(Column(rule, rule, align="right") for rule in rules),
    )
    notes = (_NOTE, f"^ differs from {BARE} after Holm's correction over tools and outcomes.")
    return Table(name, f"Every rule less {baseline}: {where}.", columns, tuple(rows), notes)


def _mark(found: Mapping[str, Any], rule: str, measure: str) -> str:
    """The verdict against the baseline, and whether a tool differs from the bare rule."""
    sign = SIGNS[found["differences"][rule][measure]["verdict"]]
    entry = found["tools"].get(rule, {}).get(measure)
    return sign + ("^" if entry is not None and entry["p_holm"] is not None and entry["p_holm"] <= LEVEL else "")


def _paid(result: Mapping[str, Any], found: Mapping[str, Any], name: str, where: str) -> Table:
    rules = list(found["incidence"])
    populations = list(found["incidence"][rules[0]])
    everything = [found["incidence"][rule][population] for rule in rules for population in populations]
    scale = scale_of("money", [e.get(k) for e in everything for k in ("mean", "low", "high")], Money.of(result))
    rows: list[tuple[Cell, ...]] = []
    for population in populations:
        cells = []
        for rule in rules:
            entry = found["incidence"][rule][population]
            sure = entry["p_holm"] is not None and entry["p_holm"] <= LEVEL
            cells.append(Estimate.of(entry, scale, signed=True, mark="*" if sure else ""))
        rows.append((population, *cells))
    columns = (
        Column("population", "Population", align="left"),
        *(Column(rule, rule, unit=scale.unit, align="right") for rule in rules),
    )
    notes = ("* differs from static after Holm's correction over rules and populations.",)
    return Table(name, f"Who paid: profit less that under {result['baseline']}, {where}.", columns, tuple(rows), notes)


def _p(value: float | None) -> Cell:
    if value is None:
        return ""
    return Written(value, "< 0.001" if value < 0.001 else number(value, 3))
