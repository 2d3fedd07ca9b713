"""Where cascades set in, and whether the onset sharpens with the size of the market."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.cli.app import app
from experiments.cli.options import (
    AsJson,
    Assignments,
    Jobs,
    Out,
    ScenarioName,
    Seeds,
    numbers,
    print_json,
    whole,
    workers,
)
from experiments.seeds import parse_seeds
from sim.errors import ConfigError


@app.command()
def scaling(
    scenario: ScenarioName,
    factors: Annotated[str, typer.Option("--factors", help="How many times more, by commas.")] = "1,4,16",
    r0: Annotated[str, typer.Option("--r0", help="Values of R0 to aim at, by commas.")] = "0.4,0.7,1,1.3,1.6,2,2.5",
    ways: Annotated[
        str, typer.Option("--ways", help="finer (more leveraged traders), whole (everything), by commas.")
    ] = "finer,whole",
    most: Annotated[
        str | None, typer.Option("--most", help="Seeds of the largest whole market; all if left out.")
    ] = None,
    seeds: Seeds = None,
    assignments: Assignments = None,
    jobs: Jobs = "1",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Measure the onset of cascades in markets of several sizes (finite-size scaling)."""
    sizes = tuple(whole("--factors", part) for part in factors.split(","))
    if len(set(sizes)) < len(sizes) or 1 not in sizes:
        raise ConfigError.of("--factors", factors, "different whole numbers, 1 among them, for example 1,4,16")
    chosen = tuple(part.strip() for part in ways.split(","))
    if not set(chosen) <= {"finer", "whole"} or len(set(chosen)) < len(chosen):
        raise ConfigError.of("--ways", ways, "finer, whole, or both by commas")
    targets = numbers("--r0", r0)
    if len(set(targets)) < 2:
        raise ConfigError.of("--r0", r0, "at least two different values, to see a rise")
    limit = None if most is None else whole("--most", most)
    found = parse_seeds(seeds if seeds is not None else "40")
    from experiments.console import load, progress, say_where
    from experiments.store import OutputFolder
    from experiments.studies.crossover import Crossover, lines, measure

    loaded = load(scenario, assignments or [])
    study = Crossover(loaded, tuple(found), tuple(sorted(sizes)), tuple(sorted(targets)), chosen, limit)
    study.units()  # whatever does not fit together shows here
    folder = OutputFolder(out, study.job()) if out is not None else None
    with progress(f"scaling {loaded.name}") as on_done:
        result = measure(study, workers=workers(jobs), folder=folder, on_done=on_done)
    if folder is not None:
        from experiments import reporting

        reporting.write(folder.path)
    if as_json:
        print_json(result)
        return
    for line in lines(result):
        print(line)
    say_where(out)
