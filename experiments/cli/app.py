"""The application that every module of this package adds its commands to."""

from __future__ import annotations

import typer

app = typer.Typer(
    name="marginlab",
    help="A laboratory for margin rules: run a market, compare regimes on paired seeds, measure cascades.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
