"""Acceptance bands: what a believable market shows, how it is measured, and when a measurement meets a band.

A *band* is one row of the table that ``marginlab validate`` prints: a question, the range that an answer has to lie in
and where that range comes from. A *check* measures one or several bands with one study. Every module of
:mod:`experiments.validation.checks` is a check and holds

``BANDS``
    its bands, a tuple of :class:`Band` whose ``check`` is the module's name;
``check(context)``
    a function from a :class:`Context` to ``{band id: Measurement}``;
``QUICK_SECONDS``, ``FULL_SECONDS``
    about how long it takes on two cores, for the time left that is shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.jobs import Unit, UnitResult
    from experiments.scenario import Scenario
    from experiments.store import OutputFolder

PASS, MISS, UNCLEAR, ERROR = "pass", "miss", "unclear", "error"
VERDICTS = (ERROR, MISS, UNCLEAR, PASS)
"""In the order in which a reader should see them."""

WITHIN, ESTIMATE, CONSISTENT = "within", "estimate", "consistent"
RULES = (WITHIN, ESTIMATE, CONSISTENT)
CALM, SHOCK = "calm", "shock"


@dataclass(frozen=True)
class Band:
    """What is asked of a market, and the range of answers that are accepted.

    Attributes:
        id: names the row, lower-case words with dashes; unique.
        group: heading that the row stands under, such as ``cascades``.
        question: what is asked, a line.
        statement: the band in words and numbers, such as "at most 1.15".
        low: smallest accepted value, in ``unit``; ``-math.inf`` for none.
        high: largest accepted value; ``math.inf`` for none.
        unit: of the value, such as ``bp``; empty for a pure number.
        source: where the band comes from.
        check: name of the module in ``checks`` that measures it.
        quick_seeds: seeds of the quick run; 0 leaves the band out of it.
        full_seeds: seeds of the full run.
        rule: how a measurement is judged.
            ``within``: the interval lies in the band (pass), apart from it (miss), or across an edge (unclear).
            ``estimate``: the value alone decides; for bands stated of the sample itself, such as a share of seeds, and
            for exact quantities.
            ``consistent``: the interval meets the band (pass) or not (miss); for "no significant difference", where the
            note has to say what could have been detected.
        control: a negative control: the band is the failure that is expected of a market spoilt on purpose.
        market: the market it is a band of: ``calm``, ``shock``, or neither (``""``: of a model with parameters of its
            own); a user who validates one scenario of his own is given the bands of that one.
    """

    id: str
    group: str
    question: str
    statement: str
    low: float
    high: float
    unit: str
    source: str
    check: str
    quick_seeds: int
    full_seeds: int
    rule: str = WITHIN
    control: bool = False
    market: str = CALM

    def __post_init__(self) -> None:
        """Refuse a band that no measurement can be judged by."""
        if self.rule not in RULES:
            raise ValueError(f"band {self.id}: rule {self.rule!r} is none of {', '.join(RULES)}")
        if self.market not in (CALM, SHOCK, ""):
            raise ValueError(f"band {self.id}: market {self.market!r} is neither calm nor shock")
        if not self.low <= self.high:
            raise ValueError(f"band {self.id}: low {self.low} is not at most high {self.high}")
        if self.quick_seeds < 0 or self.full_seeds < 1:
            raise ValueError(f"band {self.id}: a full run needs seeds, and a quick one cannot have fewer than none")

    def seeds(self, quick: bool) -> int:
        """Number of seeds of a run."""
        return self.quick_seeds if quick else self.full_seeds


@dataclass(frozen=True)
class Measurement:
    """What was measured for a band.

    Attributes:
        value: the estimate, in the band's unit; NaN where it could not be measured.
        low: lower end of its 95 % interval; NaN where there is none.
        high: upper end.
        seeds: how many seeds it rests on.
        note: what a reader must know beside the number, a short phrase; why there is none, if there is none.
        n: observations (pairs, trades, fits) where these are not the seeds.
    """

    value: float
    low: float
    high: float
    seeds: int
    note: str = ""
    n: int | None = None

    @classmethod
    def exact(cls, value: float, seeds: int, note: str = "", n: int | None = None) -> Measurement:
        """A quantity without sampling error: its interval is itself."""
        return cls(value, value, value, seeds, note, n)

    @classmethod
    def missing(cls, note: str, seeds: int = 0) -> Measurement:
        """What could not be measured, and why."""
        return cls(math.nan, math.nan, math.nan, seeds, note)

    @classmethod
    def of(cls, estimate: Mapping[str, Any], seeds: int, note: str = "", n: int | None = None) -> Measurement:
        """From an estimate as :mod:`experiments.statistics` gives them (``mean`` or ``ratio``, ``low``, ``high``)."""
        value = next((estimate[key] for key in ("mean", "ratio", "value", "estimate") if key in estimate), None)
        return cls(number(value), number(estimate.get("low")), number(estimate.get("high")), seeds, note, n)


@dataclass(frozen=True)
class Context:
    """What a check works with.

    Attributes:
        calm: the scenario of ordinary trading, a built-in name or a file.
        shock: the scenario with seeded open interest and a shock.
        bands: the bands to measure: those of this check that were asked for.
        quick: few seeds.
        first_seed: the seeds of a check are this one and those after it.
        workers: processes.
        path: folder where the check keeps what is finished, or None.
        on_done: told (units done, units in all) of each part of the check.
        assignments: ``--set`` of the user, for both scenarios.
        plugins: the user's files; workers of a validation have loaded them.
    """

    calm: str
    shock: str
    bands: tuple[Band, ...]
    quick: bool = False
    first_seed: int = 0
    workers: int = 1
    path: Path | None = None
    on_done: Callable[[int, int], None] | None = None
    assignments: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()

    def wants(self, *ids: str) -> bool:
        """Whether one of some bands is asked for: a study that serves none of them can be left out."""
        return any(band.id in ids for band in self.bands)

    def seeds(self, *ids: str) -> tuple[int, ...]:
        """The seeds of a study that serves some bands, all of this check's if none is named.

        They are as many as the most demanding of the bands that are asked for needs.
        """
        counts = [band.seeds(self.quick) for band in self.bands if not ids or band.id in ids]
        return self.range(max(counts, default=0))

    def range(self, count: int) -> tuple[int, ...]:
        """A number of seeds."""
        return tuple(range(self.first_seed, self.first_seed + count))

    def scenario(self, which: str, *assignments: str) -> Scenario:
        """A scenario, with the user's ``--set`` and then the check's own changes.

        Args:
            which: ``calm``, ``shock``, or any other name or file.
            assignments: changes, as texts ``dotted.key=value``.
        """
        from experiments.scenario import load

        source = {CALM: self.calm, SHOCK: self.shock}.get(which, which)
        return load(source, (*self.assignments, *assignments))

    def folder(self, part: str, job: Mapping[str, Any] | None = None) -> OutputFolder | None:
        """Where a study of this check keeps its finished units: give it to the study's ``measure(..., folder=...)``.

        Unlike a user's folder it may hold a finished study: the study's units are then read, not run again.

        Args:
            part: names the study within the check.
            job: what is run, as the study says it.
        """
        if self.path is None:
            return None
        from experiments.validation.kept import KeptFolder

        return KeptFolder(self.path / part, job or {})

    def perform(self, part: str, units: Sequence[Unit], function: Callable[[Any], UnitResult]) -> list[dict[str, Any]]:
        """Carry out units of work of a check that has no study of its own; finished ones are kept and read again.

        Args:
            part: names the study within the check.
            units: pieces with distinct keys.
            function: module-level function from a unit's task to an :class:`experiments.jobs.UnitResult`.

        Returns:
            The runs of all units, in their order.
        """
        from experiments import jobs
        from experiments.engines import engine

        return jobs.perform(units, function, engine(self.workers), self.folder(part), self.on_done)


Check = Callable[[Context], Mapping[str, Measurement]]


def judge(band: Band, measured: Measurement) -> str:
    """Whether a measurement meets a band: ``pass``, ``miss`` or ``unclear``.

    What could not be measured is unclear; so is an estimate without an interval where the rule asks for one.
    """
    if not math.isfinite(measured.value):
        return UNCLEAR
    if band.rule == ESTIMATE:
        return PASS if band.low <= measured.value <= band.high else MISS
    low, high = measured.low, measured.high
    if not (math.isfinite(low) and math.isfinite(high)):
        return UNCLEAR
    if high < band.low or low > band.high:
        return MISS
    if band.rule == CONSISTENT or (band.low <= low and high <= band.high):
        return PASS
    return UNCLEAR


def number(value: float | None) -> float:
    """A number of a result, where what is not known is None, as a float."""
    return math.nan if value is None else float(value)
