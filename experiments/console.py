"""What commands share on the terminal: scenarios loaded with their plug-ins, a progress bar, where results are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from experiments import engines, scenario
from experiments.cli.options import print_json
from experiments.scenario import Scenario


def load(source: str, assignments: Sequence[str] = (), plugins: Sequence[str] = ()) -> Scenario:
    """A scenario, its plug-ins loaded first."""
    load_plugins(plugins)
    return scenario.load(source, assignments)


def load_plugins(plugins: Sequence[str]) -> None:
    """Load users' files with rules or traders."""
    if plugins:
        import margin

        for path in plugins:
            margin.load_plugin(path)


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error: units done, and within a unit the steps of a run in this process."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        units = bar.add_task(f"{title}: preparing", total=None)
        steps = bar.add_task("steps", total=None, visible=False)

        def on_done(done: int, total: int) -> None:
            bar.update(units, description=title, completed=done, total=total)

        def on_steps(done: int, total: int) -> None:
            bar.update(steps, completed=done, total=total, visible=True)

        with engines.listening(on_steps):
            yield on_done


def say_where(out: str | None) -> None:
    """Print where the report or the results are."""
    if out is not None:
        page = Path(out) / "report.html"
        print(f"Report: {page}" if page.is_file() else f"Results: {out}")


def print_listing(known: Mapping[str, str], as_json: bool) -> None:
    """Names and a line each."""
    if as_json:
        print_json(dict(known))
        return
    width = max((len(name) for name in known), default=0)
    for name, line in known.items():
        print(f"{name:<{width}}  {line}")
