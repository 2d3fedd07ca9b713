"""``marginlab sweep``: carry out a study on an engine, keep it, summarise it, and say what failed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import engines
from experiments.cli.options import print_json
from experiments.console import load_plugins, progress, say_where
from experiments.store import MANIFEST, SUMMARY, plain
from experiments.studies.compare import Comparison, warm
from experiments.sweep import report, stopping
from experiments.sweep.perform import perform
from experiments.sweep.store import MemoryStore, Store, SweepStore
from experiments.sweep.study import Study, load
from experiments.sweep.summary import combine, summarise
from experiments.sweep.units import SweepUnit
from sim.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from experiments.engines import Engine

EQUAL_COST = "equal-cost.json"
"""Where a folder keeps the factors of a study at equal cost, with the pilots that gave them."""
FAILED_RUNS = 1
"""Exit status of a sweep that kept everything but the runs that failed."""


def command(
    source: str, *, seeds: Sequence[int] | None, assignments: Sequence[str], plugins: Sequence[str], jobs: int,
    dask: str | None, out: str | None, retry_failed: bool, as_json: bool,
) -> int:  # fmt: skip
    """``marginlab sweep``.

    Returns:
        The exit status: 0, or 1 if a run failed.
    """
    load_plugins(plugins)
    study = load(source, assignments, plugins, seeds)
    if retry_failed and out is None:
        raise ConfigError.of("--retry-failed", None, "--out DIR, with the sweep whose failed runs to do again")
    line = command_line(source, seeds, assignments, plugins)
    with progress(f"sweep {study.name}") as on_done, engine_of(jobs, dask, study.plugins) as engine:
        result = carry_out(study, engine, out=out, line=line, retry_failed=retry_failed, on_done=on_done)
    if as_json:
        print_json(result)
    else:
        print("\n".join(report.lines(result)))
        say_where(out)
    return 0 if result["complete"] else FAILED_RUNS


def command_line(source: str, seeds: Sequence[int] | None, assignments: Sequence[str], plugins: Sequence[str]) -> str:
    """The shell line that does the sweep again, engine and folder apart."""
    import shlex

    from experiments.report import seed_ranges

    words = ["marginlab", "sweep", source]
    if seeds is not None:
        words += ["--seeds", seed_ranges(list(seeds)).replace(" ", "")]
    words += [word for text in assignments for word in ("--set", text)]
    words += [word for path in plugins for word in ("--plugin", path)]
    return shlex.join(words)


def engine_of(jobs: int, dask: str | None, plugins: Sequence[str]) -> Any:
    """A context whose value is the engine: this process for one job, a pool for more, a Dask cluster."""
    if dask is not None:
        from experiments.dask_engine import DaskEngine

        return DaskEngine(dask, jobs, plugins=plugins)
    return nullcontext(engines.engine(jobs))


def carry_out(
    study: Study, engine: Engine, *, out: str | Path | None = None, line: str = "", retry_failed: bool = False,
    on_done: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Run what a study lacks, and summarise all of it.

    Args:
        study: the study.
        engine: where units are run.
        out: folder that keeps the runs; where it holds a part of them, the others are run. None keeps nothing.
        line: the shell line that does the study again.
        retry_failed: run units again that failed before.
        on_done: told (units done, units in all).

    Returns:
        What :func:`experiments.sweep.summary.summarise` gives; for a study of parts :func:`combine`.

    Raises:
        ConfigError: the folder holds another study.
        OutputError: the folder holds something else.
    """
    if study.parts:
        return _parts(study, engine, out=out, line=line, retry_failed=retry_failed, on_done=on_done)
    store: Store = MemoryStore() if out is None else SweepStore(out, study.identity(), {"line": line})
    try:
        solutions: dict[str, Any] = {}
        if study.equal_cost is not None:
            from experiments.sweep import equal_cost

            kept = Path(out) / EQUAL_COST if out is not None else None
            known = json.loads(kept.read_text(encoding="utf-8")) if kept is not None and kept.is_file() else None
            solutions = equal_cost.solved(study, engine, known)
            study = equal_cost.at_equal_cost(study, solutions)
        waves = stopping.Waves(study, None if out is None else Path(out))
        units: list[SweepUnit] = []
        for number, units in enumerate(waves):
            store.begin(study.columns(), units)
            if number == 0:
                if solutions and out is not None:
                    _write_json(Path(out) / EQUAL_COST, solutions)
                if retry_failed:
                    store.retry_failed()
                if len(store.finished() | store.failed()) < len(units):
                    _warm(study)
            perform(units, study.function, engine, store, on_done)
            waves.look(store)
        failures = [asdict(failure) for failure in store.failures()]
        result = summarise(study, store.frame("runs"), store.frame("incidence"), failures)
        result |= {"results_hash": store.results_hash(), "command": line, "units": len(units)}
        if solutions:
            result["equal_cost"] = solutions
        if waves.decisions:
            result["stopping"] = waves.decisions
        result = plain(result)
        store.finish(result, result["results_hash"])
    finally:
        store.close()
    if out is not None:
        report.write(Path(out), result)
    return result


