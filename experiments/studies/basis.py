"""What ties a future and a perpetual to spot? A market with and without those who trade the difference.

    python -m experiments.studies.basis --seeds 5000:5020 --jobs 2 --out out/basis

Each seed runs the same scenario in four arms: as it is, and with basis arbitrageurs, funding arbitrageurs, or both, who
never open a pair (their accounts stay, so every other draw is the same). After the burn-in the *deviation* of each
future and perpetual is measured: log mid less log mid of spot less fair carry, r times the years to expiry.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import build, jobs, run
from experiments.engines import engine
from experiments.scenario import Scenario
from experiments.sections import PopulationSpec
from experiments.seeds import parse_seeds
from experiments.statistics import mean_interval
from experiments.store import OutputFolder, code_hash, plain
from sim.contracts import DAYS_PER_YEAR, Contract
from sim.errors import ConfigError, MarginLabError

if TYPE_CHECKING:
    import pandas as pd

NEVER = 1e12  # excess per year at which nobody opens a pair
ARMS: dict[str, tuple[str, ...]] = {
    "both": (),
    "basis only": ("funding_arbitrageurs",),
    "funding only": ("basis_arbitrageurs",),
    "neither": ("basis_arbitrageurs", "funding_arbitrageurs"),
}
MEASURES = ("rms", "mean", "persistence", "correlation", "funding")
_BP = 1e4


@dataclass(frozen=True)
class BasisTask:
    """One seed of one arm, picklable."""

    scenario: Scenario
    seed: int
    arm: str


def spot_of(contracts: Sequence[Contract]) -> Contract:
    """The spot contract to which the others are compared.

    Raises:
        ConfigError: there is none, or no future or perpetual about the same underlying.
    """
    for contract in contracts:
        if contract.kind == "spot" and derivatives(contracts, contract):
            return contract
    names = ", ".join(contract.name for contract in contracts)
    raise ConfigError.of("contracts", names, "a spot contract, and a future or a perpetual about the same underlying")


def derivatives(contracts: Sequence[Contract], spot: Contract) -> list[Contract]:
    """Futures and perpetuals about the underlying of a spot contract."""
    return [c for c in contracts if c.about == spot.about and c.kind != "spot" and not c.is_option]


def without(scenario: Scenario, kinds: Sequence[str]) -> Scenario:
    """The scenario in which traders of some kinds never open a pair.

    Raises:
        ConfigError: it has no traders of a kind.
    """
    for kind in kinds:
        if not any(spec.kind == kind for spec in scenario.populations):
            raise ConfigError.of("populations", ", ".join(s.kind for s in scenario.populations), f"some {kind} in it")
    specs = [
        PopulationSpec(s.kind, s.name, {**s.params, "entry": NEVER}) if s.kind in kinds else s
        for s in scenario.populations
    ]
    return replace(scenario, populations=tuple(specs))


def deviation(table: pd.DataFrame, contract: Contract, spot: Contract, rate: float, per_day: int) -> np.ndarray:
    """Log mid of a contract less that of spot less fair carry, float64[steps recorded], NaN after its expiry."""
    mids = table.pivot(index="step", columns="contract", values="mid")
    steps = mids.index.to_numpy(np.float64)
    years = np.maximum(contract.expiry_step - steps, 0.0) / (DAYS_PER_YEAR * per_day) if contract.expiry_step else 0.0
    gap = np.log(mids[contract.name].to_numpy()) - np.log(mids[spot.name].to_numpy()) - rate * years
    return np.where((contract.expiry_step == 0) | (steps <= contract.expiry_step), gap, np.nan)


def persistence(gap: np.ndarray, lag: int) -> float:
    """Autocorrelation of a series at a lag, NaN where it is too short or constant."""
    gap = gap[np.isfinite(gap)]
    if gap.size < lag + 3 or gap[:-lag].std() == 0 or gap[lag:].std() == 0:
        return float("nan")
    return float(np.corrcoef(gap[:-lag], gap[lag:])[0, 1])


def measures(table: pd.DataFrame, scenario: Scenario) -> dict[str, dict[str, float]]:
    """The measures of every future and perpetual: deviations in basis points, funding in basis points a payment."""
    contracts = build.contracts(scenario)
    spot, market = spot_of(contracts), scenario.market
    table = table[table["step"] > market.burn_in]
    hour = max(1, round(3600.0 / (market.dt_seconds * scenario.record.every)))
    mids = table.pivot(index="step", columns="contract", values="mid")
    found = {}
    for contract in derivatives(contracts, spot):
        gap = deviation(table, contract, spot, market.interest_rate, market.steps_per_day)
        hourly = np.diff(np.log(mids[[contract.name, spot.name]].to_numpy()[np.isfinite(gap)][::hour]), axis=0)
        rates = table.loc[table["contract"] == contract.name, "funding_rate"].to_numpy()
        enough = len(hourly) > 2 and (hourly.std(axis=0) > 0).all()
        known = gap[np.isfinite(gap)]
        found[contract.name] = {
            "rms": _BP * float(np.sqrt(np.mean(known**2))) if known.size else float("nan"),
            "mean": _BP * float(np.mean(known)) if known.size else float("nan"),
            "persistence": persistence(gap, hour),
            "correlation": float(np.corrcoef(hourly.T)[0, 1]) if enough else float("nan"),
            "funding": _BP * float(np.mean(np.abs(rates))) if contract.funding_interval_steps else float("nan"),
        }
    return found


def one(task: BasisTask) -> jobs.UnitResult:
    """One seed of one arm."""
    began = time.perf_counter()
    scenario = without(task.scenario, ARMS[task.arm])
    market = build.market(scenario, task.seed)
    run.advance(market, scenario.steps, scenario.steps)
    record: dict[str, Any] = {"regime": scenario.margin.regime, "arm": task.arm, "seed": task.seed}
    record |= {"contracts": plain(measures(market.steps_table(), scenario)), "results_hash": market.results_hash()}
    market.close()
    return jobs.UnitResult([record | {"wall_seconds": time.perf_counter() - began}])


def study(
    scenario: Scenario, seeds: Sequence[int], *, workers: int = 1, folder: OutputFolder | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Run every arm on every seed.

    Returns:
        Plain data: per arm and contract the mean of every measure over seeds with its interval.

    Raises:
        ConfigError: the scenario has no spot market with a derivative, or no arbitrageurs.
    """
    contracts = build.contracts(scenario)
    names = [contract.name for contract in derivatives(contracts, spot_of(contracts))]
    for kinds in ARMS.values():
        without(scenario, kinds)
    units = [
        jobs.Unit(jobs.safe_key(arm.replace(" ", "-"), "seed", seed), BasisTask(scenario, seed, arm))
        for arm in ARMS
        for seed in seeds
    ]
    runs = jobs.perform(units, one, engine(workers), folder, on_done)
    result: dict[str, Any] = plain(
        {
            "scenario": scenario.name,
            "seeds": list(seeds),
            "arms": {
                arm: {
                    name: {
                        m: mean_interval([_number(r["contracts"][name][m]) for r in runs if r["arm"] == arm])
                        for m in MEASURES
                    }
                    for name in names
                }
                for arm in ARMS
            },
            "results_hash": jobs.hash_of(runs),
        }
    )
    if folder is not None:
        jobs.finish(folder, units, result, result["results_hash"])
    return result


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def lines(result: Mapping[str, Any]) -> list[str]:
    """The result as a Markdown table."""
    shown = [
        "| arm | contract | rms, bp | mean, bp | autocorrelation, 1 h | correlation with spot, 1 h | funding, bp |",
        "|---|---|---|---|---|---|---|",
    ]
    for arm, contracts in result["arms"].items():
        for name, found in contracts.items():
            shown.append(f"| {arm} | {name} | " + " | ".join(_cell(found[m]) for m in MEASURES) + " |")
    return shown


