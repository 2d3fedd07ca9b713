"""The command that maps what prices would set off."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.cli.app import app
from experiments.cli.options import AsJson, Assignments, Out, Plugins, ScenarioName, whole
from experiments.seeds import parse_seed
from sim.errors import ConfigError


def _share(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < 1.0:
        raise ConfigError.of(key, text, "a share of the price from 0 to below 1")
    return value


@app.command()
def feedback(
    scenario: ScenarioName,
    seed: Annotated[str, typer.Option("--seed", help="Seed of the run.")] = "0",
    at_step: Annotated[
        str | None, typer.Option("--at-step", metavar="N", help="Completed steps at which the map is taken.")
    ] = None,
    at_event: Annotated[
        str | None, typer.Option("--at-event", metavar="NAME", help="Event; the scenario's measure.event if left out.")
    ] = None,
    contract: Annotated[
        str | None, typer.Option("--contract", help="Perpetual or future; the first contract if left out.")
    ] = None,
    populations: Annotated[
        str | None,
        typer.Option(
            "--populations", metavar="A,B", help="Who hedges the delta of options; those that say so if left out."
        ),
    ] = None,
    width: Annotated[str, typer.Option("--width", help="How far from the mark the map goes, share of it.")] = "0.1",
    band: Annotated[
        str | None,
        typer.Option("--band", metavar="TICKS", help="Ticks in a band; a fortieth of --width if left out."),
    ] = None,
    smooth: Annotated[
        str, typer.Option("--smooth", help="Width of price over which gains are averaged, share of the mark; 0: none.")
    ] = "0.01",
    margin: Annotated[
        str | None, typer.Option("--margin", help="Margin regime; the scenario's own if left out.")
    ] = None,
    assignments: Assignments = None,
    plugin: Plugins = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Map dealers' gamma, liquidations, stops and depth by price, and the gain of their feedback."""
    from experiments.feedback.command import command

    if at_step is not None and not at_step.isdecimal():
        raise ConfigError.of("--at-step", at_step, "a whole number of at least 0")
    command(
        scenario, seed=parse_seed(seed), at_step=None if at_step is None else int(at_step), at_event=at_event,
        contract=contract, populations=None if populations is None else tuple(populations.split(",")),
        width=_share("--width", width), step=None if band is None else whole("--band", band),
        smooth=_share("--smooth", smooth), margin=margin, assignments=assignments or [], plugins=plugin or [],
        out=out, as_json=as_json,
    )  # fmt: skip
