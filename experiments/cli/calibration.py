"""Calibration by the method of simulated moments, and the series it takes."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.cli.app import app
from experiments.cli.options import AsJson, Assignments, Jobs, Out, Plugins, ScenarioName, whole, workers
from experiments.seeds import parse_seeds
from sim.errors import ConfigError


@app.command()
def calibrate(
    scenario: ScenarioName,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="FILE", help="File of bars, trades or quotes; arch:sp500, arch:nasdaq."),
    ] = None,
    free: Annotated[
        list[str] | None,
        typer.Option(
            "--free",
            metavar="KEY=LOW:HIGH[:log]",
            help="A key of the scenario that is fitted; repeatable. KEY+KEY ties.",
        ),
    ] = None,
    moments: Annotated[
        str, typer.Option("--moments", help="Moments by commas, or franke-westerhoff, volatility, intraday.")
    ] = "volatility",
    seeds: Annotated[str, typer.Option("--seeds", help="Seeds run at every point: 8, 100:108, 1,2,3.")] = "8",
    budget: Annotated[str, typer.Option("--budget", help="Most points of the search.")] = "200",
    bars: Annotated[
        str | None, typer.Option("--bars", help="Bars of each simulated run; as many as the data have if left out.")
    ] = None,
    bar: Annotated[
        str | None,
        typer.Option("--bar", metavar="SECONDS", help="Bar length; the file's own (trades: 60) if left out."),
    ] = None,
    price: Annotated[str, typer.Option("--price", help="Simulated price: last, mid or mark.")] = "last",
    contract: Annotated[
        str | None, typer.Option("--contract", help="Simulated contract; the first if left out.")
    ] = None,
    column: Annotated[str | None, typer.Option("--column", help="Price column of a plain file.")] = None,
    date_format: Annotated[str | None, typer.Option("--date-format", help="Of a plain file's dates.")] = None,
    form: Annotated[str, typer.Option("--format", help="Format of the file.")] = "auto",
    start: Annotated[str | None, typer.Option("--start", help="First date or time of the data to use.")] = None,
    end: Annotated[str | None, typer.Option("--end", help="Last one.")] = None,
    weighting: Annotated[str, typer.Option("--weighting", help="full or diagonal.")] = "full",
    block: Annotated[
        str | None, typer.Option("--block", help="Mean block of the bootstrap, bars; chosen from the data if left out.")
    ] = None,
    replications: Annotated[str, typer.Option("--replications", help="Bootstrap series.")] = "1000",
    global_method: Annotated[
        str, typer.Option("--global", help="sobol, differential-evolution, dual-annealing or none.")
    ] = "sobol",
    local_method: Annotated[str, typer.Option("--local", help="nelder-mead, powell, cobyqa or none.")] = "nelder-mead",
    step: Annotated[
        str, typer.Option("--step", help="Half-width of differences, as a share of the bounds' distance.")
    ] = "0.05",
    slices: Annotated[str, typer.Option("--slices", help="Points of each slice; 0 for none.")] = "9",
    error_seeds: Annotated[
        str, typer.Option("--error-seeds", help="Further runs at the estimate that give errors; 0: the bootstrap does.")
    ] = "0",
    recover: Annotated[
        str | None,
        typer.Option("--recover", metavar="N", help="Fit N series simulated at the scenario's own values instead."),
    ] = None,
    data_seeds: Annotated[str, typer.Option("--data-seeds", help="First seed of those series.")] = "1000",
    assignments: Assignments = None,
    plugin: Plugins = None,
    jobs: Jobs = "1",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Fit parameters of a scenario to data by the method of simulated moments."""
    from experiments.calibration import command

    command.calibrate(
        command.Options(
            scenario=scenario, data=data, free=tuple(free or ()), moments=moments, seeds=tuple(parse_seeds(seeds)),
            budget=whole("--budget", budget), bars=None if bars is None else whole("--bars", bars),
            bar_seconds=None if bar is None else _number("--bar", bar), price=price, contract=contract, column=column,
            date_format=date_format, form=form, start=start, end=end, weighting=weighting,
            block=None if block is None else whole("--block", block),
            replications=whole("--replications", replications), global_method=global_method,
            local_method=local_method, step=_number("--step", step), slices=_count("--slices", slices),
            error_seeds=_count("--error-seeds", error_seeds),
            recover=None if recover is None else whole("--recover", recover),
            data_seeds=_count("--data-seeds", data_seeds), assignments=tuple(assignments or ()),
            plugins=tuple(plugin or ()),
        ),
        jobs=workers(jobs), out=out, as_json=as_json,
    )  # fmt: skip


def _number(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1e9:
        raise ConfigError.of(key, text, "a number above 0")
    return value


def _count(key: str, text: str) -> int:
    if not text.strip().isdecimal():
        raise ConfigError.of(key, text, "a whole number, not negative")
    return int(text)
