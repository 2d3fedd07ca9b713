"""Commands of published models of the order book, solved and simulated."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.cli.app import app
from experiments.cli.options import AsJson, Jobs, Out, Seeds, print_json, whole, workers
from experiments.seeds import parse_seeds
from sim.errors import ConfigError


def _rate(key: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError.of(key, text, "a number") from None


def _rates(key: str, text: str) -> tuple[float, ...]:
    """Numbers by commas."""
    return tuple(_rate(key, part) for part in text.split(","))


def _count(key: str, text: str) -> int:
    if not text.strip().isdecimal():
        raise ConfigError.of(key, text, "a whole number from 0 up")
    return int(text)


@app.command(name="queue-model")
def queue_model(
    limit: Annotated[
        str, typer.Option("--limit", help="Rates of limit orders 1, 2, ... ticks from the opposite best, by commas.")
    ] = "1.85,1.51,1.09,0.88,0.77",
    cancel: Annotated[
        str, typer.Option("--cancel", help="Cancellation rate of each order at those distances.")
    ] = "0.71,0.81,0.68,0.56,0.47",
    market: Annotated[str, typer.Option("--market", help="Rate of market orders, each side.")] = "0.94",
    ask_limit: Annotated[str | None, typer.Option("--ask-limit", help="Of asks, where they differ from bids.")] = None,
    ask_cancel: Annotated[str | None, typer.Option("--ask-cancel", help="Likewise.")] = None,
    ask_market: Annotated[str | None, typer.Option("--ask-market", help="Of market buys, which lift asks.")] = None,
    spread: Annotated[str, typer.Option("--spread", metavar="TICKS", help="Spread at the start.")] = "1",
    bids: Annotated[str, typer.Option("--bids", help="Longest bid queue; rows are 1 to this.")] = "5",
    asks: Annotated[str, typer.Option("--asks", help="Longest ask queue; columns are 1 to this.")] = "5",
    paths: Annotated[str, typer.Option("--paths", help="Simulated paths a cell and seed; 0 solves only.")] = "4000",
    questions: Annotated[
        str, typer.Option("--questions", help="move (is the next move up), bid (is a bid filled first), both.")
    ] = "move,bid,both",
    seeds: Seeds = None,
    jobs: Jobs = "1",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Solve the queue model of Cont, Stoikov and Talreja, and simulate it on the order book."""
    from experiments.console import progress, say_where
    from experiments.replications.queue_model import Rates
    from experiments.replications.queue_paths import QueueModel, lines, measure
    from experiments.store import OutputFolder

    rates = Rates(
        _rates("--limit", limit), _rates("--cancel", cancel), _rate("--market", market),
        None if ask_limit is None else _rates("--ask-limit", ask_limit),
        None if ask_cancel is None else _rates("--ask-cancel", ask_cancel),
        None if ask_market is None else _rate("--ask-market", ask_market),
    )  # fmt: skip
    study = QueueModel(
        rates, whole("--spread", spread), whole("--bids", bids), whole("--asks", asks), _count("--paths", paths),
        parse_seeds(seeds if seeds is not None else "1"), tuple(part.strip() for part in questions.split(",")),
    )  # fmt: skip
    folder = OutputFolder(out, study.job()) if out is not None else None
    with progress("queue model") as on_done:
        result = measure(study, workers=workers(jobs), folder=folder, on_done=on_done)
    if folder is not None:
        from experiments import reporting

        reporting.write(folder.path)
    if as_json:
        print_json(result)
        return
    for line in lines(result):
        print(line)
    say_where(out)


@app.command(name="zero-intelligence")
def zero_intelligence(
    limit: Annotated[
        str, typer.Option("--limit", help="Limit orders per unit of price, side and unit of time, alpha.")
    ] = "1",
    market: Annotated[str, typer.Option("--market", help="Market orders per side and unit of time, m.")] = "1",
    cancel: Annotated[
        str, typer.Option("--cancel", help="Cancellation rates to compare, delta, by commas.")
    ] = "0.02,0.05,0.1,0.2,0.4",
    tick: Annotated[str, typer.Option("--tick", help="Smallest step of price.")] = "0.005",
    duration: Annotated[
        str, typer.Option("--duration", help="Time measured in each history, in market orders a side.")
    ] = "100000",
    burn_in: Annotated[str, typer.Option("--burn-in", help="Time before, in lives of an order, 1 / delta.")] = "10",
    window: Annotated[
        str | None,
        typer.Option(
            "--window", metavar="PRICE", help="How far behind the opposite best orders fall; default some spreads."
        ),
    ] = None,
    seeds: Seeds = None,
    jobs: Jobs = "1",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Measure spread, depth and diffusion of the zero-intelligence model on the order book."""
    from experiments.console import progress, say_where
    from experiments.replications.zero_intelligence import ZeroIntelligence, lines, measure
    from experiments.store import OutputFolder

    study = ZeroIntelligence(
        _rate("--limit", limit), _rate("--market", market), _rates("--cancel", cancel), _rate("--tick", tick),
        _rate("--duration", duration), _rate("--burn-in", burn_in),
        None if window is None else _rate("--window", window), parse_seeds(seeds if seeds is not None else "4"),
    )  # fmt: skip
    folder = OutputFolder(out, study.job()) if out is not None else None
    with progress("zero intelligence") as on_done:
        result = measure(study, workers=workers(jobs), folder=folder, on_done=on_done)
    if folder is not None:
        from experiments import reporting

        reporting.write(folder.path)
    if as_json:
        print_json(result)
        return
    for line in lines(result):
        print(line)
    say_where(out)
