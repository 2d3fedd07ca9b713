"""``marginlab stylized-facts``: what the command does once its options are read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.console import load, print_json, progress, say_where
from experiments.facts.sheet import MISS, NOT_MEASURABLE, PASS, range_text, value_text
from sim.errors import ConfigError

_SIGN = {PASS: "pass", MISS: "MISS", NOT_MEASURABLE: "not measurable", "reported": ""}


def simulated(
    source: str, seeds: Sequence[int], *, days: float | None, contract: str | None, assignments: Sequence[str],
    plugins: Sequence[str], check: bool, jobs: int, out: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Facts of a scenario over seeds."""
    from experiments.store import OutputFolder
    from experiments.studies.stylized_facts import StylizedFacts, measure

    loaded = load(source, assignments, plugins)
    study = StylizedFacts(loaded, tuple(seeds), days, contract, tuple(plugins), check)
    folder = OutputFolder(out, study.job()) if out is not None else None
    with progress(f"stylised facts of {loaded.name}") as on_done:
        result = measure(study, workers=jobs, folder=folder, on_done=on_done)
    if folder is not None:
        from experiments import reporting

        reporting.write(folder.path)
    _show(result, out, as_json)


def real(
    source: str, *, column: str | None, date_format: str | None, bar_seconds: float | None, out: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Facts of a file or a data set."""
    from experiments.facts.series import read
    from experiments.store import new_folder
    from experiments.studies.stylized_facts import measure_series

    folder = new_folder(out) if out is not None else None
    tape, described = read(source, column, date_format, bar_seconds)
    result = measure_series(tape, described)
    if folder is not None:
        from experiments import reporting

        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        (folder / "summary.json").write_text(text, encoding="utf-8")
        reporting.write(folder)
    _show(result, out, as_json)


def only_for(kind: str, options: Mapping[str, Any]) -> None:
    """Refuse options that the other kind of source has.

    Raises:
        ConfigError: one of them was given.
    """
    for name, value in options.items():
        if value:
            raise ConfigError.of(name, value if not isinstance(value, list) else value[0], f"left out for {kind}")


def _show(result: Mapping[str, Any], out: str | None, as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    for line in lines(result):
        print(line)
    say_where(out)


def lines(result: Mapping[str, Any]) -> list[str]:
    """The sheet as lines for a terminal."""
    from experiments.terminal import columns

    simulated_ = result["kind"] == "simulated"
    head = ["fact", "median" if simulated_ else "value"]
    head += ["95 % interval", "seeds in range"] if simulated_ else []
    rows = [[*head, "empirical", "verdict"]]
    group = ""
    missing: dict[str, int] = {}
    for row in result["sheet"]["facts"]:
        if row["verdict"] == NOT_MEASURABLE:
            reason = _lacks(row, result)
            missing[reason] = missing.get(reason, 0) + 1
            continue
        if row["group"] != group:
            group = row["group"]
            rows.append([group.upper(), *[""] * (len(rows[0]) - 1)])
        rows.append(_cells(row, simulated_))
    verdicts = result["sheet"]["verdicts"]
    told = f"{verdicts[PASS]} in the empirical range, {verdicts[MISS]} outside"
    found = [_title(result), "", *columns(rows), "", told]
    if missing:
        reasons = "; ".join(f"{n} {_singular(reason) if n == 1 else reason}" for reason, n in missing.items())
        found.append(f"Not measurable on this series: {reasons}")
    if result["events"]:
        found.append("The figures include the scenario's events: " + ", ".join(result["events"]))
    for note in result.get("source", {}).get("notes", []):
        found.append(note)
    return [*found, f"Results hash: {result['results_hash']}"]


def _singular(reason: str) -> str:
    """The plural "need ..." or "have ..." of one fact."""
    return reason.replace("need ", "needs ", 1) if reason.startswith("need ") else reason.replace("have ", "has ", 1)


def _cells(row: Mapping[str, Any], simulated_: bool) -> list[str]:
    cells = [f"  {row['what']}" + (f" ({row['unit']})" if row["unit"] else ""), value_text(row["median"])]
    if simulated_:
        known = row["median_low"] is not None
        cells.append(f"[{value_text(row['median_low'])}, {value_text(row['median_high'])}]" if known else "")
        share = row["share_in_range"]
        cells.append("" if share is None else f"{round(share * row['n'])} of {row['n']}")
    return [*cells, range_text(row), _SIGN[row["verdict"]]]


_FIELDS = {
    "bid": "quotes", "ask": "quotes", "depth_bid": "depth", "depth_ask": "depth", "volume": "volume",
    "order_signs": "taker orders",
}  # fmt: skip


def _lacks(row: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """What a fact that was not measured would need."""
    from experiments.facts.catalogue import fact
    from experiments.facts.series import seconds_text

    lacking = dict.fromkeys(_FIELDS[name] for name in fact(row["name"]).needs if name not in result["has"])
    if lacking:
        return "need " + " and ".join(lacking)
    horizon = row["horizon_seconds"]
    if 0.0 < horizon < 0.95 * result["dt_seconds"]:
        return f"need steps of at most {seconds_text(horizon)}"
    return "need a longer series" if row["name"] not in _GONE else "have no power law over a decade of lags"


_GONE = ("abs_decay", "abs_decay_day", "sign_decay")


def _title(result: Mapping[str, Any]) -> str:
    from experiments.facts.series import seconds_text

    steps = f"steps of {seconds_text(result['dt_seconds'])}"
    if result["kind"] == "simulated":
        n = len(result["seeds"])
        return f"{result['name']}: {n} seed{'' if n == 1 else 's'} x {result['days']:g} days, {steps}"
    source = result["source"]
    origin = "" if source["source"] == result["name"] else f" ({source['source']})"
    return f"{result['name']}{origin}: {source['first']} to {source['last']}, {steps}"
