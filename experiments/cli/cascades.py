"""The command that measures how much liquidations deepen a fall."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.cli.app import app
from experiments.cli.options import (
    AsJson,
    Assignments,
    Check,
    Jobs,
    Out,
    Plugins,
    ScenarioName,
    Seeds,
    numbers,
    workers,
)
from experiments.seeds import parse_seeds


@app.command()
def cascade(
    scenario: ScenarioName,
    r0: Annotated[str, typer.Option("--r0", help="Values of R0 to aim at, by commas.")] = "0.2,1.1,1.65",
    event: Annotated[
        str | None, typer.Option("--event", help="The shock; the scenario's measure.event if left out.")
    ] = None,
    seeds: Seeds = None,
    assignments: Assignments = None,
    plugin: Plugins = None,
    check: Check = False,
    jobs: Jobs = "1",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Measure how much liquidations deepen a fall."""
    from experiments import commands

    commands.cascade(
        scenario, parse_seeds(seeds if seeds is not None else "80"), targets=numbers("--r0", r0), event=event,
        assignments=assignments or [], plugins=plugin or [], check=check, jobs=workers(jobs), out=out, as_json=as_json,
    )  # fmt: skip
