"""Stylised facts of simulated and of real series."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.cli.app import app
from experiments.cli.options import AsJson, Assignments, Check, Jobs, Out, Plugins, Seeds, workers
from experiments.seeds import parse_seeds
from sim.errors import ConfigError


@app.command(name="stylized-facts")
def stylized_facts(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SCENARIO|PRICES",
            help="Scenario; or a file of bars, trades or quotes; arch:sp500, arch:nasdaq.",
        ),
    ],
    seeds: Seeds = None,
    days: Annotated[str | None, typer.Option("--days", help="Days measured after the burn-in of a scenario.")] = None,
    contract: Annotated[str | None, typer.Option("--contract", help="Of a scenario; the first if left out.")] = None,
    column: Annotated[str | None, typer.Option("--column", help="Price column of a file.")] = None,
    date_format: Annotated[
        str | None, typer.Option("--date-format", help="Of a file, such as %m/%d/%Y; ISO if left out.")
    ] = None,
    bar: Annotated[
        str | None, typer.Option("--bar", metavar="SECONDS", help="Step for trades and quotes; 60 if left out.")
    ] = None,
    assignments: Assignments = None,
    plugin: Plugins = None,
    check: Check = False,
    jobs: Jobs = "1",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Set a market beside what is known of real ones: spread, memory, tails, volatility, order flow."""
    from experiments.facts import command
    from experiments.facts.series import is_series

    count = workers(jobs)
    if is_series(source):
        given = {"--seeds": seeds, "--days": days, "--contract": contract, "--set": assignments, "--plugin": plugin}
        command.only_for("a file", given)
        command.real(
            source, column=column, date_format=date_format, bar_seconds=_positive("--bar", bar), out=out,
            as_json=as_json,
        )  # fmt: skip
        return
    command.only_for("a scenario", {"--column": column, "--date-format": date_format, "--bar": bar})
    command.simulated(
        source, parse_seeds(seeds if seeds is not None else "16"), days=_positive("--days", days), contract=contract,
        assignments=assignments or [], plugins=plugin or [], check=check, jobs=count, out=out, as_json=as_json,
    )  # fmt: skip


def _positive(key: str, text: str | None) -> float | None:
    """A number above zero, or None where the option was left out."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1e9:
        raise ConfigError.of(key, text, "a number above 0")
    return value
