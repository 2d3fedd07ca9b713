"""Tables of the study, for the terminal and for papers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from experiments.procyclicality.names import measure_of
from experiments.tables import Column, Estimate, Table
from experiments.vocabulary import Money, scale_of
from experiments.wording import verdict_of

_SIGNS = {"different": "*", "suggestive": "?", "none": "=", "identical": "==", "untested": "-"}
_NOTE = "* differs after correction (Holm); ? unclear; = no difference detectable; == identical."
_ENDOGENOUS = ("drawdown", "fall_at_end", "volatility", "liquidated_share", "bad_debt", "peak_margin")


def tables(result: Mapping[str, Any]) -> list[Table]:
    """All tables of a result, simulated or historical."""
    if result["mode"] == "historical":
        return list(_historical(result))
    found = [_margins(result)]
    if result["response"]["regimes"]:
        found.append(_response(result))
    if result["endogenous"]:
        found.append(_endogenous(result))
    return [*found, frontier_table(result)]


def lines(result: Mapping[str, Any]) -> list[str]:
    """The result for a terminal."""
    found = [_title(result), ""]
    for table in tables(result):
        found += [table.caption, "", *table.lines(), *table.notes, ""]
    found += _sentences(result)
    return [*found, f"Results hash: {result['results_hash']}"]


def _title(result: Mapping[str, Any]) -> str:
    if result["mode"] == "historical":
        window = result["window"]
        return f"{result['source']}: {window['returns']} returns, {window['first']} to {window['last']}"
    seeds = len(result["seeds"])
    return f"{result['scenario']}, {'1 seed' if seeds == 1 else f'{seeds} paired seeds'}"


def _sentences(result: Mapping[str, Any]) -> Iterator[str]:
    if result["mode"] == "historical":
        return
    if result["equal_cost"] is not None:
        factors = ", ".join(f"{label} {entry['factor']:.4g}" for label, entry in result["equal_cost"].items())
        yield f"Whole runs at equal mean initial rate, by factors from pilot seeds: {factors}."
    same = result["placebo_identical"]
    yield f"Placebo (a baseline run again): {'the same to the byte' if same else 'DIFFERS'}."
    for label, entry in result["endogenous"].items():
        if entry["placebo_identical"] is not None:
            again = "the same to the byte" if entry["placebo_identical"] else "DIFFERS"
            yield f"Placebo ({label} frozen twice): {again}."
        if entry["identical"]:
            yield f"{label} frozen is {label} itself, to the byte."
    if result["event_name"] is None:
        yield "No event to fork at: margins were not frozen (--event, or measure.event in the scenario)."
    yield ""


def _margins(result: Mapping[str, Any]) -> Table:
    """Measures down, regimes across."""
    money = Money.of(result)
    rows: list[tuple[Any, ...]] = []
    for name, by in result["measures"].items():
        scale = scale_of(measure_of(name).kind, [e.get("mean") for e in by.values()], money)
        unit = f", {scale.unit}" if scale.unit else ""
        cells = []
        for label in result["regimes"]:
            difference = result["differences"].get(label, {}).get(name)
            mark = _SIGNS[verdict_of(difference)] if difference is not None else ""
            cells.append(Estimate.of(by[label], scale, mark=mark))
        rows.append((measure_of(name).label + unit, *cells))
    heads = [Column("measure", "")]
    heads += [
        Column(label, f"{label} (baseline)" if label == result["baseline"] else label) for label in result["regimes"]
    ]
    caption = "What a unit that never changes must hold, and the market around it: whole runs, mean over seeds."
    return Table("procyclicality", caption, tuple(heads), tuple(rows), (_NOTE,))


def _response(result: Mapping[str, Any]) -> Table:
    response = result["response"]
    rows = [
        (
            label, Estimate.of(entry["volatility_ratio"]), Estimate.of(entry["peak_ratio"]),
            Estimate.of(entry["end_ratio"]), entry["overshoot"], entry["minutes_to_half"],
        )
        for label, entry in response["regimes"].items()
    ]  # fmt: skip
    heads = (
        Column("regime", "regime"), Column("volatility", "volatility of price, with/without"),
        Column("peak", "margin at its peak, with/without"), Column("end", "in the last quarter, with/without"),
        Column("overshoot", "overshoot", digits=2), Column("half", "half of the peak after", "min", digits=0),
    )  # fmt: skip
    caption = (
        f"Response of a unit's margin to a step of the volatility of value by a factor of {response['factor']:g}, "
        f"watched for {response['minutes']:g} minutes: twins with and without the step."
    )
    return Table("impulse-response", caption, heads, tuple(rows))


def _endogenous(result: Mapping[str, Any]) -> Table:
    """Live less frozen, measures down."""
    regimes, money = list(result["endogenous"]), Money.of(result)
    rows: list[tuple[Any, ...]] = []
    for name in _ENDOGENOUS:
        by = {label: result["endogenous"][label]["differences"][name] for label in regimes}
        measure = measure_of(_LIKE.get(name, name))
        scale = scale_of(measure.kind, [d.get("mean") for d in by.values()], money)
        unit = f", {scale.difference_unit}" if scale.difference_unit else ""
        cells = (Estimate.of(d, scale, signed=True, mark=_SIGNS[d["verdict"]]) for d in by.values())
        rows.append((_LABELS.get(name, measure.label) + unit, *cells))
    feedback = {label: result["endogenous"][label]["feedback"] or {} for label in regimes}
    for key, head in (("rise_exogenous", "rise of the rate by itself"), ("rise_endogenous", "rise that feedback adds")):
        cells = (Estimate.of(feedback[label].get(key) or {}, scale_of("fraction")) for label in regimes)
        rows.append((f"{head}, %", *cells))
    caption = (
        f"What each rule itself brought about after {result['event_name']}: live less its twin with margins frozen "
        "there, paired by seed."
    )
    heads = (Column("measure", ""), *(Column(label, label) for label in regimes))
    return Table("endogenous", caption, heads, tuple(rows), (_NOTE,))


_LIKE = {"fall_at_end": "drawdown", "peak_margin": "mean_margin"}
_LABELS = {"fall_at_end": "fall of the price at the end", "peak_margin": "largest margin of a unit"}


def frontier_table(result: Mapping[str, Any]) -> Table:
    """Objectives, who dominates, and in how many resamples nobody does."""
    frontier, money = result["frontier"], Money.of(result)
    heads = [Column("regime", "regime")]
    scales = []
    for name in frontier["objectives"]:
        measure = measure_of(name)
        scales.append(scale_of(measure.kind, [by[name] for by in frontier["values"].values()], money))
        heads.append(Column(name, measure.label, scales[-1].unit))
    heads += [Column("dominated_by", "dominated by"), Column("support", "not dominated in", "%", digits=1)]
    rows = []
    for label, by in frontier["values"].items():
        values = [
            None if by[name] is None else by[name] * scale.factor
            for name, scale in zip(frontier["objectives"], scales, strict=True)
        ]
        support = 100.0 * frontier["support"][label] if frontier["resamples"] else None
        rows.append((label, *values, frontier["dominated_by"].get(label, "nobody"), support))
    named = ", ".join(frontier["non_dominated"])
    caption = f"Frontier of cost, coverage, procyclicality and default loss; not dominated: {named}."
    note = f"Share of {frontier['resamples']} bootstrap resamples in which no other regime is as good in everything."
    return Table("frontier", caption, tuple(heads), tuple(rows), (note,) if frontier["resamples"] else ())


def _historical(result: Mapping[str, Any]) -> Iterator[Table]:
    """Measures across, models down: there are many models."""
    spans = result["spans"]
    heads = [
        Column("model", "model"), Column("mean_margin", "mean margin", "%", digits=2),
        Column("exceedances", "exceedances", digits=0), Column("peak_to_trough", "peak/trough", digits=2),
        *(Column(f"rise_{span}", f"{span} rise", "%", digits=1) for span in spans),
        Column("margin_volatility", "sd of log change", "%", digits=2),
        Column("correlation_volatility", "corr. volatility", digits=2),
        Column("lag_volatility_days", "its lag", "d", digits=0),
        Column("correlation_price", "corr. price", digits=2), Column("lag_price_days", "its lag", "d", digits=0),
    ]  # fmt: skip
    rows = []
    for name, one in result["models"].items():
        percent = lambda key, one=one: None if one[key] is None else 100.0 * one[key]  # noqa: E731
        rows.append(
            (
                name, percent("mean_margin"), one["exceedances"], one["peak_to_trough"],
                *(percent(f"rise_{span}") for span in spans), percent("margin_volatility"),
                one["correlation_volatility"], one["lag_volatility_days"], one["correlation_price"],
                one["lag_price_days"],
            )
        )  # fmt: skip
    scaled = ", every model scaled to the mean margin of the first" if result["equal_cost"] else ""
    yield Table("procyclicality", f"Margin of one unit on historical prices{scaled}.", tuple(heads), tuple(rows))
    response = result["response"]
    yield Table(
        "impulse-response",
        f"Response to a step of volatility by a factor of {response['factor']:g}: margin over its level before, mean "
        f"over {response['paths']} drawn paths; a rule that follows exactly ends at {response['factor']:g}.",
        (Column("model", "model"), *(Column(f"after_{day}", f"after {day} d") for day in response["days_shown"]),
         Column("peak", "peak"), Column("half", "half way after", "d", digits=0)),
        tuple(
            (name, *(Estimate.of(point) for point in entry["shown"]), Estimate.of(entry["peak"]), entry["days_to_half"])
            for name, entry in response["models"].items()
        ),
    )  # fmt: skip
    yield frontier_table(result)
