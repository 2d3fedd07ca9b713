"""Is the onset of cascades a transition or a crossover? The same R0 in markets of different sizes.

At a transition the share of open interest that a fall liquidates jumps at a critical R0 once the market is large: the
rise becomes ever steeper with size, and at the critical point single runs are liquidated either little or nearly whole.
At a crossover the rise keeps its width. Both ways to enlarge a market are measured (:mod:`experiments.studies.sizes`).

One market per size and seed runs to just before open interest is seeded; it is forked there into all values of R0, so
that these share their history. R0 is taken as open interest is seeded, and what is liquidated is counted from there on:
where R0 is large a cascade need not wait for the sale, and after one R0 is small. Intervals resample seeds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments import build, jobs, run
from experiments.engines import engine
from experiments.measures import leveraged_lots
from experiments.scenario import Scenario
from experiments.statistics import GENERATOR_SEED
from experiments.store import OutputFolder, code_hash, plain
from experiments.studies.cascades import at_target, r0
from experiments.studies.crossover_fits import bimodality, crossover, decay_with_size, interval, logistic_fit
from experiments.studies.setups import sale, seeding
from experiments.studies.sizes import WAYS, WHOLE, enlarged

GRID = (0.4, 0.7, 1.0, 1.3, 1.6, 2.0, 2.5)
FACTORS = (1, 4, 16)
LARGE = 0.30  # share of leveraged open interest whose liquidation counts as a cascade
_RESAMPLES = 400

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SizeTask:
    """One seed of one size, picklable.

    Attributes:
        scenario: enlarged already.
        seed: of the run.
        way: how it was enlarged.
        factor: how many times.
        targets: values of R0 to aim at.
    """

    scenario: Scenario
    seed: int
    way: str
    factor: int
    targets: tuple[float, ...]


@dataclass(frozen=True)
class Crossover:
    """What is measured.

    Attributes:
        scenario: a scenario that seeds open interest before a sale.
        seeds: seeds of each size.
        factors: sizes, the first the scenario itself.
        targets: values of R0 to aim at.
        ways: how to enlarge.
        most: seeds of the largest size enlarged as a whole, which takes longest; all if None.
    """

    scenario: Scenario
    seeds: tuple[int, ...]
    factors: tuple[int, ...] = FACTORS
    targets: tuple[float, ...] = GRID
    ways: tuple[str, ...] = WAYS
    most: int | None = None

    def sizes(self) -> list[tuple[str, int]]:
        """(way, factor) of every size; the scenario itself stands under the first way alone."""
        return [
            (way, factor)
            for position, way in enumerate(self.ways)
            for factor in self.factors
            if factor > 1 or position == 0
        ]

    def units(self) -> list[jobs.Unit]:
        """One unit per size and seed.

        Raises:
            ConfigError: the scenario seeds no open interest or sells nothing, or cannot be enlarged so far.
        """
        seeding(self.scenario), sale(self.scenario)
        found = []
        for way, factor in self.sizes():
            scenario = enlarged(self.scenario, factor, way)
            seeds = self.seeds[: self.most] if way == WHOLE and factor == max(self.factors) else self.seeds
            for seed in seeds:
                task = SizeTask(scenario, seed, way, factor, self.targets)
                found.append(jobs.Unit(jobs.safe_key(way, factor, "seed", seed), task))
        return found

    def job(self) -> dict[str, Any]:
        """What the manifest says of the job."""
        return {
            "command": "scaling",
            "scenario_name": self.scenario.name,
            "scenario": self.scenario.as_run(),
            "seeds": list(self.seeds),
            "options": {
                "factors": list(self.factors), "targets": list(self.targets), "ways": list(self.ways),
                "most": self.most,
            },
            "code": code_hash(),
        }  # fmt: skip


def liquidated_shares(task: SizeTask) -> jobs.UnitResult:
    """One seed of one size: R0 and the share of leveraged lots liquidated, at every target."""
    began = time.perf_counter()
    scenario = task.scenario
    shock = scenario.event_step(sale(scenario).name)
    seeded = scenario.event_steps[seeding(scenario).name]
    last = run.last_step(scenario, shock)
    base = build.market(scenario, task.seed)
    run.advance(base, seeded - 1, last)
    records = []
    for target in task.targets:
        arm = base.fork(events=build.scripted_events(at_target(scenario, target)))
        run.advance(arm, seeded, last)
        at_seeding = r0(arm)
        leveraged = leveraged_lots(arm)
        before = int(arm.state.quotes["liquidated"].sum())
        run.advance(arm, shock, last)
        at_shock = r0(arm)
        run.advance(arm, last, last)
        lots = int(arm.state.quotes["liquidated"].sum()) - before
        records.append(
            {
                "way": task.way, "factor": task.factor, "target": target, "seed": task.seed,
                "r0": at_seeding, "r0_shock": at_shock, "leveraged": leveraged,
                "share": min(lots / leveraged, 1.0) if leveraged else 0.0,
                "regime": scenario.margin.regime, "arm": f"{task.way} {task.factor} r0 {target:g}",
                "results_hash": arm.results_hash(),
            }
        )  # fmt: skip
        arm.close()
    base.close()
    records[0]["wall_seconds"] = time.perf_counter() - began
    return jobs.UnitResult(records)


def measure(
    study: Crossover,
    *,
    workers: int = 1,
    folder: OutputFolder | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Run the study.

    Returns:
        Plain data: ``sizes`` (per size the curve over R0, position, width, bimodality) and ``ways`` (per way how width
        and spread change with size), each estimate with its interval.
    """
    units = study.units()
    runs = jobs.perform(units, liquidated_shares, engine(workers), folder, on_done)
    result = plain(
        {
            "scenario": study.scenario.name,
            "seeds": study.seeds,
            **summary(runs, study.ways, study.factors),
            "results_hash": jobs.hash_of(runs),
        }
    )
    if folder is not None:
        jobs.finish(folder, units, result, result["results_hash"])
    return result


