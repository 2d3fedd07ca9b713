"""The command that asks an output folder."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.cli.app import app
from experiments.cli.options import AsJson, print_json
from sim.errors import ConfigError


@app.command()
def query(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="A folder that a command wrote with --out.")],
    sql: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SQL]", help="DuckDB's SQL over its tables; left out: what tables it has."),
    ] = None,
    find: Annotated[
        list[str] | None,
        typer.Option(
            "--find",
            metavar="KEY=VALUE",
            help="Runs of a sweep by their parameters, with commands; several may follow.",
        ),
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="A Markdown table.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask the stored results: SQL over runs, incidence, points, units; or find runs with their commands."""
    if csv + markdown + as_json > 1:
        raise ConfigError.of("--json", "with --csv or --markdown", "one of --json, --csv, --markdown")
    words = sql or []
    if not find and len(words) > 1:
        raise ConfigError.of("SQL", " ".join(words), "one question, in quotes")
    import sys

    from experiments import query as asked

    with asked.Results(folder) as results:
        if find:
            table = results.find([*find, *words])
        elif words:
            table = results.sql(words[0])
        else:
            table = results.listing()
    if as_json:
        print_json(asked.as_json(table))
    else:
        text = asked.as_csv if csv else asked.as_markdown if markdown else asked.as_lines
        sys.stdout.write(text(table))
