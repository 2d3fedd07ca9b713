"""Commands that run markets: single runs, comparisons, studies, replications, backtests."""

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
    whole,
    workers,
)
from experiments.seeds import parse_seed, parse_seeds
from sim.errors import ConfigError


@app.command()
def run(
    scenario: ScenarioName,
    seed: Annotated[str, typer.Option("--seed", help="Seed of a single run.")] = "0",
    seeds: Seeds = None,
    margin: Annotated[
        str | None, typer.Option("--margin", help="Margin regime; the scenario's own if left out.")
    ] = None,
    assignments: Assignments = None,
    plugin: Plugins = None,
    check: Check = False,
    jobs: Jobs = "1",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Run a scenario under one margin regime."""
    from experiments import commands

    chosen = parse_seeds(seeds) if seeds is not None else (parse_seed(seed),)
    commands.run(
        scenario, chosen, margin=margin, assignments=assignments or [], plugins=plugin or [], check=check,
        jobs=workers(jobs), out=out, as_json=as_json,
    )  # fmt: skip


@app.command()
def compare(
    scenario: ScenarioName,
    margin: Annotated[
        str | None, typer.Option("--margin", help="Regimes, by commas; default static,dynamic,portfolio,isolated.")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="REGIME", help="Compared with; the scenario's own, or the first."),
    ] = None,
    fork_at: Annotated[
        str | None, typer.Option("--fork-at", metavar="EVENT", help="Share one history to this event, then fork.")
    ] = None,
    equal_cost: Annotated[
        str | None,
        typer.Option(
            "--equal-cost",
            metavar="MEASURE",
            help="Scale each regime to the baseline's mean_margin, requirement, coverage or open_interest; or =VALUE.",
        ),
    ] = None,
    pilot: Annotated[
        str | None, typer.Option("--pilot", metavar="SEEDS", help="Seeds that find the factors of --equal-cost.")
    ] = None,
    seeds: Seeds = None,
    assignments: Assignments = None,
    plugin: Plugins = None,
    check: Check = False,
    jobs: Jobs = "1",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Compare margin regimes on the same seeds."""
    from experiments import commands

    commands.compare(
        scenario, parse_seeds(seeds if seeds is not None else "30"), margin=margin, baseline=baseline,
        fork_at=fork_at, assignments=assignments or [], plugins=plugin or [], check=check, jobs=workers(jobs), out=out,
        as_json=as_json, equal_cost=equal_cost, pilot=None if pilot is None else parse_seeds(pilot),
    )  # fmt: skip


@app.command(name="flat-book")
def flat_book(
    gain: Annotated[
        str | None,
        typer.Option(
            "--gain", help="Liquidated lots per tick over bid lots per tick, by commas; 0.2,0.5,0.8,1.2 if left out."
        ),
    ] = None,
    gamma_gain: Annotated[
        str | None,
        typer.Option(
            "--gamma-gain",
            help="Lots per tick that hedging dealers sell into a fall over bid lots per tick, by commas; every one is "
            "combined with every --gain, and with no liquidations where that is left out.",
        ),
    ] = None,
    accounts: Annotated[str, typer.Option("--accounts", help="Leveraged longs below the book.")] = "2000",
    depth: Annotated[str, typer.Option("--depth", metavar="LOTS", help="Bid lots per tick.")] = "240",
    sale: Annotated[
        str, typer.Option("--sale", metavar="TICKS", help="Exogenous sales, in ticks that they sweep, by commas.")
    ] = "200",
    mark: Annotated[str, typer.Option("--mark", help="Rule of the mark: last, mid, ema, ...")] = "last",
    policy: Annotated[str, typer.Option("--policy", help="Liquidation policy.")] = "full",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Check the exchange against a law: on a flat book a fall is amplified by 1 / (1 - g)."""
    from experiments import commands

    if gain is None:
        gain = "0.2,0.5,0.8,1.2" if gamma_gain is None else "0"
    commands.flat_book(
        gain=numbers("--gain", gain, zero=gamma_gain is not None),
        gamma_gain=(0.0,) if gamma_gain is None else numbers("--gamma-gain", gamma_gain, zero=True),
        accounts=whole("--accounts", accounts), depth=whole("--depth", depth),
        sale=tuple(whole("--sale", part) for part in sale.split(",")), mark=mark, policy=policy, out=out,
        as_json=as_json,
    )  # fmt: skip


@app.command()
def venues(
    scenario: ScenarioName,
    policies: Annotated[
        str | None, typer.Option("--policies", help="Liquidation policies, by commas; all if left out.")
    ] = None,
    marks: Annotated[
        str | None, typer.Option("--marks", help="Mark rules, by commas; mid,ema,index_median if left out.")
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option("--arm", metavar="ARM", help='A design "label: clearing.key=value, ..."; repeatable.'),
    ] = None,
    event: Annotated[
        str | None, typer.Option("--event", help="The event; the scenario's measure.event if left out.")
    ] = None,
    fork_lead: Annotated[str, typer.Option("--fork-lead", help="Steps from the fork to the event.")] = "30",
    seeds: Seeds = None,
    assignments: Assignments = None,
    plugin: Plugins = None,
    check: Check = False,
    jobs: Jobs = "1",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Compare designs of the venue: policies times marks, or arms of your own, forked before the event."""
    from experiments import commands

    if not fork_lead.isdecimal():
        raise ConfigError.of("--fork-lead", fork_lead, "a whole number of steps, not negative")
    commands.venues(
        scenario, parse_seeds(seeds if seeds is not None else "30"), policies=policies, marks=marks, arms=arm or [],
        event=event, lead=int(fork_lead), assignments=assignments or [], plugins=plugin or [], check=check,
        jobs=workers(jobs), out=out, as_json=as_json,
    )  # fmt: skip


@app.command()
def replicate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which one; october-2025.")],
    seeds: Seeds = None,
    assignments: Assignments = None,
    check: Check = False,
    jobs: Jobs = "1",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Set a scenario beside what was published about a real event."""
    from experiments import commands

    chosen = parse_seeds(seeds) if seeds is not None else None
    commands.replicate(
        name, chosen, assignments=assignments or [], check=check, jobs=workers(jobs), out=out, as_json=as_json
    )


@app.command()
def backtest(
    prices: Annotated[
        str, typer.Argument(metavar="PRICES", help="CSV or Parquet file with a date column; arch:sp500, arch:nasdaq.")
    ],
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="Rate models, by commas or repeated; all; such as fhs:0.97/500+floor."),
    ] = None,
    overlay: Annotated[
        list[str] | None,
        typer.Option("--overlay", help="Tools put on every model: stress, buffer, floor, speed, cap=RATE; all."),
    ] = None,
    decay: Annotated[str, typer.Option("--lambda", help="Of an EWMA, where a model names none.")] = "0.97",
    window: Annotated[str, typer.Option("--window", help="Returns in a sample, where a model names none.")] = "500",
    confidence: Annotated[str, typer.Option("--confidence", help="Between 0.5 and 1.")] = "0.99",
    horizon: Annotated[str, typer.Option("--horizon", help="Margin period of risk in days, such as 2d.")] = "1d",
    scaling: Annotated[
        str, typer.Option("--scaling", help="From a day to the horizon: sqrt, linear (liquidation), overlapping.")
    ] = "sqrt",
    side: Annotated[str, typer.Option("--side", help="Of the position: long, short, both.")] = "long",
    start: Annotated[str | None, typer.Option("--start", help="First date; default once every model is ready.")] = None,
    end: Annotated[str | None, typer.Option("--end", help="Last date.")] = None,
    column: Annotated[str, typer.Option("--column", help="Price column.")] = "close",
    date_format: Annotated[str | None, typer.Option("--date-format", help="Such as %m/%d/%Y; default ISO.")] = None,
    refit: Annotated[
        str, typer.Option("--refit", help="Returns between fits of a GARCH on all returns so far; 0: fitted once.")
    ] = "0",
    lookback: Annotated[str, typer.Option("--lookback", help="Returns that the tools' ten years stand for.")] = "2500",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Backtest margin models on a price series."""
    from experiments import backtests

    backtests.command(
        prices, model or ["ewma"], overlay or [], decay=decay, window=window, confidence=confidence, horizon=horizon,
        scaling=scaling, side=side, start=start, end=end, column=column, date_format=date_format, refit=refit,
        lookback=lookback, out=out, as_json=as_json,
    )  # fmt: skip


@app.command()
def margin(
    portfolio: Annotated[str, typer.Argument(metavar="PORTFOLIO", help="A portfolio file (TOML).")],
    regime: Annotated[str | None, typer.Option("--regime", help="Margin regime; the file's own if left out.")] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the regime, or a key of the file; repeatable."),
    ] = None,
    plugin: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Calculate what a portfolio must hold, part by part, and where it would be liquidated."""
    from experiments import commands

    commands.margin(portfolio, regime, assignments=assignments or [], plugins=plugin or [], as_json=as_json)
