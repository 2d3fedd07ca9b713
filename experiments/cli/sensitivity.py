"""Commands that ask which parameters matter, and how many seeds a result needs."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.cli.app import app
from experiments.cli.options import AsJson, Assignments, Jobs, Out, Plugins, ScenarioName, Seeds, whole, workers
from experiments.seeds import parse_seeds
from sim.errors import ConfigError

Outcomes = Annotated[
    list[str] | None, typer.Option("--outcome", metavar="NAMES", help="Measures, by commas or repeated.")
]
Retry = Annotated[bool, typer.Option("--retry-failed", help="Run units again that failed before.")]


@app.command()
def sensitivity(
    scenario: ScenarioName,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEY=LOW:HIGH", help="What varies; :log or :integer behind it; repeatable."),
    ] = None,
    method: Annotated[str, typer.Option("--method", help="morris (screening) or sobol (variance).")] = "morris",
    samples: Annotated[
        str | None, typer.Option("--samples", help="Trajectories of Morris (20), base points of Sobol (64).")
    ] = None,
    second_order: Annotated[bool, typer.Option("--second-order", help="Sobol indices of pairs of keys too.")] = False,
    design_seed: Annotated[str, typer.Option("--design-seed", help="Seed of the sample of points.")] = "0",
    outcome: Outcomes = None,
    regimes: Annotated[
        str | None, typer.Option("--regimes", help="By commas: differences of the others from the first are analysed.")
    ] = None,
    fork_at: Annotated[
        str | None, typer.Option("--fork-at", metavar="EVENT", help="Regimes share one history to this event.")
    ] = None,
    seeds: Seeds = None,
    assignments: Assignments = None,
    plugin: Plugins = None,
    jobs: Jobs = "1",
    out: Out = None,
    retry_failed: Retry = False,
    as_json: AsJson = False,
) -> None:
    """Measure which keys of a scenario decide an outcome; 10 seeds by default, the same at every point."""
    if method not in ("morris", "sobol"):
        raise ConfigError.of("--method", method, "morris or sobol")
    if not design_seed.isdecimal():
        raise ConfigError.of("--design-seed", design_seed, "a whole number, not negative")
    from experiments.sensitivity import command
    from experiments.sensitivity.design import Design, parse_ranges

    size = whole("--samples", samples) if samples is not None else (20 if method == "morris" else 64)
    design = Design(method, parse_ranges(key or []), size, second_order, int(design_seed))  # type: ignore[arg-type]
    question = command.Question(
        scenario, design, names(outcome or []) or command.OUTCOMES, parse_seeds(seeds if seeds is not None else "10"),
        names([regimes] if regimes else []), fork_at, tuple(assignments or ()), tuple(plugin or ()),
    )  # fmt: skip
    status = command.command(question, jobs=workers(jobs), out=out, retry_failed=retry_failed, as_json=as_json)
    if status:
        raise typer.Exit(status)


@app.command()
def power(
    design: Annotated[
        str,
        typer.Argument(metavar="[DESIGN]", help="forked-margin (or forked-margin:SCENARIO), a study, or a scenario."),
    ] = "forked-margin",
    pairs: Annotated[str, typer.Option("--pairs", help="Seeds of a batch.")] = "60",
    regimes: Annotated[
        str | None, typer.Option("--regimes", help="Of a scenario: by commas, the baseline first.")
    ] = None,
    fork_at: Annotated[
        str | None, typer.Option("--fork-at", metavar="EVENT", help="Of a scenario: share one history to this event.")
    ] = None,
    outcome: Outcomes = None,
    level: Annotated[str, typer.Option("--level", help="Of the tests, between 0 and 0.5.")] = "0.05",
    seeds: Seeds = None,
    assignments: Assignments = None,
    plugin: Plugins = None,
    jobs: Jobs = "1",
    out: Out = None,
    retry_failed: Retry = False,
    as_json: AsJson = False,
) -> None:
    """Measure how often a design detects its effects, by batches of seeds that share none; 20 batches by default."""
    from experiments.power import command

    size = whole("--pairs", pairs)
    status = command.command(
        design, seeds=parse_seeds(seeds if seeds is not None else str(20 * size)), pairs=size, level=_level(level),
        regimes=names([regimes] if regimes else []), fork_at=fork_at, outcomes=names(outcome or []),
        assignments=assignments or [], plugins=plugin or [], jobs=workers(jobs), out=out, retry_failed=retry_failed,
        as_json=as_json,
    )  # fmt: skip
    if status:
        raise typer.Exit(status)


def names(texts: list[str]) -> tuple[str, ...]:
    """Names by commas or repeated, each once."""
    return tuple(dict.fromkeys(part.strip() for text in texts for part in text.split(",") if part.strip()))


def _level(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0.0 < found < 0.5:
        raise ConfigError.of("--level", text, "a number above 0 and below 0.5")
    return found
