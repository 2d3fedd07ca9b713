"""A sweep as tables, and what it found in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.sweep.effects import contrast
from experiments.tables import Cell, Column, Estimate, Table
from experiments.tabulated import tails
from experiments.vocabulary import FAMILIES, Money, Scale, describe, scale_of
from experiments.wording import SMALL_SAMPLE, listing, verdict_of

MARKS = {"different": "*", "suggestive": "?", "identical": "=="}
_MARKED = "* differs after Holm's correction, ? unclear, == identical on every seed"


def outcome_scales(result: Mapping[str, Any]) -> dict[str, Scale]:
    """One scale per outcome over all points and regimes, so that a column has one unit."""
    money = Money.of(result)
    found = {}
    for name in result["outcomes"]:
        means = [e.get("mean") for p in result["points"] for e in p["measures"].get(name, {}).values()]
        found[name] = scale_of(describe(name).kind, means, money)
    return found


def others(result: Mapping[str, Any]) -> list[str]:
    """Regimes other than the baseline."""
    return [label for label in result["regimes"] if label != result["baseline"]]


def tables(result: Mapping[str, Any]) -> list[Table]:
    """Outcomes and paired differences at every point, effects of factors, and who pays."""
    found = [_outcomes(result)]
    if others(result):
        found.append(_differences(result))
    if result["effects"]:
        found.append(_effects(result))
    if any(point.get("tails") for point in result["points"]):
        found.append(_tails(result))
    return [*found, *_incidence(result)]


def _head(name: str, unit: str) -> Column:
    label = describe(name).label
    return Column(name, f"{label[0].upper()}{label[1:]}", unit="" if unit in label.split() else unit)


def _places(result: Mapping[str, Any]) -> list[Column]:
    """Columns that say which point a row is of."""
    if not result["factors"]:
        return []
    return [Column(_slug(factor["name"]), factor["name"], align="left") for factor in result["factors"]]


def _place(result: Mapping[str, Any], point: Mapping[str, Any]) -> list[Cell]:
    return [point["labels"][factor["name"]] for factor in result["factors"]]


def _slug(text: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in text).strip("_") or "factor"


def _outcomes(result: Mapping[str, Any]) -> Table:
    scales = outcome_scales(result)
    columns = [*_places(result), Column("regime", "Regime"), *(_head(n, s.unit) for n, s in scales.items())]
    rows = []
    for point in result["points"]:
        for label in result["regimes"]:
            cells = [Estimate.of(point["measures"].get(n, {}).get(label, {}), s) for n, s in scales.items()]
            rows.append((*_place(result, point), label, *cells))
    caption = f"{_design(result)} Mean over seeds with its {_level(result)} bootstrap interval."
    return Table("outcomes", caption, tuple(columns), tuple(rows))


def _differences(result: Mapping[str, Any]) -> Table:
    scales = outcome_scales(result)
    columns = [
        *_places(result), Column("regime", "Regime"), *(_head(n, s.difference_unit) for n, s in scales.items())
    ]  # fmt: skip
    rows = []
    for point in result["points"]:
        for label in others(result):
            by = point["differences"].get(label, {})
            cells = [_estimate(by.get(name, {}), scale) for name, scale in scales.items()]
            rows.append((*_place(result, point), label, *cells))
    caption = (
        f"Paired differences from {result['baseline']}. {_design(result)} "
        f"Mean over seeds with its {_level(result)} bootstrap interval."
    )
    several = "points, regimes and outcomes" if len(result["points"]) > 1 else "regimes and outcomes"
    return Table("differences", caption, tuple(columns), tuple(rows), (f"{_MARKED}; corrected over {several}.",))


def _estimate(entry: Mapping[str, Any], scale: Scale) -> Estimate:
    mark = MARKS.get(verdict_of(entry), "") if entry.get("n") else ""
    return Estimate.of(entry, scale, signed=True, mark=mark)


def _tails(result: Mapping[str, Any]) -> Table:
    scales, baseline = outcome_scales(result), result["baseline"]
    body = [
        row
        for point in result["points"]
        for row in tails.rows(point.get("tails") or {}, baseline, scales, _place(result, point))
    ]
    return tails.table(body, baseline, _places(result))


def _effects(result: Mapping[str, Any]) -> Table:
    scales = outcome_scales(result)
    columns = [
        Column("factor", "Factor"), Column("change", "Change"), Column("of", "In"),
        *(_head(name, scale.difference_unit) for name, scale in scales.items()),
    ]  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for factor, change, what, by in effect_rows(result):
        rows.append((factor, change, what, *(_estimate(by.get(name, {}), scale) for name, scale in scales.items())))
    caption = (
        f"Effects of the factors, averaged over the points of each level within a seed. {_design(result)} "
        f"Mean over seeds with its {_level(result)} bootstrap interval."
    )
    return Table("effects", caption, tuple(columns), tuple(rows), (f"{_MARKED}; corrected over factors and levels.",))


def effect_rows(result: Mapping[str, Any]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """(Factor, change of level, regime or difference of regimes, outcome -> estimate)."""
    whats = [result["baseline"], *(contrast(label, result["baseline"]) for label in others(result))]
    for factor in result["factors"]:
        found = result["effects"].get(factor["name"])
        if found is None:
            continue
        for what in (what for what in whats if what in found["contrasts"]):
            for position, label in enumerate(found["labels"][1:]):
                by = {name: estimates[position] for name, estimates in found["contrasts"][what].items() if estimates}
                yield factor["name"], f"{found['labels'][0]} to {label}", what, by
            if found["slope"].get(what) and len(found["labels"]) > 2:
                yield factor["name"], "linear, lowest to highest", what, found["slope"][what]


def _incidence(result: Mapping[str, Any]) -> list[Table]:
    """Profit and loss by population."""
    populations = list(dict.fromkeys(p for point in result["points"] for by in point["incidence"].values() for p in by))
    money = Money.of(result)

    def entry(point: Mapping[str, Any], label: str, population: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = point["incidence"].get(label, {}).get(population, {}).get("pnl", {})
        return found

    if not populations:
        return []
    means = [
        entry(point, label, population).get("mean")
        for point in result["points"] for label in result["regimes"] for population in populations
    ]  # fmt: skip
    scale = scale_of("money", means, money)
    columns = [*_places(result), Column("regime", "Regime"), *(Column(_slug(p), p, scale.unit) for p in populations)]
    rows = []
    for point in result["points"]:
        for label in result["regimes"]:
            cells = [Estimate.of(entry(point, label, population), scale, signed=True) for population in populations]
            rows.append((*_place(result, point), label, *cells))
    caption = f"Who pays: profit and loss by population, mean over seeds with its {_level(result)} bootstrap interval."
    return [Table("incidence", caption, tuple(columns), tuple(rows))]


def _level(result: Mapping[str, Any]) -> str:
    return f"{100.0 * float(result['statistics'].get('confidence', 0.95)):g} %"


def _design(result: Mapping[str, Any]) -> str:
    seeds = len(result["seeds"])
    return f"{result['title']}: {result['scenario']}, {reading(result)}, {seeds} {'seed' if seeds == 1 else 'seeds'}."


def reading(result: Mapping[str, Any]) -> str:
    """The reading in words."""
    events = list(dict.fromkeys(point["event"] for point in result["points"] if point["event"]))
    return f"arms forked at {listing(events)}" if events else "whole runs"


def headline(result: Mapping[str, Any]) -> str:
    """How large the study is, and where regimes differ."""
    points, regimes = len(result["points"]), len(result["regimes"])
    size = (
        f"{points} {'point' if points == 1 else 'points'}, {regimes} {'regime' if regimes == 1 else 'regimes'}, "
        f"{len(result['seeds'])} {'seed' if len(result['seeds']) == 1 else 'seeds'}"
    )
    said = []
    for label in others(result):
        for name in result["outcomes"]:
            verdicts = [verdict_of(p["differences"].get(label, {}).get(name, {})) for p in result["points"]]
            found = verdicts.count("different")
            if found:
                where = "" if points == 1 else f" at {found} of {points} points"
                said.append(f"{describe(name).label} under {label}{where}")
    if not others(result):
        return f"{size}."
    if not said:
        return f"{size}. No difference from {result['baseline']} survives the correction."
    return f"{size}. Different from {result['baseline']} after correction: {listing(said)}."


def placebo(result: Mapping[str, Any]) -> tuple[bool | None, str]:
    """Whether the placebo holds at every point (None: not run), and the sentence that says so."""
    checked = [point for point in result["points"] if point["placebo"] is not None]
    if not checked:
        return None, "Placebo: not run."
    wrong = [
        f"point {point['point']}, {name}"
        for point in checked for name, value in point["placebo"].items() if value is None or value != 0.0
    ]  # fmt: skip
    wrong += [f"point {point['point']}, tables" for point in checked if point["placebo_identical"] is False]
    where = "" if len(checked) == 1 else f" at each of {len(checked)} points"
    if not wrong:
        return True, (
            f"Placebo ({result['baseline']} against itself): exactly zero on every outcome and seed{where}; "
            "the states of both agree in every byte."
        )
    return False, (
        f"Placebo ({result['baseline']} against itself) FAILED: {listing(wrong[:5])}. The comparisons are not valid: "
        "paired runs do not share one world."
    )


def notes(result: Mapping[str, Any]) -> list[str]:
    """What a reader must know before believing the tables."""
    found = []
    failed = len(result["failures"])
    if failed:
        runs = "unit" if failed == 1 else "units"
        found.append(f"{failed} {runs} of {result['units']} failed and are missing from every number; listed below.")
    seeds = min((point["seeds"] for point in result["points"]), default=0)
    if seeds < SMALL_SAMPLE:
        found.append(
            f"Only {seeds} {'seed' if seeds == 1 else 'seeds'} at a point: intervals are too narrow at this size, and "
            "a paired test can hardly find anything."
        )
    return found


def failure_lines(failures: Sequence[Mapping[str, Any]], limit: int = 50) -> list[str]:
    """Each failed unit with its seed, its error and the command that repeats it."""
    if not failures:
        return []
    lines = [f"Failed: {len(failures)}"]
    for failure in failures[:limit]:
        part = f"{failure['part']}: " if "part" in failure else ""
        lines.append(
            f"  {part}point {failure['point']}, seed {failure['seed']}: {failure['kind']}: {failure['message']}"
        )
        lines.append(f"    {failure['command']}")
    if len(failures) > limit:
        lines.append(f"  and {len(failures) - limit} more, in summary.json")
    return lines


def definitions(result: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(Label, name, definition) of every outcome, by family."""
    families = list(FAMILIES)
    names = sorted(result["outcomes"], key=lambda n: families.index(describe(n).family))
    return [(describe(n).label, n, describe(n).definition) for n in names]
