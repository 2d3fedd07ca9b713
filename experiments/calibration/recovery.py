"""Does the method find what it should? Calibrate to series that were simulated at known parameters.

Each series is one run of the scenario at its own values, with a seed that no simulated point uses, as long as the
simulated runs. Every series is calibrated alike, and the estimates are set beside the truth: bias, root mean squared
error, mean standard error, share of 95 % intervals that hold the truth, share of J tests that reject at 5 %.

All series share the simulated points (the same seeds, so the same moments), which makes a study of many series cheap:
what is left over of the simulation noise, 1 / (1 + S) of the variance, is common to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.calibration import weights
from experiments.calibration.bars import Bars
from experiments.calibration.evaluations import Evaluator
from experiments.calibration.moments import Moment, measure
from experiments.calibration.parameters import Free
from experiments.calibration.simulate import bars_of, simulate
from experiments.calibration.study import Calibration, Problem, solve, stated_value
from experiments.calibration.summary import fit
from experiments.cli.options import print_json
from experiments.console import progress
from experiments.engines import kept
from experiments.statistics import mean_interval
from experiments.store import FAILED, FINISHED, INTERRUPTED, OutputFolder, plain
from sim.errors import ConfigError

if TYPE_CHECKING:
    from experiments.calibration.command import Options

DEFAULT_BARS = 1000


def command(
    options: Options, free: Sequence[Free], chosen: Sequence[Moment], *, jobs: int, out: str | None, as_json: bool
) -> None:
    """``marginlab calibrate SCENARIO --recover N``.

    Raises:
        ConfigError: an option does not fit, or the scenario does not state the value of a free key.
    """
    if options.recover is None or options.recover < 2:
        raise ConfigError.of("--recover", options.recover, "at least 2 series")
    seeds = tuple(range(options.data_seeds, options.data_seeds + options.recover))
    used = set(options.seeds) | set(range(max(options.seeds) + 1, max(options.seeds) + 1 + options.error_seeds))
    if set(seeds) & used:
        raise ConfigError.of("--data-seeds", options.data_seeds, "seeds that --seeds and --error-seeds do not use")
    count = options.bars or DEFAULT_BARS
    study = Calibration(
        options.scenario, tuple(free), tuple(chosen), options.seeds, _blank(count, options.bar_seconds),
        options.assignments, replace(options.method, slices=0), count, options.price, options.contract,
        options.plugins,
    ).prepared(data_known=False)  # fmt: skip
    truth = truth_of(study)
    job = study.job() | {"command": "calibrate --recover", "reading": f"data seeds {seeds[0]} to {seeds[-1]}"}
    folder = OutputFolder(out, job) if out is not None else None
    with progress(f"recover {study.ready[0].name}") as on_done:
        result = recover(study, truth, seeds, workers=jobs, folder=folder, on_done=on_done)
    if folder is not None:
        from experiments import reporting

        reporting.write(folder.path)
    if as_json:
        print_json(result)
        return
    for line in lines(result):
        print(line)
    if out is not None:
        print(f"Results: {out}")


def _blank(count: int, seconds: float | None) -> Bars:
    """Stands for data of a known length that are still to be simulated."""
    return Bars("simulated", seconds, np.ones(count + 1))


def truth_of(study: Calibration) -> dict[str, float]:
    """The scenario's own values of the free parameters.

    Raises:
        ConfigError: one is not written in the scenario, or lies outside the bounds.
    """
    stated = study.ready[0].as_run()
    found: dict[str, float] = {}
    for parameter in study.free:
        value = stated_value(stated, parameter.keys[0])
        if value is None:
            allowed = "a key with a number in the scenario (write it there, or give it with --set): it is the truth"
            raise ConfigError.of("--free", parameter.name, allowed)
        if not parameter.low <= value <= parameter.high:
            raise ConfigError.of("--free", parameter.name, f"bounds around the scenario's own value {value:g}")
        found[parameter.name] = value
    return found


def recover(
    study: Calibration,
    truth: Mapping[str, float],
    data_seeds: Sequence[int],
    *,
    workers: int = 1,
    folder: OutputFolder | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Calibrate to each of a row of simulated series.

    Args:
        study: prepared, with any series as its data.
        truth: values that the series are simulated at.
        data_seeds: one series each.
        workers: processes.
        folder: where simulated points and the result are kept, or None.
        on_done: told (series done, series in all).

    Returns:
        Plain data: per parameter truth, mean, bias, RMSE, mean standard error and coverage; rejections of the J test;
        every fit.
    """
    scenario = study.model.scenario(truth)
    if folder is not None:
        folder.begin()
    fits: list[dict[str, Any]] = []
    try:
        with kept(workers) as engine:
            evaluator = Evaluator(study.model, simulate, study.seeds, engine, folder)
            for number, seed in enumerate(data_seeds):
                name = f"fits/seed-{seed}.json"
                one = folder.read_json(name) if folder is not None else None
                if one is None:
                    series = bars_of(scenario, seed, study.ready[1])
                    one = plain(_fitted(study, series, evaluator) | {"seed": seed})
                    if folder is not None:
                        folder.write_json(name, one)
                fits.append(one)
                if on_done is not None:
                    on_done(number + 1, len(data_seeds))
    except BaseException as error:
        if folder is not None:
            stopped = isinstance(error, KeyboardInterrupt)
            folder.write_manifest(INTERRUPTED if stopped else FAILED, **({} if stopped else {"error": str(error)}))
        raise
    result: dict[str, Any] = plain(
        {
            "command": "calibrate --recover",
            "scenario": study.ready[0].name,
            "moments": [moment.name for moment in study.moments],
            "seeds": list(study.seeds),
            "data_seeds": list(data_seeds),
            "bars": study.simulated_bars,
            "tau": study.tau,
            **judged(study.free, truth, fits),
            "fits": fits,
        }
    )
    if folder is not None:
        folder.write_json("summary.json", result)
        folder.write_manifest(FINISHED)
    return result


