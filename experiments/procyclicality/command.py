"""``marginlab procyclicality``: scenario or prices, run, keep, draw, print."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.cli.options import print_json
from experiments.console import load, progress, say_where
from experiments.store import FINISHED, OutputFolder, code_hash
from sim.errors import ConfigError

_TABLES = {".csv", ".parquet"}


@dataclass(frozen=True)
class Asked:
    """The command's options, as the user gave them (:mod:`experiments.cli.procyclicality` describes each)."""

    source: str
    margin: str | None = None
    event: str | None = None
    horizons: str | None = None
    sample: str | None = None
    period: str | None = None
    window: str | None = None
    factor: str = "2"
    step_for: str | None = None
    unit: int = 100
    equal_cost: bool = False
    confidence: str = "0.99"
    start: str | None = None
    end: str | None = None
    column: str = "close"
    seeds: tuple[int, ...] | None = None
    assignments: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    check: bool = False
    jobs: int = 1
    out: str | None = None
    as_json: bool = False


def perform(asked: Asked) -> None:
    """Carry out the command.

    Raises:
        ConfigError: an option is not allowed, or does not fit the source.
    """
    prices = asked.source.startswith("arch:") or Path(asked.source).suffix.lower() in _TABLES
    result, folder = _of_prices(asked) if prices else _of_scenario(asked)
    if folder is not None:
        from experiments import reporting

        reporting.write(folder.path)
    if asked.as_json:
        print_json(result)
        return
    from experiments.procyclicality.tables import lines

    for line in lines(result):
        print(line)
    say_where(asked.out)


def _number(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or not 0.0 < value <= 1000.0:
        raise ConfigError.of(key, text, "a number above 0, up to 1000")
    return value


def _refuse(asked: Asked, fields: tuple[str, ...], where: str) -> None:
    """Options that mean nothing for this kind of source."""
    plain = Asked("")
    for name in fields:
        value = getattr(asked, name)
        if value != getattr(plain, name):
            shown = ",".join(value) if isinstance(value, tuple) else value
            key = {"assignments": "set", "plugins": "plugin"}.get(name, name.replace("_", "-"))
            raise ConfigError.of(f"--{key}", shown, f"nothing: it is an option of {where}")


def _of_scenario(asked: Asked) -> tuple[dict[str, Any], OutputFolder | None]:
    from experiments.procyclicality.study import Procyclicality, at_equal_cost, measure
    from experiments.studies.compare import DEFAULT_REGIMES

    _refuse(asked, ("start", "end", "column", "confidence"), "prices")
    loaded = load(asked.source, asked.assignments, asked.plugins)
    study = Procyclicality(
        loaded,
        _labels(asked.margin) if asked.margin is not None else DEFAULT_REGIMES,
        asked.seeds if asked.seeds is not None else tuple(range(30)),
        asked.event,
        asked.sample,
        None if asked.horizons is None else _labels(asked.horizons),
        asked.period,
        asked.window,
        _number("--factor", asked.factor),
        asked.step_for,
        asked.unit,
        asked.plugins,
        asked.check,
    )
    study.validate()
    if asked.equal_cost:
        with progress("equal mean margin on pilot seeds") as on_done:
            study = at_equal_cost(study, asked.jobs, on_done)
    folder = OutputFolder(asked.out, study.job()) if asked.out is not None else None
    with progress(f"procyclicality {loaded.name}") as on_done:
        result = measure(study, workers=asked.jobs, folder=folder, on_done=on_done)
    return result, folder


def _labels(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _of_prices(asked: Asked) -> tuple[dict[str, Any], OutputFolder | None]:
    from experiments.procyclicality import historical
    from margin.backtest import expand, load_prices
    from margin.backtests.models import Setting

    _refuse(asked, ("event", "sample", "unit", "assignments", "plugins", "check"), "scenarios")
    days = historical.check_days
    period = days("--period", asked.period) if asked.period is not None else 1
    confidence = _number("--confidence", asked.confidence)
    study = historical.Prices(
        load_prices(asked.source, asked.column),
        expand([asked.margin if asked.margin is not None else historical.MODELS]),
        Setting(confidence=confidence, days=period),
        historical.DAYS if asked.horizons is None else tuple(historical.spans("--horizons", asked.horizons)),
        20 if asked.window is None else days("--window", asked.window),
        _number("--factor", asked.factor),
        250 if asked.step_for is None else days("--step-for", asked.step_for, 10_000),
        asked.seeds if asked.seeds is not None else tuple(range(40)),
        asked.equal_cost,
        asked.start,
        asked.end,
    )
    job = {
        "command": "procyclicality",
        "scenario": {"source": asked.source, "column": asked.column, "sha256": study.series.sha256},
        "regimes": [model.name for model in study.models],
        "seeds": list(study.seeds),
        "reading": "historical prices",
        "options": {
            "confidence": confidence, "period": period, "days": list(study.days), "window": study.window,
            "factor": study.factor, "step_days": study.step_days, "equal_cost": study.equal_cost,
            "start": study.start, "end": study.end,
        },
        "code": code_hash(),
    }  # fmt: skip
    folder = OutputFolder(asked.out, job) if asked.out is not None else None
    with progress(f"procyclicality {asked.source}") as on_done:
        result = historical.measure(study, on_done)
    if folder is not None:
        folder.begin()
        folder.write_json("summary.json", result)
        folder.write_manifest(FINISHED, results_hash=result["results_hash"])
    return result, folder
