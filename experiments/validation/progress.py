"""What a user sees while a validation runs: a bar on a terminal, a line per check in a log."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from experiments.validation.pace import Pace, in_words
from experiments.validation.run import Listener, Validation
from experiments.validation.table import counted

_CORES = 2  # that the checks' expected seconds are for


class _Lines:
    """A line on standard error when a check ends."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self._done = 0

    def begin(self, check: str) -> None:
        self.pace.begin(check)

    def units(self, done: int, total: int) -> None:
        self.pace.units(done, total)

    def end(self, check: str, verdicts: Sequence[str], *, kept: bool) -> None:
        self.pace.end(kept=kept)
        self._done += 1
        self.say(self.line(check, verdicts, kept=kept))

    def line(self, check: str, verdicts: Sequence[str], *, kept: bool) -> str:
        what = counted({verdict: list(verdicts).count(verdict) for verdict in verdicts})
        total, left = len(self.pace.costs), self.pace.left()
        ahead = f", about {in_words(left)} left" if self._done < total else ""
        return f"{check}: {what}{' (kept)' if kept else ''}; {self._done} of {total} checks{ahead}"

    def say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)


@contextmanager
def showing(validation: Validation, workers: int) -> Iterator[Listener]:
    """Show how a validation goes on.

    Args:
        validation: what is run.
        workers: processes.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    selected = validation.selected()
    scale = _CORES / min(workers, _CORES)
    shares = {
        check.name: sum(band.seeds(validation.quick) for band in selected[check.name])
        / max(1, sum(band.seeds(validation.quick) for band in check.bands))
        for check in validation.checks
        if check.name in selected
    }
    costs = {
        check.name: scale * shares[check.name] * check.seconds(validation.quick)
        for check in validation.checks
        if check.name in selected
    }
    pace = Pace(costs)
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(pace)
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("validate", total=1.0, left="")

        class _Bar(_Lines):
            def begin(self, check: str) -> None:
                super().begin(check)
                self.show(f"validate: {check}")

            def units(self, done: int, total: int) -> None:
                super().units(done, total)
                self.show(f"validate: {pace.current} {done}/{total}")

            def say(self, line: str) -> None:
                bar.console.print(line, highlight=False, markup=False)

            def show(self, text: str) -> None:
                left = f"about {in_words(pace.left())} left"
                bar.update(task, description=text, completed=pace.share(), left=left)

        yield _Bar(pace)