def _fitted(study: Calibration, series: Bars, evaluator: Evaluator) -> dict[str, Any]:
    data = weights.of_data(series, study.moments, block=study.method.block, replications=study.method.replications)
    problem = Problem(study.free, tuple(m.name for m in study.moments), data, study.tau, study.method)
    found = fit(problem, solve(problem, evaluator))
    observed = {m.name: v for m, v in zip(study.moments, measure(series, study.moments), strict=True)}
    kept_keys = ("distance", "parameters", "test")
    return {key: found[key] for key in kept_keys} | {
        "observed": observed, "condition": found["identification"]["condition"]
    }  # fmt: skip


def judged(free: Sequence[Free], truth: Mapping[str, float], fits: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Bias, errors, coverage and rejections over fits; fits without a standard error count as intervals that miss."""
    rows = []
    for number, parameter in enumerate(free):
        mine = [one["parameters"][number] for one in fits]
        true = truth[parameter.name]
        estimates = np.array([row["estimate"] for row in mine], np.float64)
        errors = np.array([np.nan if row["error"] is None else row["error"] for row in mine], np.float64)
        holds = [row["low"] is not None and row["low"] <= true <= row["high"] for row in mine]
        rows.append(
            {
                "name": parameter.name, "truth": true, "estimate": mean_interval(estimates),
                "bias": mean_interval(estimates - true), "rmse": float(np.sqrt(np.mean((estimates - true) ** 2))),
                "deviation": float(estimates.std(ddof=1)) if len(fits) > 1 else None,
                "error": float(np.nanmedian(errors)) if np.isfinite(errors).any() else None,
                "coverage": _share(holds), "without_error": int((~np.isfinite(errors)).sum()),
            }
        )  # fmt: skip
    rejected = [one["test"]["p_value"] < 0.05 for one in fits if one["test"]["p_value"] is not None]
    return {"parameters": rows, "rejections": _share(rejected)}


def _share(events: Sequence[bool]) -> dict[str, Any]:
    """A share with its Wilson (1927) 95 % interval."""
    if not events:
        return {"share": None, "low": None, "high": None, "n": 0}
    from scipy import stats

    found = stats.binomtest(int(sum(events)), len(events)).proportion_ci(method="wilson")
    return {"share": float(np.mean(events)), "low": float(found.low), "high": float(found.high), "n": len(events)}


def lines(result: Mapping[str, Any]) -> list[str]:
    """The study for a terminal."""
    from experiments.calibration.lines import number, table

    rows = []
    for row in result["parameters"]:
        cover = row["coverage"]
        rows.append(
            (
                row["name"], number(row["truth"]), number(row["estimate"]["mean"]), number(row["bias"]["mean"], 3),
                f"{number(row['bias']['low'], 3)} to {number(row['bias']['high'], 3)}", number(row["deviation"], 3),
                number(row["error"], 3),
                f"{100 * cover['share']:.0f} % ({100 * cover['low']:.0f} to {100 * cover['high']:.0f})",
            )
        )  # fmt: skip
    heads = ("parameter", "truth", "mean", "bias", "95 % interval", "sd", "median error", "coverage of 95 %")
    found = [
        f"{result['scenario']}: {len(result['fits'])} series of {result['bars']} bars at known parameters, "
        f"{len(result['seeds'])} seeds at every point",
        *table("Recovery", heads, rows),
    ]
    test = result["rejections"]
    if test["share"] is not None:
        low, high = 100 * test["low"], 100 * test["high"]
        found.append(f"J test rejects at 5 % in {100 * test['share']:.0f} % of series ({low:.0f} to {high:.0f})")
    return found
