"""Does the sign of dealers' gamma decide whether their hedging amplifies moves? Declared on the market gamma-perpetual.

Two parts on the same seeds, both at the scenario's own parameters of dealers:

- *path*: no sale and no leveraged positions; a day after the options are seeded, dealers short of gamma and long of it
  against dealers who do not hedge (:mod:`experiments.gamma.study`): realised volatility, drawdown, run-up, and the
  autocorrelation of half-hour returns, whose sign Barbon and Buraschi (2021) find to be that of short gamma (momentum)
  and long gamma (reversal);
- *impact*: the amplification of a sell metaorder of 5 % of daily volume in 15 steps by the hedging of dealers short and
  long of the same gamma (:mod:`experiments.impact.mechanisms`).

``python -m experiments.studies.gamma_sign --seeds 5100:5112 --jobs 2 --out out/gamma-sign``
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.cli.options import workers
from experiments.events import SeedOpenInterest, SeedOptions
from experiments.scenario import Scenario
from experiments.studies.interaction import DURATION, SCENARIO, SIZE
from sim.errors import MarginLabError

SEEDS = "5100:5120"
DAY = "measure.window_steps=1440"


def gamma_of(scenario: Scenario) -> float:
    """Size of the dealers' gamma that a scenario seeds, without its sign."""
    seeded = [e.gamma_per_depth for e in scenario.events if isinstance(e, SeedOptions)]
    return abs(float(next(gamma for gamma in seeded if gamma is not None)))


def unlevered(scenario: Scenario) -> Scenario:
    """The scenario without seeded open interest.

    With it, the placebo (options owned and not hedged against options sold and not hedged) need not be exact: losses of
    liquidated accounts are shared out over whoever holds the other side, and dealers hold other positions in each.
    """
    return replace(scenario, events=tuple(e for e in scenario.events if not isinstance(e, SeedOpenInterest)))


def study(seeds: Sequence[int], jobs: int, out: str | None) -> dict[str, Any]:
    """Both parts.

    Args:
        seeds: paired seeds, the same for both.
        jobs: processes.
        out: folder that gets ``path`` and ``impact``, each resumable; None keeps nothing.

    Returns:
        ``path`` and ``impact``, the results of the two studies.
    """
    from experiments import scenario
    from experiments.cascades.settings import at_shock
    from experiments.console import progress
    from experiments.engines import engine
    from experiments.gamma.command import measure as measure_path
    from experiments.gamma.study import GammaStudy
    from experiments.impact import mechanisms
    from experiments.impact.study import ImpactStudy
    from experiments.store import OutputFolder

    loaded = scenario.load(SCENARIO)
    size = gamma_of(loaded)
    quiet = unlevered(at_shock(scenario.load(SCENARIO, [DAY]), "sale", 0.0))
    with progress("path") as on_done:
        path = measure_path(
            GammaStudy(quiet, tuple(seeds)), engine(jobs), out=None if out is None else str(Path(out) / "path"),
            on_done=on_done,
        )  # fmt: skip
    impact = ImpactStudy(loaded, (SIZE,), tuple(seeds), duration=DURATION, sides="sell")
    both = mechanisms.MechanismStudy(impact, (mechanisms.Cell(-size), mechanisms.Cell(size)))
    folder = None if out is None else OutputFolder(str(Path(out) / "impact"), both.job())
    with progress("impact") as on_done:
        found = mechanisms.measure(both, workers=jobs, folder=folder, on_done=on_done)
    if folder is not None:
        from experiments import reporting

        reporting.write(folder.path)
    return {"path": path, "impact": found}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both parts and print them."""
    from experiments.gamma import report
    from experiments.impact import mechanisms_report
    from experiments.seeds import parse_seeds

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default=SEEDS, help="fresh seeds")
    parser.add_argument("--jobs", default="1", help="processes")
    parser.add_argument("--out", default=None, help="folder; a study that was stopped goes on from it")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    given = parser.parse_args(arguments)
    try:
        result = study(parse_seeds(given.seeds), workers(given.jobs), given.out)
    except MarginLabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if given.json:
        print(json.dumps(result, allow_nan=False))
    else:
        print("\n".join([*report.lines(result["path"]), "", *mechanisms_report.lines(result["impact"])]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
