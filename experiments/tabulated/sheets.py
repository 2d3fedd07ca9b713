"""Tables of sheets of checks: stylised facts, validation, backtests, calibrations, replications, published models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.tables import Cell, Column, Estimate, Table, Written
from experiments.vocabulary import MINUS, Scale
from experiments.wording import p_text


def facts(result: Mapping[str, Any]) -> list[Table]:
    """Stylised facts: median over seeds, its interval, the empirical range, the verdict.

    Args:
        result: what :mod:`experiments.studies.stylized_facts` gives, of a scenario or of a series.
    """
    from experiments.facts.sheet import NOT_MEASURABLE, range_text

    simulated = result["kind"] == "simulated"
    rows: list[tuple[Cell, ...]] = []
    for row in result["sheet"]["facts"]:
        if row["verdict"] == NOT_MEASURABLE:
            continue
        share = row.get("share_in_range")
        low, high = row.get("median_low"), row.get("median_high")
        estimate = Estimate(row["median"], low, high, None if low is not None else _figures(row["median"]))
        inside: Cell = Written(share, "" if share is None else f"{round(share * row['n'])} of {row['n']}")
        cells: tuple[Cell, ...] = (row["group"], row["what"], row["unit"], estimate)
        rows.append((*cells, *((inside,) if simulated else ()), range_text(row).replace("-", MINUS), row["verdict"]))
    columns = (
        Column("group", "Group"), Column("fact", "Fact"), Column("unit", "Unit"),
        Column("median", "Median" if simulated else "Value"),
        *((Column("share_in_range", "Seeds in range"),) if simulated else ()),
        Column("empirical", "Empirical"), Column("verdict", "Verdict"),
    )  # fmt: skip
    n = len(result["seeds"]) if simulated else 0
    over = f", median over {n} seeds with 95 % bootstrap interval" if n > 1 else f", {n} seed" if n else ""
    return [Table("stylized-facts", f"Stylised facts of {result['name']}{over}.", columns, tuple(rows))]


def validation(result: Mapping[str, Any]) -> list[Table]:
    """A validation: one row per band.

    Args:
        result: what :func:`experiments.validation.run.validate` gives.
    """
    from experiments.validation.table import crosses, sorted_rows

    rows: list[tuple[Cell, ...]] = []
    for row in sorted_rows(result["rows"]):
        low, high = (row["low"], row["high"]) if row["low"] != row["high"] else (None, None)
        digits = None if low is not None and high is not None else _figures(row["value"])
        measured = Estimate(row["value"], low, high, digits, mark="*" if crosses(row) else "")
        band_low, band_high = row["band_low"], row["band_high"]
        ends = (None if end is None else float(end) for end in (band_low, band_high))
        cells: tuple[Cell, ...] = (row["group"], row["id"], row["unit"] or "", measured)
        rows.append((*cells, *(Written(end, "" if end is None else f"{end:g}") for end in ends), row["seeds"] or None,
                     row["verdict"]))  # fmt: skip
    columns = (
        Column("group", "Group"), Column("band", "Band"), Column("unit", "Unit"), Column("measured", "Measured"),
        Column("from", "From"), Column("to", "To"), Column("seeds", "Seeds"), Column("verdict", "Verdict"),
    )  # fmt: skip
    markets = ", ".join(result["markets"].values()) or "no scenario"
    kind = "quick" if result["quick"] else "full"
    caption = f"Validation of {markets}, {kind} run, seeds from {result['first_seed']}."
    notes = ("* passes by its rule, though the interval crosses an edge of the band",)
    return [Table("validation", caption, columns, tuple(rows), notes if any(map(crosses, result["rows"])) else ())]


def backtests(result: Mapping[str, Any]) -> list[Table]:
    """Coverage, and cost with procyclicality, a row per model.

    Args:
        result: what :meth:`margin.backtest.Backtest.as_dict` gives.
    """
    where, window, setting = result["prices"], result["window"], result["setting"]
    said = (
        f"{where['source']}, {window['returns']:,} returns from {window['first']} to {window['last']}, "
        f"{100 * setting['confidence']:g} % over {setting['days']} d, position {setting['side']}"
    )
    covered, cost = [], []
    for one in result["models"]:
        light = one["traffic_light"]
        p = [one["kupiec"]["p_value"], one["independence"]["p_value"], one["conditional_coverage"]["p_value"]]
        covered.append(
            (
                one["name"], one["exceedances"], 100.0 * one["exceedance_rate"], one["kupiec"]["statistic"],
                *(Written(value, p_text(value)) for value in p),
                *(f"{light[key]['exceedances']} {light[key]['zone']}" for key in ("last", "worst")),
                100.0 * one["worst_shortfall"],
            )
        )  # fmt: skip
        rises = [one["increases"][days] for days in ("1", "5", "30")]
        cost.append(
            (
                one["name"], 100.0 * one["mean_margin"], one["peak_to_trough"],
                *(None if rise is None else 100.0 * rise for rise in rises),
                None if one["volatility_of_margin"] is None else 100.0 * one["volatility_of_margin"], one["qlike"],
                one["name"] in result["frontier"]["non_dominated"],
            )
        )  # fmt: skip
    coverage = (
        Column("model", "Model"), Column("exceedances", "Exceedances"), Column("rate", "Rate", "%", digits=2),
        Column("kupiec", "Kupiec", digits=2), Column("p_kupiec", "p"), Column("p_independence", "p, independence"),
        Column("p_joint", "p, joint"), Column("last_250", "Last 250", align="right"),
        Column("worst_250", "Worst 250", align="right"), Column("shortfall", "Worst shortfall", "%", digits=2),
    )  # fmt: skip
    procyclicality = (
        Column("model", "Model"), Column("mean_margin", "Mean margin", "%", digits=2),
        Column("peak_to_trough", "Peak to trough", digits=2), Column("rise_1d", "1-day rise", "%", digits=1),
        Column("rise_5d", "5-day rise", "%", digits=1), Column("rise_30d", "30-day rise", "%", digits=1),
        Column("sd", "Sd of log changes", "%", digits=2), Column("qlike", "QLIKE", digits=4),
        Column("frontier", "On the frontier"),
    )  # fmt: skip
    span = result["accepted_exceedances"]
    accepted = f"Kupiec's test accepts {span['low']} to {span['high']} exceedances of {span['of']:,} at 5 %."
    return [
        Table("coverage", f"Coverage: {said}.", coverage, tuple(covered), (accepted,)),
        Table("procyclicality", f"Cost and procyclicality: {said}.", procyclicality, tuple(cost)),
    ]


def calibration(result: Mapping[str, Any]) -> list[Table]:
    """Parameters and moments of a fit, or what a recovery of known parameters found.

    Args:
        result: what :mod:`experiments.calibration.study` or :mod:`experiments.calibration.recovery` gives.
    """
    if "fits" in result:
        return [_recovery(result)]
    parameters = tuple(
        (
            row["name"], Estimate(row["estimate"], row["low"], row["high"], _figures(row["estimate"], 5)),
            row["error"], *((row["profile"] or {}).get(end) for end in ("low", "high")),
            *row["bounds"], bool(row["log"]),
        )
        for row in result["parameters"]
    )  # fmt: skip
    moments = tuple(
        (
            row["name"], row["unit"], Estimate(row["data"], row["low"], row["high"], _figures(row["data"], 4)),
            row["simulated"], row["spread"], row["t"], 100.0 * row["inside"],
        )
        for row in result["moments"]
    )  # fmt: skip
    said = f"{result['scenario']} to {result['data']['name']}"
    test = result["test"]
    judged = () if test["p_value"] is None else (f"Test of overidentifying moments: p = {p_text(test['p_value'])}.",)
    return [
        Table(
            "parameters", f"Calibration of {said}: estimates with 95 % interval.",
            (Column("parameter", "Parameter"), Column("estimate", "Estimate"), Column("error", "Std. error"),
             Column("profile_low", "Profile from"), Column("profile_high", "To"), Column("bound_low", "Bounds from"),
             Column("bound_high", "To"), Column("log", "On logarithms")),
            parameters, judged,
        ),
        Table(
            "moments", f"Calibration of {said}: moments of data, with 95 % bootstrap interval, and of simulated runs.",
            (Column("moment", "Moment"), Column("unit", "Unit"), Column("data", "Data"),
             Column("simulated", "Simulated"), Column("spread", "Sd over seeds"), Column("t", "t", digits=2),
             Column("inside", "Seeds inside", "%", digits=0)),
            moments,
        ),
    ]  # fmt: skip


def _recovery(result: Mapping[str, Any]) -> Table:
    rows = []
    for row in result["parameters"]:
        cover = row["coverage"]
        rows.append(
            (
                row["name"], row["truth"], row["estimate"]["mean"], Estimate.of(row["bias"], signed=True), row["rmse"],
                row["deviation"], row["error"],
                Estimate.of(cover, Scale(100.0, "%"), key="share"),
            )
        )  # fmt: skip
    columns = (
        Column("parameter", "Parameter"), Column("truth", "Truth"), Column("mean", "Mean"), Column("bias", "Bias"),
        Column("rmse", "RMSE"), Column("deviation", "Sd"), Column("error", "Median std. error"),
        Column("coverage", "Coverage of 95 %", "%", digits=0),
    )  # fmt: skip
    caption = (
        f"Recovery of known parameters of {result['scenario']} from {len(result['fits'])} series of "
        f"{result['bars']:,} bars, {len(result['seeds'])} seeds at every point."
    )
    return Table("recovery", caption, columns, tuple(rows))


def replication(result: Mapping[str, Any]) -> list[Table]:
    """10 October 2025: published numbers beside the mean over seeds.

    Args:
        result: what :func:`experiments.replications.october_2025.summary` gives.
    """
    rows = []
    for key, row in result["measures"].items():
        said = result["published"][key]
        rows.append(
            (
                said["label"], said["unit"], row["published"],
                Estimate(row["mean"], row["low"], row["high"], _figures(row["mean"])), row["lowest"], row["highest"],
                row["ratio"], row["agrees"], said["source"],
            )
        )  # fmt: skip
    columns = (
        Column("measure", "Measure"), Column("unit", "Unit"), Column("published", "Published"), Column("mean", "Mean"),
        Column("lowest", "Lowest seed"), Column("highest", "Highest"), Column("ratio", "Ratio", digits=2),
        Column("agrees", "Within a factor of 2"), Column("source", "Source"),
    )  # fmt: skip
    seeds = result["seeds"]
    caption = (
        f"{result['scenario']} beside what was published of 10 October 2025, {len(seeds)} seeds ({seeds[0]} to "
        f"{seeds[-1]}), mean with 95 % interval."
    )
    more = tuple(
        (by["meaning"], Estimate.of(by, digits=_figures(by["mean"])), by["n"]) for by in result["more"].values()
    )
    return [
        Table("published", caption, columns, tuple(rows)),
        Table("more", f"Further outcomes of {result['scenario']}.",
              (Column("outcome", "Outcome"), Column("mean", "Mean"), Column("n", "Seeds")), more),
    ]  # fmt: skip


def zero_intelligence(result: Mapping[str, Any]) -> list[Table]:
    """Spread, depth and diffusion of the zero-intelligence book over the cancellation rate.

    Args:
        result: of :func:`experiments.replications.zero_intelligence.measure`.
    """
    known = result["diffusion"]
    rows = [
        (
            row["cancel"], Estimate.of(row["spread"]), row["spread_sd"], 100.0 * row["two_sided"],
            *(row["diffusion"][row["lags"].index(lag)] if lag in row["lags"] else None
              for lag in (known["short_lag"], known["long_lag"])),
            row["events"],
        )
        for row in result["rows"]
    ]  # fmt: skip
    columns = (
        Column("cancel", "Cancellation rate"), Column("spread", "Mean spread", digits=4),
        Column("spread_sd", "Sd over time", digits=4), Column("two_sided", "Two sides", "%", digits=1),
        Column("diffusion_short", "Diffusion, short"), Column("diffusion_long", "Diffusion, long"),
        Column("events", "Events"),
    )  # fmt: skip
    o = result["options"]
    caption = (
        f"Zero-intelligence book: limit rate {o['limit']:g} per price, side and time, market rate {o['market']:g} a "
        f"side, tick {o['tick']:g}."
    )
    return [Table("zero-intelligence", caption, columns, tuple(rows))]


def queue_model(result: Mapping[str, Any]) -> list[Table]:
    """Probabilities of the queue model, solved and simulated: a table a question, rows bid queue, columns ask queue.

    Args:
        result: of :func:`experiments.replications.queue_paths.measure`.
    """
    made = []
    for question, entry in result["questions"].items():
        simulated, errors = entry.get("simulated"), entry.get("standard_error")
        rows: list[tuple[Cell, ...]] = []
        for i, exact in enumerate(entry["exact"]):
            rows.append((i + 1, "solved", *map(float, exact)))
            if simulated is not None and errors is not None:
                ends = zip(simulated[i], errors[i], strict=True)
                rows.append((i + 1, "simulated", *(Estimate(v, v - 1.96 * e, v + 1.96 * e) for v, e in ends)))
        columns = (
            Column("bids", "Bids"), Column("how", ""),
            *(Column(f"asks_{k + 1}", f"{k + 1} asks" if k else "1 ask", digits=3)
              for k in range(len(entry["exact"][0]))),
        )  # fmt: skip
        spread = result["options"]["spread"]
        caption = f"P({entry['means']}), spread of {spread} ticks, by orders in the queues; simulated: 95 % interval."
        made.append(Table(f"queue-{question}", caption, columns, tuple(rows)))
    return made


def _figures(value: float | None, figures: int = 3) -> int:
    """Decimals that show so many figures."""
    import math

    if value is None or not math.isfinite(value) or value == 0.0:
        return 0
    return min(max(figures - 1 - math.floor(math.log10(abs(value))), 0), 6)
