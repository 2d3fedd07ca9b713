"""The command that measures how a margin rule moves with the market, and the market with the rule."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.cli.app import app
from experiments.cli.options import AsJson, Assignments, Check, Jobs, Out, Plugins, Seeds, whole, workers
from experiments.seeds import parse_seeds


@app.command()
def procyclicality(
    source: Annotated[
        str, typer.Argument(metavar="SCENARIO|PRICES", help="Scenario; or a CSV of prices, or arch:sp500.")
    ],
    margin: Annotated[
        str | None, typer.Option("--margin", help="Regimes, or on prices backtest models, by commas.")
    ] = None,
    event: Annotated[
        str | None, typer.Option("--event", help="Freeze margins here; measure.event if left out.")
    ] = None,
    horizons: Annotated[
        str | None, typer.Option("--horizons", help="Spans of increases; 1h,1d,5d,30d as they fit, on prices 1,5,30 d.")
    ] = None,
    sample: Annotated[
        str | None, typer.Option("--sample", help="Between looks: 10min; 1d in runs of 20 days and more.")
    ] = None,
    period: Annotated[
        str | None, typer.Option("--period", help="Margin period of risk: 1h; 1d in long runs and on prices.")
    ] = None,
    window: Annotated[
        str | None, typer.Option("--window", help="Of realised volatility: 1h; 20d in long runs and on prices.")
    ] = None,
    factor: Annotated[str, typer.Option("--factor", help="Step of volatility in the response.")] = "2",
    step_for: Annotated[
        str | None, typer.Option("--step-for", help="How long the response is watched: 12h; 60d; on prices 250d.")
    ] = None,
    unit: Annotated[str, typer.Option("--unit", metavar="LOTS", help="Of the portfolio that never changes.")] = "100",
    equal_cost: Annotated[
        bool, typer.Option("--equal-cost", help="Scale every regime to the baseline's mean margin first.")
    ] = False,
    confidence: Annotated[str, typer.Option("--confidence", help="Of the models on prices.")] = "0.99",
    start: Annotated[str | None, typer.Option("--start", metavar="DATE", help="First day judged, on prices.")] = None,
    end: Annotated[str | None, typer.Option("--end", metavar="DATE", help="Last day, on prices.")] = None,
    column: Annotated[str, typer.Option("--column", help="Price column.")] = "close",
    seeds: Seeds = None,
    assignments: Assignments = None,
    plugin: Plugins = None,
    check: Check = False,
    jobs: Jobs = "1",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Measure how margin moves with the market, and the market with margin."""
    from experiments.procyclicality import command

    asked = command.Asked(
        source=source, margin=margin, event=event, horizons=horizons, sample=sample, period=period, window=window,
        factor=factor, step_for=step_for, unit=whole("--unit", unit), equal_cost=equal_cost, confidence=confidence,
        start=start, end=end, column=column, seeds=None if seeds is None else parse_seeds(seeds),
        assignments=tuple(assignments or ()), plugins=tuple(plugin or ()), check=check, jobs=workers(jobs), out=out,
        as_json=as_json,
    )  # fmt: skip
    command.perform(asked)
