"""Impact of metaorders on paired seeds, and published laws of impact."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.cli.app import app
from experiments.cli.options import (
    AsJson,
    Assignments,
    Jobs,
    Name,
    Out,
    Plugins,
    ScenarioName,
    Seeds,
    numbers,
    whole,
    workers,
)
from experiments.seeds import parse_seeds
from sim.errors import ConfigError


@app.command()
def impact(
    scenario: ScenarioName,
    sizes: Annotated[
        str, typer.Option("--sizes", help="Shares of daily volume, by commas, .0005 to .2.")
    ] = "0.002,0.005,0.01,0.02,0.05,0.1",
    participation: Annotated[
        str | None,
        typer.Option("--participation", help="Pace over mean volume, the same for every size; 0.2 if left out."),
    ] = None,
    duration: Annotated[
        str | None, typer.Option("--duration", metavar="STEPS", help="In its place: the same time for every size.")
    ] = None,
    side: Annotated[str, typer.Option("--side", help="both, buy or sell.")] = "both",
    at_step: Annotated[
        str | None, typer.Option("--at-step", help="Start; the scenario's measure.event or burn-in if left out.")
    ] = None,
    liquidations: Annotated[
        str, typer.Option("--liquidations", help="own (the scenario's), on, off, or compare from one state.")
    ] = "own",
    r0: Annotated[str | None, typer.Option("--r0", help="Scale the seeded open interest to this R0.")] = None,
    relaxation: Annotated[
        str, typer.Option("--relaxation", help="Time watched after the end, in durations of the metaorder.")
    ] = "2",
    contract: Annotated[str | None, typer.Option("--contract", help="Name; the first if left out.")] = None,
    resamples: Annotated[str, typer.Option("--resamples", help="Of the bootstrap over seeds.")] = "1999",
    mechanisms: Annotated[
        bool, typer.Option("--mechanisms", help="From one state: none, dealers' hedging, liquidations, and both.")
    ] = False,
    margin: Annotated[
        str | None, typer.Option("--margin", help="With --mechanisms: regimes, by commas; the scenario's if left out.")
    ] = None,
    gamma: Annotated[
        str | None, typer.Option("--gamma", help="With --mechanisms: gamma_per_depth of the seeded options, by commas.")
    ] = None,
    seeds: Seeds = None,
    assignments: Assignments = None,
    plugin: Plugins = None,
    jobs: Jobs = "1",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Measure what metaorders do to the price, against twins without them."""
    from experiments.impact import command

    if participation is not None and duration is not None:
        raise ConfigError.of("--duration", duration, "--participation or --duration, not both")
    if at_step is not None and not at_step.isdecimal():
        raise ConfigError.of("--at-step", at_step, "a whole number of steps")
    if not mechanisms:
        for key, given in (("--margin", margin), ("--gamma", gamma)):
            if given is not None:
                raise ConfigError.of(key, given, "nothing without --mechanisms")
    command.impact(
        scenario, parse_seeds(seeds if seeds is not None else "40"), sizes=numbers("--sizes", sizes),
        participation=command.number("--participation", participation if participation is not None else "0.2"),
        duration=None if duration is None else whole("--duration", duration), sides=side,
        at_step=None if at_step is None else int(at_step), liquidations=liquidations,
        r0=None if r0 is None else command.number("--r0", r0), relaxation=command.number("--relaxation", relaxation),
        contract=contract, resamples=whole("--resamples", resamples), assignments=assignments or [],
        plugins=plugin or [], jobs=workers(jobs), out=out, as_json=as_json, mechanisms=mechanisms, margin=margin,
        gamma=None if gamma is None else [command.number("--gamma", part) for part in gamma.split(",")],
    )  # fmt: skip


@app.command(name="impact-laws")
def impact_laws(
    name: Name = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="INPUT=VALUES", help="An input, several values by commas; repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List published laws of market impact, or calculate one: Almgren 2005, square root, critical leverage, ..."""
    from experiments.impact import command

    command.laws(name, inputs or [], as_json=as_json)
