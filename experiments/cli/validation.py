"""``marginlab validate``: does the market show what a believable market shows?"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from experiments.cli.app import app
from experiments.cli.options import AsJson, Assignments, Jobs, Out, Plugins, print_json, workers
from experiments.seeds import LARGEST
from sim.errors import ConfigError

_NOT_MET = 1
_SPAN = 100_000  # more seeds than any check needs


@app.command()
def validate(
    quick: Annotated[bool, typer.Option("--quick", help="Few seeds: minutes in place of an hour.")] = False,
    bands: Annotated[
        str | None, typer.Option("--bands", metavar="NAMES", help="Only these bands, groups or checks, by commas.")
    ] = None,
    scenario: Annotated[
        str | None, typer.Option("--scenario", help="Your market of ordinary trading: a built-in name, or a TOML file.")
    ] = None,
    shock: Annotated[
        str | None,
        typer.Option("--shock", help="Your market with seeded open interest and a shock: a built-in name, or a file."),
    ] = None,
    seeds_from: Annotated[
        str, typer.Option("--seeds-from", metavar="SEED", help="Every check uses this seed and those after it.")
    ] = "0",
    listing: Annotated[bool, typer.Option("--list", help="Show the bands and run nothing.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 also when a band is missed.")] = False,
    assignments: Assignments = None,
    plugin: Plugins = None,
    jobs: Jobs = "2",
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Validate the market against acceptance bands."""
    from experiments.validation import checks
    from experiments.validation.run import Validation
    from experiments.validation.run import validate as carry_out

    validation = Validation(
        checks.registered(), scenario, shock, quick, _names(bands), _first(seeds_from), tuple(assignments or ()),
        tuple(plugin or ()),
    )  # fmt: skip
    used = workers(jobs)
    validation.validate()
    if listing:
        _list(validation, as_json)
        return
    from experiments.store import OutputFolder
    from experiments.validation.progress import showing

    folder = OutputFolder(out, validation.job()) if out is not None else None
    with showing(validation, used) as listener:
        result = carry_out(validation, workers=used, folder=folder, listener=listener)
    if folder is not None:
        from experiments import reporting

        reporting.write(folder.path)
    if as_json:
        print_json(result)
    else:
        from experiments.validation.table import lines

        for line in lines(result):
            print(line)
        if out is not None:
            print(f"Results: {out}")
    for check, error in result["errors"].items():
        print(f"marginlab: the check {check} failed: {error}", file=sys.stderr)
    if result["verdicts"]["error"] or (strict and result["verdicts"]["miss"]):
        raise typer.Exit(_NOT_MET)


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(dict.fromkeys(part.strip() for part in text.split(",")))


def _first(text: str) -> int:
    if not text.isdecimal() or int(text) > LARGEST - _SPAN:
        raise ConfigError.of("--seeds-from", text, f"a whole number from 0 to {LARGEST - _SPAN}")
    return int(text)


def _list(validation: object, as_json: bool) -> None:
    from experiments.store import plain
    from experiments.validation.run import Validation
    from experiments.validation.table import listing

    assert isinstance(validation, Validation)
    bands = [band for found in validation.selected().values() for band in found]
    if as_json:
        print_json(plain([vars(band) for band in bands]))
        return
    for line in listing(bands, validation.quick):
        print(line)