def _cell(estimate: Mapping[str, Any]) -> str:
    if estimate["mean"] is None:
        return "-"
    if estimate["low"] is None:
        return f"{estimate['mean']:.3g}"
    return f"{estimate['mean']:.3g} [{estimate['low']:.3g}, {estimate['high']:.3g}]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit status."""
    from experiments.console import load, progress

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", default="basis", help="scenario with spot, derivatives and both kinds of traders")
    parser.add_argument("--seeds", default="5000:5020", help="seeds")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", default=None, help="folder of results; a stopped study goes on there")
    parser.add_argument("--json", action="store_true", help="the whole result on standard output")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the scenario")
    parser.add_argument("--plugin", action="append", default=[], help="file with own rules or traders")
    given = parser.parse_args(arguments)
    try:
        scenario, seeds = load(given.scenario, given.set, given.plugin), parse_seeds(given.seeds)
        job = {"command": "basis", "scenario": scenario.as_run(), "seeds": list(seeds), "code": code_hash()}
        folder = OutputFolder(given.out, job) if given.out else None
        with progress(f"basis {scenario.name}") as on_done:
            result = study(scenario, seeds, workers=given.jobs, folder=folder, on_done=on_done)
    except MarginLabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result, indent=1) if given.json else "\n".join(lines(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