def _parts(
    study: Study, engine: Engine, *, out: str | Path | None, line: str, retry_failed: bool,
    on_done: Callable[[int, int], None] | None,
) -> dict[str, Any]:  # fmt: skip
    """Every part into its own folder, then one summary over them."""
    folder = _folder_of_parts(study, out)
    total = sum(len(part.units()) for part in _flat(study))
    done = 0

    def shifted(finished: int, _: int) -> None:
        if on_done is not None:
            on_done(done + finished, total)

    found: dict[str, Any] = {}
    for part in study.parts:
        place = folder / part.name if folder is not None else None
        part_line = f"marginlab sweep {part.file}"
        found[part.name] = carry_out(
            part, engine, out=place, line=part_line, retry_failed=retry_failed, on_done=shifted
        )  # fmt: skip
        done += sum(len(each.units()) for each in _flat(part))
    result: dict[str, Any] = plain(combine(study, found) | {"command": line})
    if folder is not None:
        _write_json(folder / SUMMARY, result)
        _write_json(folder / MANIFEST, _manifest(study, "finished", result["results_hash"]))
        report.write(folder, result)
    return result


def _flat(study: Study) -> list[Study]:
    return [leaf for part in study.parts for leaf in _flat(part)] if study.parts else [study]


def _folder_of_parts(study: Study, out: str | Path | None) -> Path | None:
    """The folder of a study of parts, made and marked; it goes on with what it holds of the same parts.

    Raises:
        OutputError: it holds something else.
    """
    if out is None:
        return None
    folder = Path(out)
    allowed = f"a new or empty folder, or one with the study {study.name}"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        try:
            kept = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise OutputError(f"--out = {str(folder)!r} is not empty; allowed: {allowed}") from None
        if kept.get("study") != study.name or kept.get("parts") != [part.name for part in study.parts]:
            raise OutputError(f"--out = {str(folder)!r} holds something else; allowed: {allowed}")
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / MANIFEST, _manifest(study, "running", None))
    return folder


def _manifest(study: Study, status: str, results_hash: str | None) -> dict[str, Any]:
    from experiments.store import environment

    return {
        "status": status, "command": "sweep", "study": study.name, "parts": [part.name for part in study.parts],
        "results_hash": results_hash, "environment": environment(),
    }  # fmt: skip


def _write_json(path: Path, content: Any) -> None:
    temporary = path.with_name(f"{path.name}.partial")
    temporary.write_text(json.dumps(plain(content), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    temporary.replace(path)


def _warm(study: Study) -> None:
    """Have compiled code in the cache before workers look for it; what cannot run at all fails there, unit by unit."""
    first = study.points[0]
    comparison = Comparison(
        first.scenario, study.regimes, study.seeds[:1], first.event, study.plugins, base=study.baseline
    )
    try:
        warm(comparison)
    except Exception:
        return
