"""Run the checks of a validation, keep what is finished, judge what was measured."""

from __future__ import annotations

import json
import math
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from experiments import engines
from experiments.console import load_plugins
from experiments.scenario import Scenario, load
from experiments.store import FAILED, FINISHED, INTERRUPTED, OutputFolder, code_hash, combined_hash, file_hash, plain
from experiments.validation.bands import CALM, ERROR, SHOCK, VERDICTS, Band, Context, Measurement, judge, number
from experiments.validation.checks import Registered
from sim.errors import ConfigError, MarginLabError
from sim.problems import did_you_mean

DEFAULT_MARKETS = {CALM: "perpetual", SHOCK: "perpetual-shock"}
_DIGITS = 10  # of a measurement that enter the results hash


class Listener(Protocol):
    """Hears how a validation goes on."""

    def begin(self, check: str) -> None:
        """A check begins."""

    def units(self, done: int, total: int) -> None:
        """Units of the part under way."""

    def end(self, check: str, verdicts: Sequence[str], *, kept: bool) -> None:
        """A check has ended with these verdicts, one for each of its bands."""


@dataclass(frozen=True)
class Validation:
    """What is validated.

    Attributes:
        checks: what there is to measure.
        calm: the user's scenario of ordinary trading, or None.
        shock: the user's scenario with seeded open interest and a shock, or None. With neither, the default markets
            are validated and every band measured; with one of them, its bands only.
        quick: few seeds, and only the bands that few seeds can say something about.
        bands: ids of bands, beginnings of ids up to a dash (``t21``), groups or checks to measure, or None for all.
        first_seed: every check's seeds are this one and those after it.
        assignments: ``--set`` for both scenarios.
        plugins: users' files.
    """

    checks: tuple[Registered, ...]
    calm: str | None = None
    shock: str | None = None
    quick: bool = False
    bands: tuple[str, ...] | None = None
    first_seed: int = 0
    assignments: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()

    @property
    def markets(self) -> dict[str, str]:
        """The scenarios that bands are measured on, by their part."""
        own = {CALM: self.calm, SHOCK: self.shock}
        if self.calm is None and self.shock is None:
            return dict(DEFAULT_MARKETS)
        return {part: source for part, source in own.items() if source is not None}

    def selected(self) -> dict[str, tuple[Band, ...]]:
        """The bands to measure, by check, in their order.

        Raises:
            ConfigError: a name that is no band, group or check, or nothing is left to measure.
        """
        known = [band for check in self.checks for band in check.bands]
        for text in self.bands or ():
            if not any(_named(band, text) for band in known):
                raise ConfigError.of("--bands", text, _allowed(text, known))
        own = self.calm is not None or self.shock is not None
        found = {}
        for check in self.checks:
            bands = tuple(
                band
                for band in check.bands
                if band.seeds(self.quick) > 0
                and (self.bands is None or any(_named(band, text) for text in self.bands))
                and (not own or band.market in self.markets)
            )
            if bands:
                found[check.name] = bands
        if not found:
            allowed = "bands that this run can measure (some need --shock, some the full run)"
            raise ConfigError.of("--bands", ",".join(self.bands or ()), allowed)
        return found

    def validate(self) -> None:
        """Check everything that can be wrong before anything is run or written.

        Raises:
            ConfigError: an unknown band; a scenario that is wrong; a shock without seeded open interest.
        """
        from experiments.events import SeedOpenInterest

        for part, scenario in self.scenarios().items():
            if part == SHOCK:
                if not any(isinstance(event, SeedOpenInterest) for event in scenario.events):
                    raise ConfigError.of("events", None, "an event of kind seed_open_interest", file=scenario.file)
                if scenario.measure.event is None:
                    raise ConfigError.of("measure.event", None, "the name of the shock", file=scenario.file)

    def scenarios(self) -> dict[str, Scenario]:
        """The scenarios that the bands to measure need, by their part."""
        needed = {band.market for bands in self.selected().values() for band in bands}
        load_plugins(self.plugins)
        return {part: load(source, self.assignments) for part, source in self.markets.items() if part in needed}

    def job(self) -> dict[str, Any]:
        """What the manifest says of the job, and what must agree for a folder to be resumed."""
        scenarios = self.scenarios()
        return {
            "command": "validate",
            "scenario_name": ", ".join(scenario.name for scenario in scenarios.values()),
            "scenario": {part: scenario.as_run() for part, scenario in scenarios.items()},
            "seeds": {"first": self.first_seed, "quick": self.quick},
            "options": {"bands": [band.id for bands in self.selected().values() for band in bands]},
            "plugins": {path: file_hash(path) for path in self.plugins},
            "code": code_hash(),
        }

    def context(self, bands: tuple[Band, ...], **running: Any) -> Context:
        """What a check of some bands works with."""
        markets = DEFAULT_MARKETS | self.markets
        return Context(
            markets[CALM], markets[SHOCK], bands, self.quick, self.first_seed, assignments=self.assignments,
            plugins=self.plugins, **running,
        )  # fmt: skip


def _named(band: Band, text: str) -> bool:
    """Does a text name a band: by its id or the words that it begins with, its group, or its check?"""
    return text in (band.id, band.group, band.check) or band.id.startswith(f"{text}-")


def _allowed(text: str, known: Sequence[Band]) -> str:
    """The groups and checks, and the id that was probably meant: all ids would fill the screen."""
    wide = list(dict.fromkeys(name for band in known for name in (band.group, band.check)))
    names = [*wide, *(band.id for band in known)]
    return f"{', '.join(wide)}, or a band of `marginlab validate --list`{did_you_mean(text, names)}"


