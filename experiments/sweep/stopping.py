"""In which order the units of a study are run, and when a point has seeds enough."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.sweep.store import Store
from experiments.sweep.study import Study
from experiments.sweep.units import SweepUnit


def waves(study: Study, store: Store) -> Iterator[list[SweepUnit]]:
    """Units to run next, until nothing is left to run."""
    yield study.units()
