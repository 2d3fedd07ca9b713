"""``marginlab power``: carry out a design's batches, assess them, and write what was found."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.cli.options import print_json
from experiments.collected import collected
from experiments.console import load_plugins, progress, say_where
from experiments.engines import Engine, engine
from experiments.power import batches, report
from experiments.power.designs import Design, load
from experiments.run import PLACEBO
from experiments.store import plain
from sim.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

FAILED_RUNS = 1
"""Exit status where a run failed; all else is kept."""


def command(
    source: str, *, seeds: Sequence[int], pairs: int, level: float, regimes: Sequence[str], fork_at: str | None,
    outcomes: Sequence[str], assignments: Sequence[str], plugins: Sequence[str], jobs: int, out: str | None,
    retry_failed: bool, as_json: bool,
) -> int:  # fmt: skip
    """``marginlab power``.

    Returns:
        The exit status: 0, or 1 if a run failed.
    """
    if len(seeds) < pairs:
        raise ConfigError.of("--pairs", pairs, f"at most the number of seeds, {len(seeds)}")
    if retry_failed and out is None:
        raise ConfigError.of("--retry-failed", None, "--out DIR, with the runs of which some failed")
    load_plugins(plugins)
    design = load(
        source, seeds, regimes=regimes, fork_at=fork_at, outcomes=outcomes, assignments=assignments, plugins=plugins
    )
    line = command_line(source, seeds, pairs, level, regimes, fork_at, outcomes, assignments, plugins)
    with progress(f"power {design.name}") as on_done:
        result = measure(
            design, pairs, engine(jobs), level=level, out=out, line=line, retry_failed=retry_failed, on_done=on_done
        )
    if as_json:
        print_json(result)
    else:
        print("\n".join(report.lines(result)))
        say_where(out)
    return FAILED_RUNS if result["failures"] else 0


def measure(
    design: Design, pairs: int, on: Engine, *, level: float = batches.LEVEL, out: str | None = None, line: str = "",
    retry_failed: bool = False, on_done: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Run what is missing of a design and assess its batches.

    Args:
        design: what is repeated.
        pairs: seeds of a batch.
        on: where runs are made.
        level: of the tests.
        out: folder, or None.
        line: the shell line of the command.
        retry_failed: run units again that failed before.
        on_done: told (units done, units in all).

    Returns:
        Plain data: ``points``, each as :func:`experiments.power.batches.assess` gives it, with its ``label``.
    """
    with collected(
        design.units, design.columns, design.function, on, identity=design.identity, line=line, out=out,
        retry_failed=retry_failed, on_done=on_done,
    ) as found:  # fmt: skip
        points = [
            {"label": label} | assessed(found.runs[found.runs["point"] == index], design, pairs, level)
            for index, label in enumerate(design.labels)
        ]
        result: dict[str, Any] = plain(
            {
                "design": design.name, "title": design.title, "baseline": design.baseline,
                "regimes": design.regimes, "outcomes": design.outcomes, "seeds": design.seeds, "pairs": pairs,
                "points": points, "failures": found.failures, "results_hash": found.results_hash, "command": line,
            }
        )  # fmt: skip
        found.store.finish(result, found.results_hash)
    if out is not None:
        report.write(Path(out), result)
    return result


def assessed(runs: pd.DataFrame, design: Design, pairs: int, level: float = batches.LEVEL) -> dict[str, Any]:
    """The assessment of one point from its runs."""
    plain_runs, placebo = runs[runs["arm"].fillna("") == ""], runs[runs["arm"] == PLACEBO]

    def columns(frame: pd.DataFrame) -> dict[str, np.ndarray]:
        by_seed = frame.set_index("seed").reindex(list(design.seeds))
        return {
            name: by_seed[name].to_numpy(dtype=np.float64) for name in design.outcomes if name in by_seed.columns
        }  # fmt: skip

    values = {label: columns(plain_runs[plain_runs["regime"] == label]) for label in design.regimes}
    again = columns(placebo) if len(placebo) else None
    return batches.assess(values, again, baseline=design.baseline, outcomes=design.outcomes, pairs=pairs, level=level)


def command_line(
    source: str, seeds: Sequence[int], pairs: int, level: float, regimes: Sequence[str], fork_at: str | None,
    outcomes: Sequence[str], assignments: Sequence[str], plugins: Sequence[str],
) -> str:  # fmt: skip
    """The shell line that does it again, engine and folder apart."""
    from experiments.report import seed_ranges

    words = ["marginlab", "power", source, "--seeds", seed_ranges(list(seeds)).replace(" ", ""), "--pairs", str(pairs)]
    words += ["--regimes", ",".join(regimes)] if regimes else []
    words += ["--fork-at", fork_at] if fork_at else []
    words += ["--outcome", ",".join(outcomes)] if outcomes else []
    words += ["--level", f"{level:g}"] if level != batches.LEVEL else []
    words += [word for text in assignments for word in ("--set", text)]
    words += [word for path in plugins for word in ("--plugin", path)]
    return shlex.join(words)
