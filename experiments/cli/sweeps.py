"""Commands for studies from files: carry one out, list them."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.cli.app import app
from experiments.cli.options import AsJson, Assignments, Name, Plugins, Seeds, workers
from experiments.seeds import parse_seeds


@app.command()
def sweep(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Built-in name, or a TOML file.")],
    seeds: Seeds = None,
    jobs: Annotated[str | None, typer.Option("--jobs", help="Worker processes; all cores if left out.")] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            "--dask", metavar="local|ADDRESS", help="Run on a Dask cluster: one of this machine, or a running one."
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", metavar="DIR", help="Keep every run here; a folder with a part of this study is gone on with."
        ),
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run units again that failed before.")] = False,
    assignments: Assignments = None,
    plugin: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Carry out a study from a file: all its points, regimes and seeds."""
    import os

    from experiments.sweep import command

    status = command.command(
        study, seeds=parse_seeds(seeds) if seeds is not None else None, assignments=assignments or [],
        plugins=plugin or [], jobs=workers(jobs) if jobs is not None else os.cpu_count() or 1, dask=dask, out=out,
        retry_failed=retry_failed, as_json=as_json,
    )  # fmt: skip
    if status:
        raise typer.Exit(status)


@app.command()
def studies(name: Name = None, as_json: AsJson = False) -> None:
    """List the built-in studies, or print one."""
    from experiments.sweep import listing

    listing.command(name, as_json=as_json)
