"""Carry out the units of a design that is analysed in another way than a study: kept, gone on with, failures apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from experiments.engines import Engine
from experiments.jobs import UnitResult
from experiments.sweep.chunks import StoredUnit
from experiments.sweep.perform import perform
from experiments.sweep.store import MemoryStore, Store, SweepStore
from experiments.vocabulary import MEASURES
from sim.errors import ConfigError
from sim.problems import unknown

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Collected:
    """What came of a design's units.

    Attributes:
        runs: one row per run: ``point``, ``regime``, ``arm``, ``seed`` and a column per measure.
        failures: units without a result: seed, error and the command that does each alone.
        results_hash: of all results, whatever engine ran them.
        store: takes the summary (:meth:`experiments.sweep.store.Store.finish`).
    """

    runs: pd.DataFrame
    failures: tuple[dict[str, Any], ...]
    results_hash: str
    store: Store


@contextmanager
def collected(
    units: Sequence[StoredUnit], columns: Sequence[Mapping[str, Any]], function: Callable[[Any], UnitResult],
    engine: Engine, *, identity: Mapping[str, Any], line: str = "", out: str | None = None,
    retry_failed: bool = False, on_done: Callable[[int, int], None] | None = None,
) -> Iterator[Collected]:  # fmt: skip
    """Run what the folder does not hold yet; the store is open as long as the block lasts.

    Args:
        units: every unit of the design.
        columns: what each point sets, dotted key -> value.
        function: module-level function of a unit's task.
        engine: where units are run.
        identity: what makes two designs the same; another one's folder is refused.
        line: the shell line of the command.
        out: folder, or None to keep nothing.
        retry_failed: run units again that failed before.
        on_done: told (units done, units in all).

    Raises:
        ConfigError: the folder holds another design.
        OutputError: the folder holds something else.
    """
    store: Store = MemoryStore() if out is None else SweepStore(out, identity, {"line": line})
    try:
        store.begin(columns, units)
        if retry_failed:
            store.retry_failed()
        perform(units, function, engine, store, on_done)
        failures = tuple(asdict(failure) for failure in store.failures())
        yield Collected(store.frame("runs"), failures, store.results_hash(), store)
    finally:
        store.close()


def check_outcomes(names: Sequence[str]) -> None:
    """Outcomes must be measures.

    Raises:
        ConfigError: one problem for each that is not.
    """
    wrong = [unknown("", "--outcome", name, MEASURES) for name in names if name not in MEASURES]
    if wrong:
        raise ConfigError(wrong)


def failure_lines(failures: Sequence[Mapping[str, Any]]) -> list[str]:
    """What failed, a line each with the command that does it alone."""
    if not failures:
        return []
    told = [f"  seed {f['seed']}: {f['kind']}: {f['message']}\n    {f['command']}" for f in failures]
    return ["", f"Failed: {len(failures)}", *told]
