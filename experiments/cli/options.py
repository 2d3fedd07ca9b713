"""Options that several commands share, and how their texts become values."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from sim.errors import ConfigError

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


def workers(text: str) -> int:
    """The value of ``--jobs``."""
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise ConfigError.of("--jobs", text, "a whole number from 1 to 1024")
    return int(text)


def whole(key: str, text: str) -> int:
    """A whole number above zero."""
    if not text.strip().isdecimal() or int(text) < 1:
        raise ConfigError.of(key, text, "a whole number above 0")
    return int(text)


def numbers(key: str, text: str, *, zero: bool = False) -> tuple[float, ...]:
    """Numbers between 0 and 100 (0 itself where ``zero``), by commas."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or any(not (0 < value < 100 or (zero and value == 0)) for value in found):
        least = "of at least" if zero else "above"
        raise ConfigError.of(key, text, f"numbers {least} 0 separated by commas, for example 0.2,1.1,1.65")
    return found


def print_json(result: Any) -> None:
    """The one thing that ``--json`` writes to standard output."""
    print(json.dumps(result, ensure_ascii=False, allow_nan=False))
