"""The command that measures when liquidations cascade and how much they deepen a fall."""

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
from sim.errors import ConfigError


@app.command()
def cascade(
    scenario: ScenarioName,
    r0: Annotated[str, typer.Option("--r0", help="Values of R0 to aim at, by commas.")] = "0.2,1.1,1.65",
    shock: Annotated[str, typer.Option("--shock", help="Multiples of the scenario's shock, by commas; 0: none.")] = "1",
    leverage: Annotated[
        str | None,
        typer.Option(
            "--leverage", metavar="LOW:HIGH,...", help="Ranges of leverage of the seeded positions; R0 is kept."
        ),
    ] = None,
    critical: Annotated[
        bool, typer.Option("--critical", help="Find the critical R0 at each shock and leverage, seed by seed.")
    ] = False,
    bracket: Annotated[str, typer.Option("--bracket", metavar="LOW:HIGH", help="Where --critical looks.")] = "0.2:8",
    resamples: Annotated[
        str, typer.Option("--resamples", help="Synthetic samples for the p of a power law of sizes; 0: no p.")
    ] = "100",
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
    """Measure when liquidations cascade, how large, and how much they deepen a fall."""
    from experiments import commands
    from experiments.cascades.settings import parse_leverages, parse_multiples, parse_range

    if not resamples.isdecimal() or int(resamples) > 10_000:
        raise ConfigError.of("--resamples", resamples, "a whole number from 0 to 10000")
    low, high = parse_range("--bracket", bracket, 1e-3, 99.0, "0.2:8")
    if low == high:
        raise ConfigError.of("--bracket", bracket, "two different ends")

    commands.cascade(
        scenario, parse_seeds(seeds if seeds is not None else "80"), targets=_different("--r0", r0), event=event,
        shocks=parse_multiples(shock), leverages=parse_leverages(leverage), bracket=(low, high) if critical else None,
        resamples=int(resamples),
        assignments=assignments or [], plugins=plugin or [], check=check, jobs=workers(jobs), out=out, as_json=as_json,
    )  # fmt: skip


def _different(key: str, text: str) -> tuple[float, ...]:
    """Numbers by commas, each once."""
    found = numbers(key, text)
    if len(set(found)) < len(found):
        raise ConfigError.of(key, text, "different numbers")
    return found
