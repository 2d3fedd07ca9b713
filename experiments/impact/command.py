"""What ``marginlab impact`` and ``marginlab impact-laws`` do once their options are read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from experiments.cli.options import print_json
from experiments.console import load, print_listing, progress, say_where
from experiments.store import OutputFolder, plain
from sim.errors import ConfigError

if TYPE_CHECKING:
    from experiments.impact.mechanisms import MechanismStudy
    from experiments.impact.study import ImpactStudy


def impact(
    source: str, seeds: Sequence[int], *, sizes: tuple[float, ...], participation: float, duration: int | None,
    sides: str, at_step: int | None, liquidations: str, r0: float | None, relaxation: float, contract: str | None,
    resamples: int, assignments: Sequence[str], plugins: Sequence[str], jobs: int, out: str | None, as_json: bool,
    mechanisms: bool = False, margin: str | None = None, gamma: Sequence[float] | None = None,
) -> None:  # fmt: skip
    """``marginlab impact``, with or without ``--mechanisms``."""
    from experiments.impact.study import ImpactStudy, measure

    loaded = load(source, assignments, plugins)
    study = ImpactStudy(
        loaded, sizes, tuple(seeds), participation, duration, sides, at_step, liquidations, r0, relaxation, contract,
        resamples, tuple(plugins),
    )  # fmt: skip
    if mechanisms:
        _mechanisms(study, margin, gamma, jobs=jobs, out=out, as_json=as_json)
        return
    folder = OutputFolder(out, study.job()) if out is not None else None
    with progress(f"impact {loaded.name}") as on_done:
        result = measure(study, workers=jobs, folder=folder, on_done=on_done)
    if folder is not None:
        from experiments import reporting

        reporting.write(folder.path)
    if as_json:
        print_json(result)
        return
    from experiments.impact.report import lines

    for line in lines(result):
        print(line)
    say_where(out)


def _mechanisms(
    impact: ImpactStudy, margin: str | None, gamma: Sequence[float] | None, *, jobs: int, out: str | None, as_json: bool
) -> None:
    from experiments.impact import mechanisms

    margins = () if margin is None else tuple(label.strip() for label in margin.split(","))
    cells = (mechanisms.Cell(),) if gamma is None else tuple(mechanisms.Cell(value) for value in gamma)
    study = mechanisms.MechanismStudy(impact, cells, margins)
    perform_mechanisms(study, jobs=jobs, out=out, as_json=as_json)


def perform_mechanisms(study: MechanismStudy, *, jobs: int, out: str | None, as_json: bool) -> None:
    """Run a mechanism study, keep it, and print what was found."""
    from experiments.impact import mechanisms, mechanisms_report

    folder = OutputFolder(out, study.job()) if out is not None else None
    with progress(f"impact {study.impact.scenario.name}") as on_done:
        result = mechanisms.measure(study, workers=jobs, folder=folder, on_done=on_done)
    if folder is not None:
        from experiments import reporting

        reporting.write(folder.path)
    if as_json:
        print_json(result)
        return
    for line in mechanisms_report.lines(result):
        print(line)
    say_where(out)


def laws(name: str | None, assignments: Sequence[str], *, as_json: bool) -> None:
    """``marginlab impact-laws``."""
    from experiments.impact import published

    if name is None:
        if assignments:
            raise ConfigError.of("NAME", None, "the law whose inputs --set gives: " + ", ".join(published.LAWS))
        print_listing({key: law.summary for key, law in published.LAWS.items()}, as_json)
        return
    rows = published.evaluate(name, inputs(assignments))
    described = published.described(name)
    if as_json:
        print_json(plain({**described, "rows": rows}))
        return
    print(f"{name}: {described['summary']}\n{described['formula']}\n{described['source']}\n")
    meanings = {entry["name"]: entry["meaning"] for entry in described["inputs"]}
    width = max(len(key) for key in rows[0])
    fixed = {key: rows[0][key] for key in meanings if len({row[key] for row in rows}) == 1}
    for key, value in fixed.items():
        print(f"{key:<{width}}  {value:<12.10g}  {meanings[key]}")
    print()
    _print_rows(rows, [key for key in rows[0] if key not in fixed], published.LAWS[name].prices)


def _print_rows(rows: Sequence[Mapping[str, float]], keys: Sequence[str], prices: Sequence[str]) -> None:
    from experiments.terminal import columns

    table = [[f"{key}, bp" if key in prices else key for key in keys]]
    for row in rows:
        table.append([f"{1e4 * row[key]:.2f}" if key in prices else f"{row[key]:.6g}" for key in keys])
    for line in columns(table):
        print(line)


def inputs(assignments: Sequence[str]) -> dict[str, list[float]]:
    """Inputs of a law from texts such as ``duration=.1,.2,.5``.

    Raises:
        ConfigError: no such form, or no numbers.
    """
    found: dict[str, list[float]] = {}
    for assignment in assignments:
        key, sign, text = assignment.partition("=")
        if not sign or not key.strip():
            raise ConfigError.of("--set", assignment, "input=value, for example duration=.1,.2,.5")
        found[key.strip()] = [number(f"--set {key.strip()}", part) for part in text.split(",")]
    return found


def number(key: str, text: str) -> float:
    """A finite number.

    Raises:
        ConfigError: the text is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError.of(key, text, "a number")
    return value
