"""What a cascade study found, as tables: for the terminal, for a page and for a paper."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.cascades.critical import DEFINITION
from experiments.cascades.sizes import RULED_OUT, p_text
from experiments.tables import Cell, Column, Estimate, Table
from experiments.vocabulary import number, scale_of

_WIDTH = 118  # of notes on a terminal
_ALTERNATIVES = {"lognormal": "lognormal", "exponential": "exponential", "truncated_power_law": "with cut-off"}


def tables(result: Mapping[str, Any]) -> list[Table]:
    """Every table of a result of :func:`experiments.studies.cascades.measure`."""
    found = [grid_table(result), shape_table(result)]
    if "critical" in result:
        found.append(critical_table(result))
        if result["critical"]["effects"]:
            found.append(effects_table(result))
    if "sizes" in result:
        found.append(sizes_table(result))
    return found


def lines(result: Mapping[str, Any]) -> list[str]:
    """The result as text for a terminal."""
    seeds = len(result["seeds"])
    shown = [
        f"{result['scenario']}, {result['reading']}, {'1 seed' if seeds == 1 else f'{seeds} paired seeds'} per row"
    ]
    for table in tables(result):
        shown += ["", *table.lines()]
        for note in table.notes:
            shown += textwrap.wrap(note, _WIDTH, initial_indent="  ", subsequent_indent="  ")
    unreachable = sum(entry["unreachable"] for entry in result["cascades"])
    if unreachable:
        shown += ["", f"{unreachable} runs left out: no open interest of that leverage gives the R0 aimed at."]
    return [*shown, "", f"Results hash: {result['results_hash']}"]


def _setting(rows: Sequence[Mapping[str, Any]]) -> tuple[tuple[Column, ...], list[tuple[Cell, ...]]]:
    """Columns of what varies beside R0, and their cells by row."""
    columns: list[Column] = []
    cells: list[list[Cell]] = [[] for _ in rows]
    if len({row["shock"] for row in rows}) > 1:
        columns.append(Column("shock", "Shock, multiple"))
        for place, row in zip(cells, rows, strict=True):
            place.append(f"{row['shock']:g}")
    if len({row["leverage"] for row in rows}) > 1 or rows[0]["leverage"] is not None:
        columns.append(Column("leverage", "Leverage"))
        for place, row in zip(cells, rows, strict=True):
            place.append(leverage_text(row["leverage"]))
    return tuple(columns), [tuple(place) for place in cells]


def leverage_text(leverage: str | None) -> str:
    """A range of leverage for a reader."""
    return "the scenario's" if leverage is None else leverage.replace(":", "-")


def grid_table(result: Mapping[str, Any]) -> Table:
    """Probability, size, multiplier and branching ratio over the grid."""
    rows = result["cascades"]
    percent = scale_of("fraction")
    more, settings = _setting(rows)
    columns = (
        Column("target", "R0 aimed at"), *more, Column("r0_median", "median R0", digits=2),
        Column("probability", "P(share > 30 %)", digits=2), Column("liquidated_share", "share liquidated", "%"),
        Column("multiplier", "drawdown multiplier", digits=2), Column("fall_on", "fall with", "%", digits=2),
        Column("fall_off", "fall without", "%", digits=2), Column("branching_ratio", "branching ratio", digits=2),
    )  # fmt: skip
    cells = [
        (
            f"{row['target']:g}", *setting,
            # the median: where bids are sparse at the shock, single seeds have an R0 of hundreds
            row["r0_median"],
            Estimate.of(row["probability"]),
            Estimate.of(row["liquidated_share"], percent),
            Estimate.of(row["multiplier"], key="ratio"),
            Estimate.of(row["fall_on"], percent),
            Estimate.of(row["fall_off"], percent),
            Estimate.of(row["branching_ratio"], key="ratio"),
        )
        for row, setting in zip(rows, settings, strict=True)
    ]  # fmt: skip
    notes = (
        "R0: long lots that a fall of 5 % makes liquidatable over bid lots within 5 %, at the shock. Share: of "
        "leveraged lots at the shock. Multiplier: mean fall over that of the twin without liquidations. Branching "
        "ratio: mean number of liquidations that one more brings about. Intervals: 95 % over seeds (bootstrap; Wilson "
        "for P).",
    )
    caption = f"Cascades in {result['scenario']}: {result['reading']}, {len(result['seeds'])} paired seeds per row."
    return Table("cascades", caption, columns, tuple(cells), notes)


def shape_table(result: Mapping[str, Any]) -> Table:
    """All or nothing, and the flow of forced orders."""
    rows = result["cascades"]
    percent = scale_of("fraction")
    more, settings = _setting(rows)
    columns = (
        Column("target", "R0 aimed at"), *more, Column("little", "under 10 %", "% of seeds", digits=0),
        Column("some", "10-50 %", "% of seeds", digits=0), Column("much", "over 50 %", "% of seeds", digits=0),
        Column("bimodality", "bimodality", digits=2), Column("unimodal_p", "p of one mode", digits=2),
        Column("forced_share", "forced share of volume", "%", digits=1),
        Column("forced_half_s", "half of it after", "min", digits=0), Column("largest_tree", "largest tree", digits=0),
        Column("generations", "generations", digits=1),
    )  # fmt: skip
    cells = [
        (
            f"{row['target']:g}", *setting,
            *(Estimate.of(row["shape"][name], percent) for name in ("little", "some", "much")),
            Estimate.of(row["shape"]["coefficient"], key="value"),
            row["shape"]["unimodal_p"],
            Estimate.of(row["forced_share"], percent),
            _minutes(row["forced_half_s"]),
            Estimate.of(row["largest_tree"]),
            Estimate.of(row["generations"]),
        )
        for row, setting in zip(rows, settings, strict=True)
    ]  # fmt: skip
    notes = (
        "Bimodality: Sarle's coefficient of the share liquidated over seeds; a uniform distribution has 0.56. p of one "
        "mode: Silverman's test, conservative. Largest tree (in liquidations) and generations: means over seeds.",
    )
    caption = f"Shares liquidated over seeds and the flow of forced orders in {result['scenario']}."
    return Table("cascade-shape", caption, columns, tuple(cells), notes)


def critical_table(result: Mapping[str, Any]) -> Table:
    """Critical R0 by bisection and by the logistic curve through the grid."""
    rows = result["critical"]["settings"]
    more, settings = _setting(rows)
    columns = (
        *more, Column("r0", "critical R0", digits=2), Column("r0_measured", "as measured", digits=2),
        Column("steepest", "steepest", digits=2), Column("width", "width in ln R0", digits=2),
        Column("logistic", "logistic, aimed at", digits=2), Column("logistic_measured", "logistic, measured", digits=2),
        Column("outside", "seeds outside"), Column("agreement", "agreement", "%", digits=0),
    )  # fmt: skip
    cells = []
    for row, setting in zip(rows, settings, strict=True):
        curve = row["logistic"] or {"r0": {}, "r0_measured": {}}
        agreement = row["agreement"]
        cells.append(
            (
                *setting,
                *(Estimate.of(row[name], key="value") for name in ("r0", "r0_measured", "steepest", "width")),
                Estimate.of(curve["r0"], key="value"),
                Estimate.of(curve["r0_measured"], key="value"),
                f"{row['below']} below, {row['above']} above",
                None if agreement is None else 100.0 * agreement,
            )
        )
    low, high = result["critical"]["bracket"]
    notes = (
        f"Critical: {DEFINITION}. First, the median over {len(result['seeds'])} seeds of the R0 at which each turns "
        f"(from {low:g} up to {high:g}), with an order-statistic interval; as measured: R0 when open interest "
        "is seeded. Agreement: (seed, R0) pairs of the grid where the run says what the seed's threshold says.",
    )
    return Table("cascade-critical", f"Critical R0 of {result['scenario']}.", columns, tuple(cells), notes)


def effects_table(result: Mapping[str, Any]) -> Table:
    """By what factor shock and leverage move the critical R0."""
    rows = result["critical"]["effects"]
    columns = (
        Column("shock", "Shock, multiple"), Column("leverage", "Leverage"),
        Column("ratio", "factor on the critical R0", digits=2), Column("pairs", "pairs"), Column("dropped", "left out"),
    )  # fmt: skip
    cells = [
        (f"{row['shock']:g}", leverage_text(row["leverage"]), Estimate.of(row, key="ratio"), row["n"], row["dropped"])
        for row in rows
    ]
    base = rows[0]["against"]
    notes = (
        f"Against shock {base['shock']:g} and leverage {leverage_text(base['leverage'])}: geometric mean of ratios of "
        "thresholds, seed by seed. Left out: seeds with a threshold outside the bracket.",
    )
    return Table("cascade-critical-effects", "What moves the critical R0.", columns, tuple(cells), notes)


def sizes_table(result: Mapping[str, Any]) -> Table:
    """Power law of sizes against alternatives."""
    rows = result["sizes"]
    more, settings = _setting(rows)
    columns = (
        Column("target", "R0 aimed at"), *more, Column("kind", "Size of"), Column("n", "number"),
        Column("largest", "largest"), Column("xmin", "xmin"), Column("n_tail", "above"),
        Column("alpha", "exponent", digits=2), Column("ks", "KS", digits=3), Column("p", "p", align="right"),
        *(Column(name, f"against {label}", align="right") for name, label in _ALTERNATIVES.items()),
    )  # fmt: skip
    cells = []
    for row, setting in zip(rows, settings, strict=True):
        head = (f"{row['target']:g}", *setting, row["kind"], row["n"], row["largest"])
        if "reason" in row:
            cells.append((*head, "", "", "", "", "", *("" for _ in _ALTERNATIVES)))
            continue
        p = p_text(row["p"], row["resamples"])
        against = (_against(row["alternatives"][name]) for name in _ALTERNATIVES)
        cells.append((*head, row["xmin"], row["n_tail"], Estimate.of(row, key="alpha"), row["ks"], p, *against))
    notes = (
        f"Sizes in liquidations, all seeds together. p under {RULED_OUT:g} rules the power law out (Clauset et al. "
        "2009). Against: normalised log-likelihood ratio (p); above 0 the power law is likelier. Exponent: interval "
        "over seeds. Empty: too few cascades for a fit.",
    )
    caption = f"Sizes of cascades in {result['scenario']}: power law and alternatives."
    return Table("cascade-sizes", caption, columns, tuple(cells), notes)


def _against(found: Mapping[str, Any]) -> str:
    if found["ratio"] is None:
        return "n/a"
    p = found["p"]
    return f"{number(found['ratio'], 1, signed=True)} ({'< .001' if p < 0.001 else number(p, 3)})"


def _minutes(seconds: Mapping[str, Any]) -> Estimate:
    value, low, high = (None if seconds[key] is None else seconds[key] / 60.0 for key in ("mean", "low", "high"))
    return Estimate(value, low, high)
