"""Commands that list and explain what there is, and make pages again."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.cli.app import app
from experiments.cli.options import (
    AsJson,
    Name,
    Plugins,
)


@app.command()
def scenarios(name: Name = None, as_json: AsJson = False) -> None:
    """List the built-in scenarios, or print one."""
    from experiments import commands

    commands.scenarios(name, as_json=as_json)


@app.command()
def regimes(name: Name = None, plugin: Plugins = None, as_json: AsJson = False) -> None:
    """List the margin regimes by family, or explain one: formula, parameters, source, date."""
    from experiments import commands

    commands.regimes(name, plugins=plugin or [], as_json=as_json)


@app.command()
def policies(name: Name = None, as_json: AsJson = False) -> None:
    """List the liquidation policies with their parameters and sources, or explain one."""
    from experiments import commands

    commands.policies(name, as_json=as_json)


@app.command()
def agents(name: Name = None, plugin: Plugins = None, as_json: AsJson = False) -> None:
    """List the kinds of traders, or the parameters of one."""
    from experiments import commands

    commands.agents(name, plugins=plugin or [], as_json=as_json)


@app.command()
def schema(
    what: Annotated[str, typer.Argument(metavar="[WHAT]", help="scenario, study or portfolio.")] = "scenario",
    plugin: Plugins = None,
) -> None:
    """Print the JSON schema of scenario, study or portfolio files, for editors."""
    from experiments import commands

    commands.schema(what, plugins=plugin or [])


@app.command()
def report(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Output folder of a finished run or comparison.")],
) -> None:
    """Make the figures and the page of an output folder again."""
    from experiments import commands

    commands.report(folder)
