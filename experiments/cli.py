"""The command ``marginlab``.

Imports of anything heavy stand inside the commands, so that ``marginlab --help`` answers at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from experiments.seeds import parse_seed, parse_seeds
from sim.errors import ConfigError, InstallationError, MarginLabError

INTERRUPTED = 130  # as a shell reports a command that Ctrl-C ended

app = typer.Typer(
    name="marginlab",
    help="A laboratory for margin rules: run a market, compare regimes on paired seeds, measure cascades.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

ScenarioName = Annotated[str, typer.Argument(metavar="SCENARIO", help="Built-in name, or a TOML file.")]
Seeds = Annotated[str | None, typer.Option("--seeds", help="30 (0 to 29), a range 50000:50080, or a list 1,2,3.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change the scenario by a dotted key; repeatable."),
]
Plugins = Annotated[
    list[str] | None, typer.Option("--plugin", metavar="FILE", help="Load a Python file with rules or traders first.")
]
Out = Annotated[str | None, typer.Option("--out", metavar="DIR", help="Keep results in a new or empty folder.")]
Jobs = Annotated[str, typer.Option("--jobs", help="Worker processes.")]
Check = Annotated[bool, typer.Option("--check", help="Verify every invariant at every step.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output, nothing else.")]
Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Show this one in full.")]


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
        jobs=_workers(jobs), out=out, as_json=as_json,
    )  # fmt: skip


@app.command()
def compare(
    scenario: ScenarioName,
    margin: Annotated[
        str | None, typer.Option("--margin", help="Regimes, by commas; default static,dynamic,portfolio,isolated.")
    ] = None,
    fork_at: Annotated[
        str | None, typer.Option("--fork-at", metavar="EVENT", help="Share one history to this event, then fork.")
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
        scenario, parse_seeds(seeds if seeds is not None else "30"), margin=margin, fork_at=fork_at,
        assignments=assignments or [], plugins=plugin or [], check=check, jobs=_workers(jobs), out=out, as_json=as_json,
    )  # fmt: skip


@app.command()
def cascade(
    scenario: ScenarioName,
    r0: Annotated[str, typer.Option("--r0", help="Values of R0 to aim at, by commas.")] = "0.2,1.1,1.65",
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
    """Measure how much liquidations deepen a fall."""
    from experiments import commands

    commands.cascade(
        scenario, parse_seeds(seeds if seeds is not None else "80"), targets=_numbers("--r0", r0), event=event,
        assignments=assignments or [], plugins=plugin or [], check=check, jobs=_workers(jobs), out=out, as_json=as_json,
    )  # fmt: skip


@app.command(name="flat-book")
def flat_book(
    gain: Annotated[
        str, typer.Option("--gain", help="Liquidated lots per tick over bid lots per tick, by commas.")
    ] = "0.2,0.5,0.8,1.2",
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

    commands.flat_book(
        gain=_numbers("--gain", gain), accounts=_whole("--accounts", accounts), depth=_whole("--depth", depth),
        sale=tuple(_whole("--sale", part) for part in sale.split(",")), mark=mark, policy=policy, out=out,
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
        jobs=_workers(jobs), out=out, as_json=as_json,
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
        name, chosen, assignments=assignments or [], check=check, jobs=_workers(jobs), out=out, as_json=as_json
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
    what: Annotated[str, typer.Argument(metavar="[WHAT]", help="scenario or portfolio.")] = "scenario",
    plugin: Plugins = None,
) -> None:
    """Print the JSON schema of scenario or portfolio files, for editors."""
    from experiments import commands

    commands.schema(what, plugins=plugin or [])


@app.command()
def report(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Output folder of a finished run or comparison.")],
) -> None:
    """Make the figures and the page of an output folder again."""
    from experiments import commands

    commands.report(folder)


def main(arguments: list[str] | None = None) -> None:
    """Run the command; errors of ours become lines on standard error and an exit code.

    Args:
        arguments: in place of the command line's.
    """
    sys.exit(_status(lambda: app(arguments, standalone_mode=False)))


def _status(command: Callable[[], Any]) -> int:
    try:
        check_installation()
        code = command()
    except ConfigError as error:
        for problem in error.problems:
            print(f"marginlab: {problem}", file=sys.stderr)
        return error.exit_code
    except MarginLabError as error:
        print(f"marginlab: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("marginlab: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe has gone: nothing is left to say
        return 0
    except OSError as error:
        print(f"marginlab: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except Exception as error:
        if not hasattr(error, "format_message"):  # not a complaint of the option parser
            raise
        text = error.format_message()
        hint = "" if "\n" in text else " (marginlab --help)"
        print(text if "\n" in text else f"marginlab: {text}{hint}", file=sys.stderr)
        return 2
    if code == INTERRUPTED:  # the option parser turned Ctrl-C into an exit code
        print("marginlab: interrupted", file=sys.stderr)
    return code if isinstance(code, int) else 0


def check_installation() -> None:
    """The four packages must come from one installation.

    Their names are common words: a folder of the same name on the path would be imported in their place.

    Raises:
        InstallationError: naming the folder that shadows one.
    """
    from importlib.util import find_spec

    home = Path(__file__).resolve().parents[1]
    for room in ("sim", "agents", "margin", "experiments"):
        spec = find_spec(room)
        places = list(spec.submodule_search_locations or []) if spec is not None else []
        if not places or Path(places[0]).resolve() != home / room:
            found = places[0] if places else "nowhere"
            raise InstallationError(
                f"the package {room!r} is imported from {found}, not from this installation ({home}); "
                "run marginlab from another folder, or remove that folder from PYTHONPATH"
            )


def _workers(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise ConfigError.of("--jobs", text, "a whole number from 1 to 1024")
    return int(text)


def _whole(key: str, text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise ConfigError.of(key, text, "a whole number above 0")
    return int(text)


def _numbers(key: str, text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or any(not 0 < value < 100 for value in found):
        raise ConfigError.of(key, text, "numbers above 0 separated by commas, for example 0.2,1.1,1.65")
    return found


def print_json(result: Any) -> None:
    """The one thing that ``--json`` writes to standard output."""
    print(json.dumps(result, ensure_ascii=False, allow_nan=False))


if __name__ == "__main__":
    main()
