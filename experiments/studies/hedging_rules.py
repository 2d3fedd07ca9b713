"""What hedging rules cost: how much a dealer trades against how far its delta strays, rule by rule.

One dealer sells options with three days to live and is made delta-neutral; then the market is forked, and each fork
goes on under another rule for 2,000 steps. Measured are the lots it trades, the root of the mean squared delta it
carries from one step to the next, and the realised variance of the mark, which the hedge itself moves.

    python -m experiments.studies.hedging_rules --seeds 5000:5040 --jobs 2
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments import build, jobs
from experiments.engines import engine
from experiments.scenario import Scenario, parse
from experiments.seeds import parse_seeds
from experiments.statistics import mean_interval, paired_difference
from experiments.store import plain

SEEDED_AT, HEDGED_STEPS = 200, 2000
RULES: dict[str, dict[str, Any]] = {
    **{f"time {n}": {"hedge": "time", "hedge_period": n} for n in (5, 20, 60, 240)},
    **{f"band {n}": {"hedge": "band", "band_lots": n} for n in (1, 3, 8, 20)},
    **{f"whalley_wilmott {n}": {"hedge": "whalley_wilmott", "risk_aversion": n} for n in (30, 3, 0.3)},
}
MEASURES = ("turnover", "stray_delta", "realised_variance")
# rules that leave about the same delta open on seeds 0-19
PAIRS = (("whalley_wilmott 3", "time 60"), ("whalley_wilmott 3", "band 8"), ("band 8", "time 60"))


@dataclass(frozen=True)
class Task:
    """All rules on one seed, picklable."""

    scenario: Scenario
    seed: int


def scenario(gamma_per_depth: float = -0.1) -> Scenario:
    """The calm market with a chain that is priced on its mark, and one dealer who quotes nothing."""
    return parse(
        {
            "extends": "calm",
            "market": {"steps": SEEDED_AT + HEDGED_STEPS + 1, "burn_in": 0},
            "chains": [{"name": "X", "underlying": "perp", "expiry_days": [3], "strikes": 9, "spacing": 0.01,
                        "priced_on": "mark", "tick_size": 0.02, "tick_value": 2}],
            "populations": [{"kind": "option_makers", "name": "dealers", "count": 1, "quotes": False,
                             "child_lots": 1000}],
            "events": [{"name": "options", "kind": "seed_options", "at_step": SEEDED_AT, "population": "dealers",
                        "gamma_per_depth": gamma_per_depth, "strikes": [0.97, 1.03]}],
        },
        name="hedging-rules",
        file="hedging-rules",
    )  # fmt: skip


def measure(task: Task) -> jobs.UnitResult:
    """Run one seed to the seeding and go on under every rule."""
    base = build.market(task.scenario, task.seed)
    base.run_until(SEEDED_AT)
    number = base.population_number("dealers")
    population = base.populations[number]
    account = population.first
    records = []
    for rule, params in RULES.items():
        market = base.fork()
        population.change(market, **params)
        market.step()
        held, traded = int(market.state.positions["lots"][account, 0]), 0
        strays, moves = [], []
        for _ in range(HEDGED_STEPS):
            strays.append(float(population.column(market.state, "delta")[0]) + held)
            before = int(market.state.quotes["mark"][0])
            market.step()
            moves.append(np.log(int(market.state.quotes["mark"][0]) / before))
            now = int(market.state.positions["lots"][account, 0])
            traded, held = traded + abs(now - held), now
        records.append(
            {
                "regime": rule, "arm": "", "seed": task.seed, "turnover": traded,
                "stray_delta": float(np.sqrt(np.mean(np.square(strays)))),
                "realised_variance": float(np.sum(np.square(moves))), "results_hash": market.results_hash(),
            }
        )  # fmt: skip
        market.close()
    base.close()
    return jobs.UnitResult(records)


def study(base: Scenario, seeds: Sequence[int], workers: int) -> dict[str, Any]:
    """Every rule on every seed: means with intervals, and paired differences of rules that leave as much delta open."""
    units = [jobs.Unit(jobs.safe_key("seed", seed), Task(base, seed)) for seed in seeds]
    runs = jobs.perform(units, measure, engine(workers))
    values = {
        rule: {name: np.array([run[name] for run in runs if run["regime"] == rule], float) for name in MEASURES}
        for rule in RULES
    }
    return plain(
        {
            "seeds": list(seeds),
            "means": {rule: {name: mean_interval(of[name]) for name in MEASURES} for rule, of in values.items()},
            "differences": {
                f"{a} - {b}": {name: paired_difference(values[a][name], values[b][name]) for name in MEASURES}
                for a, b in PAIRS
            },
            "results_hash": jobs.hash_of(runs),
        }
    )


def lines(result: Mapping[str, Any]) -> list[str]:
    """The result as Markdown tables."""
    shown = ["| rule | lots traded | stray delta, lots | realised variance, 1e-3 |", "|---|---|---|---|"]
    for rule, found in result["means"].items():
        cells = [_cell(found[name], 1000.0 if name == "realised_variance" else 1.0) for name in MEASURES]
        shown.append(f"| {rule} | " + " | ".join(cells) + " |")
    shown += ["", "| difference | lots traded | stray delta, lots | realised variance, 1e-3 |", "|---|---|---|---|"]
    for pair, found in result["differences"].items():
        cells = [_cell(found[name], 1000.0 if name == "realised_variance" else 1.0) for name in MEASURES]
        shown.append(f"| {pair} | " + " | ".join(cells) + " |")
    return shown


def _cell(estimate: Mapping[str, Any], scale: float) -> str:
    if estimate["mean"] is None or estimate["low"] is None:
        return "-" if estimate["mean"] is None else f"{estimate['mean'] * scale:.3g}"
    return f"{estimate['mean'] * scale:.3g} [{estimate['low'] * scale:.3g}, {estimate['high'] * scale:.3g}]"


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="5000:5040", help="seeds")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--out", default=None, help="file for the whole result, JSON")
    given = parser.parse_args(arguments)
    result = study(scenario(), parse_seeds(given.seeds), given.jobs)
    if given.out:
        Path(given.out).write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print("\n".join(lines(result)))


if __name__ == "__main__":
    main()
