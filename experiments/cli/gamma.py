"""The command that measures what the sign of dealers' gamma does to prices."""

from __future__ import annotations

import typer

from experiments.cli.app import app
from experiments.cli.options import AsJson, Assignments, Check, Jobs, Out, Plugins, ScenarioName, Seeds, workers
from experiments.seeds import parse_seeds


@app.command()
def gamma(
    scenario: ScenarioName,
    seeds: Seeds = None,
    assignments: Assignments = None,
    plugin: Plugins = None,
    check: Check = False,
    jobs: Jobs = "1",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Measure what dealers' hedging does to prices: short of gamma, long of it, and not hedging, from one state."""
    from experiments.gamma.command import command

    status = command(
        scenario, parse_seeds(seeds if seeds is not None else "40"), assignments=assignments or [],
        plugins=plugin or [], check=check, jobs=workers(jobs), out=out, as_json=as_json,
    )  # fmt: skip
    if status:
        raise typer.Exit(status)