def validate(
    validation: Validation, *, workers: int = 1, folder: OutputFolder | None = None, listener: Listener | None = None
) -> dict[str, Any]:
    """Measure every band that is asked for and judge it.

    A check that fails is listed with its error and leaves the others alone.

    Args:
        validation: what to validate.
        workers: processes.
        folder: where to keep results, or None. What is finished there is read, not measured again; failed checks are
            tried again.
        listener: hears how it goes on.

    Returns:
        Plain data: ``rows`` (one per band), ``verdicts`` (how many of each), ``errors`` by check, ``results_hash``.
    """
    validation.validate()
    selected = validation.selected()
    began = time.monotonic()
    if folder is not None:
        folder.begin()
    rows: list[dict[str, Any]] = []
    errors: dict[str, str] = {}
    seconds: dict[str, float] = {}
    try:
        with engines.keeping(workers, validation.plugins):
            for check in validation.checks:
                if check.name not in selected:
                    continue
                bands = selected[check.name]
                if listener is not None:
                    listener.begin(check.name)
                done, kept = _carry_out(validation, check, bands, workers, folder, listener)
                seconds[check.name] = done["seconds"]
                if done["error"] is not None:
                    errors[check.name] = done["error"]
                measured = [_row(band, done) for band in bands]
                rows += measured
                if listener is not None:
                    listener.end(check.name, [row["verdict"] for row in measured], kept=kept)
    except BaseException as error:
        if folder is not None:
            status = INTERRUPTED if isinstance(error, (KeyboardInterrupt, engines.Stopped)) else FAILED
            folder.write_manifest(status, checks=len(selected), checks_finished=len(seconds))
        raise
    result = _summary(validation, rows, errors, seconds)
    result["wall_seconds"] = round(time.monotonic() - began, 1)
    if folder is not None:
        folder.write_json("summary.json", result)
        facts = {"checks": len(selected), "checks_finished": len(selected) - len(errors)}
        status = FAILED if errors else FINISHED
        folder.write_manifest(status, **facts, errors=errors, results_hash=result["results_hash"])
    return result


def _carry_out(
    validation: Validation,
    check: Registered,
    bands: tuple[Band, ...],
    workers: int,
    folder: OutputFolder | None,
    listener: Listener | None,
) -> tuple[dict[str, Any], bool]:
    """Measurements of a check and whether they were there already; its error in place of them if it fails."""
    name = f"checks/{check.name}.json"
    kept = folder.read_json(name) if folder is not None else None
    if kept is not None:
        return kept, True
    began = time.monotonic()
    done: dict[str, Any] = {"measurements": {}, "error": None}
    context = validation.context(
        bands, workers=workers, path=None if folder is None else folder.path / "checks" / check.name,
        on_done=None if listener is None else listener.units,
    )  # fmt: skip
    try:
        measured = check.run(context)
        done["measurements"] = {band.id: _plain(measured[band.id]) for band in bands if band.id in measured}
    except engines.Stopped:
        raise
    except Exception as error:  # whatever it is, the other checks go on
        text = " ".join(str(error).split())
        done["error"] = text if isinstance(error, MarginLabError) else f"{type(error).__name__}: {text}"
        if folder is not None:
            detail = getattr(error, "detail", "") or traceback.format_exc()
            with folder.replacing(f"checks/{check.name}.error.txt") as path:
                path.write_text(detail, encoding="utf-8")
    done["seconds"] = round(time.monotonic() - began, 3)
    if folder is not None and done["error"] is None:
        folder.write_json(name, done)
        (folder.path / f"checks/{check.name}.error.txt").unlink(missing_ok=True)
    return plain(done), False


def _plain(measured: Measurement) -> dict[str, Any]:
    keys = ("value", "low", "high", "seeds", "note", "n")
    return {key: getattr(measured, key) for key in keys}


def _row(band: Band, done: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the table: the band, what was measured and the verdict."""
    found = done["measurements"].get(band.id)
    error = done["error"]
    if found is None and error is None:
        error = "the check gave no measurement of this band"
    if found is None:
        measured, verdict = Measurement.missing(error), ERROR
    else:
        interval = {key: number(found[key]) for key in ("value", "low", "high")}
        measured = Measurement(**interval, seeds=found["seeds"], note=found["note"], n=found["n"])
        verdict = judge(band, measured)
    stated = ("id", "group", "question", "statement", "unit", "source", "check", "rule", "control", "market")
    return {
        **{key: getattr(band, key) for key in stated},
        "band_low": band.low,
        "band_high": band.high,
        **_plain(measured),
        "verdict": verdict,
    }


def _summary(
    validation: Validation, rows: Sequence[Mapping[str, Any]], errors: Mapping[str, str], seconds: Mapping[str, float]
) -> dict[str, Any]:
    found = [row["verdict"] for row in rows]
    result: dict[str, Any] = plain(
        {
            "quick": validation.quick,
            "first_seed": validation.first_seed,
            "markets": {part: scenario.name for part, scenario in validation.scenarios().items()},
            "assignments": validation.assignments,
            "verdicts": {verdict: found.count(verdict) for verdict in VERDICTS},
            "rows": rows,
            "errors": errors,
            "seconds": seconds,
            "results_hash": combined_hash((str(row["id"]), _canonical(row)) for row in rows),
            "code": code_hash(),
        }
    )
    return result


def _canonical(row: Mapping[str, Any]) -> str:
    """What of a row enters the results hash: the numbers, without the noise of other machines' last digits."""
    values = [row["value"], row["low"], row["high"]]
    digits = [None if value is None or not math.isfinite(value) else f"{value:.{_DIGITS}g}" for value in values]
    return json.dumps([*digits, row["seeds"], row["n"], row["verdict"]])
