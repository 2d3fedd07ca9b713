"""In which order the units of a study are run, and when a point has seeds enough.

Without ``[stop]`` there is one wave: everything. With it every point begins with the minimum of seeds; after each wave
the points whose intervals are still too wide get the seeds of the next look. What is decided depends on results alone,
so a resumed sweep takes the same waves as an undisturbed one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.statistics.sequential import StoppingRule, decide_all
from experiments.store import plain
from experiments.sweep.database import NAME, Database
from experiments.sweep.sections import StopSection
from experiments.sweep.study import Study
from experiments.sweep.units import SweepUnit

if TYPE_CHECKING:
    import pandas as pd

    from experiments.sweep.store import Store


def rule_of(stop: StopSection, seeds: int) -> StoppingRule:
    """The rule of a ``[stop]`` table; the study's seeds are the most that a point gets."""
    settings = stop.model_dump(exclude={"outcomes", "regimes"})
    return StoppingRule(**settings, maximum=seeds)


class Waves:
    """The units of a study, wave by wave.

    Args:
        study: the study.
        out: folder of a sweep that may have been begun; its waves are taken up where they are.
    """

    def __init__(self, study: Study, out: Path | None = None) -> None:
        self.study = study
        self._known = _known(out) if study.stop is not None else {}
        self.decisions: dict[int, dict[str, Any]] = {}
        self._runs: Any = None

    def __iter__(self) -> Iterator[list[SweepUnit]]:
        """All units so far, the new ones at the end: once for every wave; results are looked at between two."""
        study = self.study
        if study.stop is None:
            yield study.units()
            return
        by_seed: dict[tuple[int, int], list[SweepUnit]] = {}
        for unit in study.units():
            by_seed.setdefault((unit.point, unit.seed), []).append(unit)
        rule = rule_of(study.stop, len(study.seeds))
        begun = {point.index: 0 for point in study.points}
        units: list[SweepUnit] = []

        def extend(wanted: Mapping[int, int]) -> None:
            for point, number in wanted.items():
                for seed in study.seeds[begun[point] : number]:
                    for unit in by_seed[point, seed]:
                        units.append(replace(unit, index=len(units)))
                begun[point] = max(begun[point], number)

        extend(dict.fromkeys(begun, rule.minimum))
        by_key = {unit.key: unit for unit in study.units()}
        for index in range(len(units), len(self._known)):  # waves that an earlier call has begun
            found = by_key[self._known[index]]
            units.append(replace(found, index=index))
            begun[found.point] = max(begun[found.point], study.seeds.index(found.seed) + 1)
        while True:
            yield list(units)
            wanted = self._wanted(rule, begun)
            if not wanted:
                return
            extend(wanted)

    def look(self, store: Store) -> None:
        """Take the results of the waves so far."""
        self._runs = store.frame("runs") if self.study.stop is not None else None

    def _wanted(self, rule: StoppingRule, begun: Mapping[int, int]) -> dict[int, int]:
        """Seeds that each point must have for its next look; points with enough are not among them."""
        wanted = {}
        for point, number in begun.items():
            found = decide_all(self._samples(point, number), rule, self._baselines(point, number))
            self.decisions[point] = plain(
                {**found, "decisions": {k: d.as_dict() for k, d in found["decisions"].items()}}
            )
            if not found["stop"] and found["next_n"] > number:
                wanted[point] = int(found["next_n"])
        return wanted

    def _samples(self, point: int, number: int) -> dict[str, NDArray[np.float64]]:
        """What is looked at: differences of the regimes, or the outcome itself where one regime is run."""
        stop, study = self.study.stop, self.study
        assert stop is not None
        labels = stop.regimes or tuple(label for label in study.regimes if label != study.baseline)
        found = {}
        for name in stop.outcomes:
            base = self._values(point, study.baseline, name, number)
            for label in labels:
                found[f"{label}, {name}"] = self._values(point, label, name, number) - base
            if not labels:
                found[name] = base
        return found

    def _baselines(self, point: int, number: int) -> dict[str, NDArray[np.float64]]:
        base = {
            name: self._values(point, self.study.baseline, name, number)
            for name in (self.study.stop.outcomes if self.study.stop is not None else ())
        }
        return {key: base[key.rpartition(", ")[2]] for key in self._samples(point, number)}

    def _values(self, point: int, label: str, name: str, number: int) -> NDArray[np.float64]:
        """Values over the first seeds of the study, NaN where a run failed."""
        runs: pd.DataFrame = self._runs
        mine = runs[(runs["point"] == point) & (runs["regime"] == label) & (runs["arm"].fillna("") == "")]
        if name not in mine.columns:
            return np.full(number, np.nan)
        return mine.set_index("seed")[name].reindex(self.study.seeds[:number]).to_numpy(np.float64)


def _known(out: Path | None) -> dict[int, str]:
    """Keys of the units that a folder knows, by index."""
    if out is None or not (out / NAME).is_file():
        return {}
    database = Database(out, create=True)
    try:
        return database.keys()
    finally:
        database.close()