@dataclass(frozen=True)
class _Size:
    """Runs of one size as arrays [seed, target]; a seed that was not run is NaN."""

    way: str
    factor: int
    targets: Floats
    r0: Floats
    r0_shock: Floats
    share: Floats


def summary(runs: Sequence[Mapping[str, Any]], ways: Sequence[str], factors: Sequence[int]) -> dict[str, Any]:
    """Curves, fits and their change with size, with intervals over seeds."""
    sizes = _sizes(runs)
    seeds = max(len(size.share) for size in sizes)
    rng = np.random.default_rng(GENERATOR_SEED)
    rows = [rng.integers(0, seeds, seeds) for _ in range(_RESAMPLES)]
    found = [_measures(size, None) for size in sizes]
    drawn = [[_measures(size, r % len(size.share)) for r in rows] for size in sizes]
    described = []
    for size, value, sample in zip(sizes, found, drawn, strict=True):
        described.append(
            {
                "way": size.way, "factor": size.factor, "seeds": len(size.share),
                "curve": _curve(size),
                **{name: interval([one[name] for one in sample], value[name]) for name in value},
            }
        )  # fmt: skip
    trends: dict[str, Any] = {}
    for way in ways:
        chosen = [i for i, size in enumerate(sizes) if size.way == way or size.factor == 1]
        if len(chosen) < 2:
            continue
        factor = [sizes[i].factor for i in chosen]
        trends[way] = {
            name: interval(
                [decay_with_size(factor, [drawn[i][b][name] for i in chosen]) for b in range(_RESAMPLES)],
                decay_with_size(factor, [found[i][name] for i in chosen]),
            )
            for name in ("width", "share_width", "spread")
        }
        largest = chosen[int(np.argmax(factor))]
        base = chosen[int(np.argmin(factor))]
        trends[way] |= {
            f"{name}_change": interval(
                [drawn[largest][b][name] - drawn[base][b][name] for b in range(_RESAMPLES)],
                found[largest][name] - found[base][name],
            )
            for name in ("bimodality", "position")
        }
    return {"sizes": described, "ways": trends}


