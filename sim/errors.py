"""Everything that MarginLab raises on purpose.

An error is raised where its cause is known and shown to a user as one line (one line per problem for a scenario file);
``exit_code`` is what the command ends with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_LONGEST_VALUE = 120


class MarginLabError(Exception):
    """Root of the errors of this project."""

    exit_code = 1


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with what a user gave.

    Attributes:
        file: where it stands (a scenario file, a price file, ``--set``), or an empty string.
        key: the dotted key, the column or the line.
        value: what was found there.
        allowed: what may stand there instead, as a phrase that follows "allowed:".
    """

    file: str
    key: str
    value: Any
    allowed: str

    def __str__(self) -> str:
        """One line: file, key, value, what is allowed."""
        shown = repr(self.value)
        if len(shown) > _LONGEST_VALUE:
            shown = shown[: _LONGEST_VALUE - 3] + "..."
        line = f"{self.key} = {shown}; allowed: {self.allowed}"
        line = f"{self.file}: {line}" if self.file else line
        return " ".join(line.split())


class ConfigError(MarginLabError):
    """Input that cannot be used: every problem found, each rendered as one line.

    Attributes:
        problems: the problems, in the order found.
    """

    exit_code = 2

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        """Take one problem or several."""
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @classmethod
    def of(cls, key: str, value: Any, allowed: str, *, file: str = "") -> ConfigError:
        """The error of a single problem."""
        return cls(Problem(file, key, value, allowed))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the problems, so that a worker process can hand the error to its parent."""
        return type(self), (self.problems,)


class InvariantError(MarginLabError):
    """An invariant of the ledger does not hold; the run stops at once.

    Attributes:
        invariant: which one, in words.
        step: step at which it was found.
        account: account it was found at, -1 if it concerns no single one.
        expected: the amount that should be there.
        found: the amount that is there.
        contract: contract it concerns, -1 if none.
    """

    def __init__(
        self,
        invariant: str,
        *,
        step: int,
        account: int = -1,
        expected: Any = None,
        found: Any = None,
        contract: int = -1,
    ) -> None:
        """Describe the violation."""
        self.invariant = invariant
        self.step = step
        self.account = account
        self.expected = expected
        self.found = found
        self.contract = contract
        where = f"step {step}"
        if account >= 0:
            where += f", account {account}"
        if contract >= 0:
            where += f", contract {contract}"
        amounts = "" if expected is None and found is None else f": expected {expected}, found {found}"
        super().__init__(f"invariant violated at {where}: {invariant}{amounts}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by keyword arguments."""
        state = {key: self.__dict__[key] for key in ("step", "account", "expected", "found", "contract")}
        return _invariant_error, (type(self), self.invariant, state)


def _invariant_error(kind: type[InvariantError], invariant: str, state: dict[str, Any]) -> InvariantError:
    return kind(invariant, **state)


class KernelError(MarginLabError):
    """Compiled code found that it cannot go on (a price outside the ladder, no memory, a requirement too large)."""


class ForkError(MarginLabError):
    """A market cannot be forked or stored, because an agent keeps state that cannot be copied."""


class SnapshotError(MarginLabError):
    """A snapshot cannot be read: damaged, or of another layout of the state."""


class OutputError(MarginLabError):
    """An output folder cannot be used."""

    exit_code = 2


class InstallationError(MarginLabError):
    """The packages that were imported are not those of this installation."""

    exit_code = 2
