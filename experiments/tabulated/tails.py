"""Table of tails: how bad is a bad seed, under each regime and against the baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.tables import Cell, Column, Estimate, Table
from experiments.vocabulary import Scale, describe

LEAST_SEEDS = 10
"""Below so many seeds a worst tenth is less than one seed, and no tails are given."""
PROBABILITY = 0.9
RESAMPLES = 1_999
_AT = f"{PROBABILITY:g}"
_COLUMNS = (
    Column("outcome", "Outcome"),
    Column("regime", "Regime"),
    Column("quantile", "Nine in ten seeds stay within"),
    Column("shortfall", "Mean of the worst tenth"),
    Column("worst", "Worst seed"),
    Column("difference", "Worst tenth, less baseline"),
)


def tails_of(values: Mapping[str, Mapping[str, Any]], baseline: str, names: Sequence[str]) -> dict[str, Any]:
    """Tails of some outcomes, and their paired differences from the baseline; empty with too few seeds.

    Args:
        values: regime -> measure -> array over seeds.
        baseline: regime the others are compared with.
        names: outcomes; those that a regime does not have are left out.
    """
    from experiments.statistics import tail_differences

    shown = [name for name in names if all(name in by for by in values.values())]
    if not shown or max((len(values[baseline][name]) for name in shown), default=0) < LEAST_SEEDS:
        return {}
    sides = {name: "lower" for name in shown if describe(name).worse == "lower"}
    return tail_differences(values, baseline, shown, probabilities=(PROBABILITY,), sides=sides, resamples=RESAMPLES)


def rows(
    tails: Mapping[str, Any], baseline: str, scales: Mapping[str, Scale], place: Sequence[Cell] = ()
) -> Iterator[tuple[Cell, ...]]:
    """A row per outcome and regime.

    Args:
        tails: what :func:`tails_of` gives.
        baseline: the regime without a difference.
        scales: of every outcome.
        place: cells before them.
    """
    for name, by in tails.get("measures", {}).items():
        scale, label = scales[name], describe(name).label
        head = f"{label[0].upper()}{label[1:]}" + (f" ({scale.unit})" if scale.unit else "")
        for regime, found in by.items():
            shortfall = found["shortfalls"][_AT]
            difference: Cell = ""
            if regime != baseline:
                entry = tails["differences"][regime][name]["shortfalls"][_AT]
                p = entry.get("p_holm")
                mark = "*" if p is not None and p <= 0.05 else ""
                difference = Estimate.of(entry, scale, signed=True, mark=mark, key="value")
            yield (
                *place, head, regime, Estimate.of(found["quantiles"][_AT], scale, key="value"),
                Estimate.of(shortfall, scale, key="value"), Estimate.of(found["worst"], scale, key="value"), difference,
            )  # fmt: skip


def table(body: Sequence[tuple[Cell, ...]], baseline: str, places: Sequence[Column] = ()) -> Table:
    """The table of such rows."""
    notes = (
        "Interval of the quantile by order statistics, open where the seeds do not bound it; of the worst tenth by "
        "bootstrap, given from a hundred seeds on. * differs after Holm's correction over outcomes and regimes "
        "(exchanges within pairs).",
    )
    caption = f"Tails over seeds, paired differences from {baseline}: how bad is a bad seed."
    return Table("tails", caption, (*places, *_COLUMNS), tuple(body), notes)