def _sizes(runs: Sequence[Mapping[str, Any]]) -> list[_Size]:
    found = []
    for way, factor in dict.fromkeys((r["way"], r["factor"]) for r in runs):
        chosen = [r for r in runs if r["way"] == way and r["factor"] == factor]
        targets = sorted({r["target"] for r in chosen})
        by = {(r["seed"], r["target"]): r for r in chosen}
        seeds = list(dict.fromkeys(r["seed"] for r in chosen))

        def table(name: str, by: Any = by, seeds: Any = seeds, targets: Any = targets) -> Floats:
            rows = [[by[seed, target][name] for target in targets] for seed in seeds]
            return np.array(rows, np.float64)

        found.append(_Size(way, factor, np.array(targets), table("r0"), table("r0_shock"), table("share")))
    return found


def _measures(size: _Size, rows: NDArray[np.int64] | None) -> dict[str, float]:
    """Position and width of the rise of probability and of mean share, and what shares look like at its middle."""
    r0, share = (size.r0, size.share) if rows is None else (size.r0[rows], size.share[rows])
    median = np.nanmedian(r0, axis=0)
    x = np.log(np.where(median > 0, median, np.nan))
    n = np.full(share.shape[1], float(len(share)))
    probability = (share > LARGE).mean(axis=0)
    position, width = crossover(*logistic_fit(x, probability, n))
    share_position, share_width = crossover(*logistic_fit(x, share.mean(axis=0), n))
    spread = share.std(axis=0, ddof=1) if len(share) > 1 else np.full(share.shape[1], np.nan)
    middle = int(np.argmax(spread)) if np.isfinite(spread).any() else 0
    return {
        "position": position, "width": width, "share_position": share_position, "share_width": share_width,
        "spread": float(spread[middle]), "bimodality": bimodality(share[:, middle]),
    }  # fmt: skip


def _curve(size: _Size) -> list[dict[str, float]]:
    return [
        {
            "target": float(target),
            "r0": float(np.nanmedian(size.r0[:, i])),
            "r0_shock": float(np.nanmedian(size.r0_shock[:, i])),
            "probability": float((size.share[:, i] > LARGE).mean()),
            "share": float(size.share[:, i].mean()),
            "share_sd": float(size.share[:, i].std(ddof=1)) if len(size.share) > 1 else float("nan"),
            "bimodality": bimodality(size.share[:, i]),
        }
        for i, target in enumerate(size.targets)
    ]


def lines(result: Mapping[str, Any]) -> list[str]:
    """The result as Markdown tables."""
    shown = [
        "| market | seeds | R0 at P = 1/2 | width in ln R0 | largest spread of the share | bimodality there |",
        "|---|---|---|---|---|---|",
    ]
    for size in result["sizes"]:
        cells = [_cell(size[name]) for name in ("position", "width", "spread", "bimodality")]
        shown.append(f"| {size['way']} x{size['factor']} | {size['seeds']} | " + " | ".join(cells) + " |")
    targets = [point["target"] for point in result["sizes"][0]["curve"]]
    shown += ["", "| P(share > 30 %) at R0 | " + " | ".join(f"{t:g}" for t in targets) + " |"]
    shown.append("|---|" + "---|" * len(targets))
    for size in result["sizes"]:
        cells = [f"{point['probability']:.2f}" for point in size["curve"]]
        shown.append(f"| {size['way']} x{size['factor']} | " + " | ".join(cells) + " |")
    shown += ["", "| way | exponent of width | of the share's width | of its spread | change of bimodality |"]
    shown.append("|---|---|---|---|---|")
    for way, trend in result["ways"].items():
        cells = [_cell(trend[name]) for name in ("width", "share_width", "spread", "bimodality_change")]
        shown.append(f"| {way} | " + " | ".join(cells) + " |")
    return shown


def _cell(estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return "-"
    if estimate["low"] is None:
        return f"{estimate['value']:.2f}"
    return f"{estimate['value']:.2f} [{estimate['low']:.2f}, {estimate['high']:.2f}]"
