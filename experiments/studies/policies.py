"""What a venue's design does in a fall: liquidation policies times mark rules, forked at the event.

One market per seed runs under the scenario's own venue until shortly before its event. There it is forked into one arm
per design, so that every arm starts from the same bytes, into a placebo (the own venue once more, which must give the
same bytes as the own venue put in force as an arm) and into a twin with liquidations off, against which it is told who
gained and who lost. Arms that change the mark begin with a jump of the mark at their first reading. They are given
``lead`` steps before the event so that what the jump sets off is over and told apart from the event; it is measured and
reported, not taken out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import build, jobs, run
from experiments.contract_terms import money_of
from experiments.engines import engine
from experiments.measures import Moment, incidence, moment
from experiments.scenario import Scenario
from experiments.statistics import incidence_summary, mean_interval, paired_summary, t_interval
from experiments.store import OutputFolder, code_hash, plain
from experiments.studies.arms import Arm, complete
from experiments.studies.watch import Watch, drawdown, half_recovery, worth_at_mid
from experiments.vocabulary import describe
from sim.errors import ConfigError
from sim.kernels import state as s

if TYPE_CHECKING:
    import pandas as pd

    from sim.market import Market

STUDY = "policies"
LEAD = 30
"""Steps between fork and event."""
OFF = "liquidations off"
"""Label of the twin."""
_SPECIAL = ("fund", "fees", "residue", "script")
_COUNTERS = {
    "liquidations": s.M_LIQUIDATIONS,
    "bad_debt": s.M_BAD_DEBT,
    "fund_paid": s.M_FUND_PAID,
    "socialised": s.M_SOCIALISED,
    "uncovered": s.M_UNCOVERED,
    "adl_lots": s.M_ADL_LOTS,
    "backstop_lots": s.M_BACKSTOP_LOTS,
}


@dataclass(frozen=True)
class Task:
    """One seed with all its arms, picklable.

    Attributes:
        scenario: what to run.
        seed: of the run.
        arms: the designs, the scenario's own venue among them.
        event: name of the event.
        lead: steps between fork and event.
        own: label of the arm that is the scenario's own venue.
        plugins: files to load first.
        check: verify every invariant at every step.
    """

    scenario: Scenario
    seed: int
    arms: tuple[Arm, ...]
    event: str
    lead: int
    own: str
    plugins: tuple[str, ...] = ()
    check: bool = False


@dataclass(frozen=True)
class Policies:
    """What is compared.

    Attributes:
        scenario: a scenario with an event.
        arms: designs of the venue; the scenario's own is added where none of them is it.
        seeds: paired seeds.
        event: name of the event; the scenario's ``measure.event`` if None.
        lead: steps between fork and event.
        plugins: users' files to load.
        check: verify every invariant at every step.
    """

    scenario: Scenario
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    event: str | None = None
    lead: int = LEAD
    plugins: tuple[str, ...] = ()
    check: bool = False

    @property
    def event_name(self) -> str:
        """Name of the event.

        Raises:
            ConfigError: neither the user nor the scenario names one.
        """
        name = self.event or self.scenario.measure.event
        if name is None:
            known = ", ".join(self.scenario.event_steps) or "the scenario has none"
            raise ConfigError.of("--event", None, f"an event of the scenario: {known}", file=self.scenario.file)
        self.scenario.event_step(name, "--event")
        return name

    @property
    def reading(self) -> str:
        """Which question is answered."""
        return f"forked {self.lead} steps before {self.event_name}"

    def validate(self) -> tuple[tuple[Arm, ...], str]:
        """Check everything that can be wrong before anything is run or written.

        Returns:
            The arms, the own venue among them, and its label.

        Raises:
            ConfigError: an arm is not a venue, or the event leaves no room for lead, window and recovery.
        """
        arms, own = complete(self.scenario, self.arms)
        for arm in arms:
            build.clearing_config(self.scenario, arm.section(self.scenario))
        if any(arm.label == OFF for arm in arms):
            raise ConfigError.of("--arm", OFF, "another label: this is the twin's")
        event = self.scenario.event_step(self.event_name, "--event")
        if not 0 <= self.lead < event:
            raise ConfigError.of("--fork-lead", self.lead, f"steps from 0 to {event - 1}, before the event")
        if self.scenario.record.every != 1:
            raise ConfigError.of("record.every", self.scenario.record.every, "1", file=self.scenario.file)
        span(self.scenario, event)
        return tuple(arms), own

    def units(self) -> list[jobs.Unit]:
        """One unit per seed."""
        arms, own = self.validate()
        return [
            jobs.Unit(
                jobs.safe_key("seed", seed),
                Task(self.scenario, seed, arms, self.event_name, self.lead, own, self.plugins, self.check),
            )
            for seed in self.seeds
        ]

    def job(self) -> dict[str, Any]:
        """What the manifest says of the job, and what must agree for a folder to be resumed."""
        arms, own = self.validate()
        return {
            "command": STUDY,
            "scenario_name": self.scenario.name,
            "scenario": self.scenario.as_run(),
            "regimes": {arm.label: arm.stated() for arm in arms},
            "baseline": own,
            "seeds": list(self.seeds),
            "reading": self.reading,
            "options": {"check": self.check, "event": self.event_name, "lead": self.lead},
            "plugins": run.load_plugins(self.plugins),
            "code": code_hash(),
        }


def span(scenario: Scenario, event: int) -> tuple[int, int]:
    """Steps of the measuring window after an event, and of the recovery that is followed after the low in it.

    The window is the scenario's ``measure.window_steps``, by default half of what is left of the run; the recovery is
    followed for as long as the window or, if the run ends before, for what is left.

    Raises:
        ConfigError: no step is left for one of them.
    """
    left = scenario.steps - event
    window = min(scenario.measure.window_steps or left // 2, left)
    horizon = min(window, left - window)
    if window < 1 or horizon < 1:
        allowed = f"more than {event + window}: the window after the event, and steps in which prices may come back"
        raise ConfigError.of("market.steps", scenario.steps, allowed, file=scenario.file)
    return window, horizon


def fork(task: Task) -> jobs.UnitResult:
    """Run one seed to the fork, and every arm, the placebo and the twin from there."""
    began = time.perf_counter()
    run.load_plugins(task.plugins)
    scenario = task.scenario
    event = scenario.event_step(task.event)
    window, horizon = span(scenario, event)
    last = event + window + horizon
    base = build.market(scenario, task.seed)
    run.advance(base, event - task.lead, last, check=task.check)
    start = _Start(base, event, window, horizon)
    twin = base.fork(liquidations=False)
    off, nobody = _outcomes(task, twin, start, last, OFF, "", None)
    records = [off]
    first_mark: Any = None
    for arm in sorted(task.arms, key=lambda arm: arm.label != task.own):  # the own venue first: jumps refer to it
        config = build.clearing_config(scenario, arm.section(scenario))
        record, watch = _outcomes(task, base.fork(clearing=config), start, last, arm.label, "", nobody.profit)
        first_mark = watch.first_mark if first_mark is None else first_mark
        assert watch.first_mark is not None
        record["measures"]["mark_jump"] = float(np.mean(np.abs(watch.first_mark / first_mark - 1.0)))
        records.append(record)
    placebo, _ = _outcomes(task, base.fork(), start, last, task.own, run.PLACEBO, nobody.profit)
    placebo["measures"]["mark_jump"] = 0.0
    records.append(placebo)
    base.close()
    records[0]["wall_seconds"] = time.perf_counter() - began
    return jobs.UnitResult(records)


class _Start:
    """What all arms of a seed have in common: the state at the fork."""

    def __init__(self, base: Market, event: int, window: int, horizon: int) -> None:
        self.event, self.window, self.horizon = event, window, horizon
        self.step = int(base.tick)
        self.moment: Moment = moment(base)
        self.open_interest = float(self.moment.open_interest.sum())
        self.counters = {name: int(base.state.meta[cell]) for name, cell in _COUNTERS.items()}
        self.events = int(base.state.meta[s.M_EVENTS])
        self.accounts = at_mid(base)


@dataclass(frozen=True)
class _Watched:
    first_mark: Any
    profit: Mapping[str, float]


def _outcomes(
    task: Task, market: Market, start: _Start, last: int, label: str, arm: str, off: Mapping[str, float] | None
) -> tuple[dict[str, Any], _Watched]:
    """Run one arm to its end; its record, and what others are compared with."""
    watch = Watch(market)
    watch.run(last, last, check=task.check)
    watch.close()
    names = [*(spec.name for spec in task.scenario.populations), *_SPECIAL]
    paid = incidence(at_mid(market), start.accounts, names, start.open_interest)
    profit = {name: by["pnl"] for name, by in paid.items()}
    for name, by in paid.items():
        by["against_off"] = 0.0 if off is None else by["pnl"] - off[name]
    record = {
        "regime": label,
        "seed": task.seed,
        "arm": arm,
        "measures": _measures(market, watch, start),
        "incidence": paid,
        "results_hash": market.results_hash(),
    }
    market.close()
    return record, _Watched(watch.first_mark, profit)


def _measures(market: Market, watch: Watch, start: _Start) -> dict[str, float]:
    """The outcomes of one arm: prices until the window's end, amounts and lots until the arm's."""
    state = market.state
    mids, marks = np.array(watch.mid), np.array(watch.mark)
    rows = start.event - start.step + start.window
    falls, _ = drawdown(mids[: rows + 1])
    deepest = int(np.argmax(falls))
    recovery, censored = half_recovery(mids[:, deepest], rows, start.horizon)
    found = {
        "drawdown_mid": float(falls.mean()),
        "drawdown_mark": float(drawdown(marks[: rows + 1])[0].mean()),
        "recovery_minutes": recovery * market.config.dt_seconds / 60.0,
        "recovery_censored": float(censored),
        "cost_to_liquidated": watch.cost_rate(),
    }
    found |= {name: float(state.meta[cell]) - start.counters[name] for name, cell in _COUNTERS.items()}
    value, lots = start.moment.open_interest_value, start.open_interest
    events = state.events[start.events : int(state.meta[s.M_EVENTS])]
    for name, kind in (("fund_lots", s.EV_TAKEOVER), ("liquidator_lots", s.EV_BID_TAKEN)):
        found[name] = float(np.abs(events["a"][events["kind"] == kind]).sum())
    worth = worth_at_mid(market)[: int(state.meta[s.M_TRADERS])] + _deposits(market)
    before = start.event - start.step
    return found | {
        "bad_debt_bp": 1e4 * found["bad_debt"] / value if value else float("nan"),
        "debt_left": float(-np.minimum(worth, 0.0).sum()),
        "unresolved": float((state.accounts["status"] == s.LIQUIDATING).sum()),
        "liquidated_lots": float(watch.liquidated[-1]),
        "liquidated_share": watch.liquidated[-1] / lots if lots else 0.0,
        "first_reading_share": watch.liquidated[0] / lots if lots else 0.0,
        "before_event_share": watch.liquidated[before - 1] / lots if lots and before else 0.0,
        "mark_jump": 0.0,
        "r0_event": start.moment.r0,
        "open_interest_event": lots,
        "depth_bid_event": float(start.moment.depth_bid.sum()),
    }


def _deposits(market: Market) -> Any:
    """What traders brought in, account currency."""
    traders = int(market.state.meta[s.M_TRADERS])
    return (market.state.deposits[:traders] * (market.state.conversion / s.RATE_ONE)).sum(axis=1)


def at_mid(market: Market) -> pd.DataFrame:
    """The table of accounts with profits and equity at the mid in place of the mark."""
    table = market.accounts_table()
    worth = worth_at_mid(market)
    table["equity"] = table["equity"] + worth - table["pnl"]
    table["pnl"] = worth
    return table


def compare(
    study: Policies,
    *,
    workers: int = 1,
    folder: OutputFolder | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Run the study and summarise it.

    Args:
        study: what to compare.
        workers: processes; one runs everything in this process.
        folder: where to keep results, or None.
        on_done: told (seeds done, seeds in all).

    Returns:
        Plain data, the content of ``summary.json``.

    Raises:
        ConfigError: the study cannot be run; nothing was written.
    """
    units = study.units()
    warm(study)
    runs = jobs.perform(units, fork, engine(workers), folder, on_done)
    result = summary(study, runs)
    if folder is not None:
        jobs.finish(folder, units, result, result["results_hash"])
    return result


def warm(study: Policies) -> None:
    """Build a market and take a first step in every arm, so that what does not fit shows before anything is written."""
    run.load_plugins(study.plugins)
    arms, _ = study.validate()
    base = build.market(study.scenario, study.seeds[0])
    base.advance(1)
    for arm in arms:
        market = base.fork(clearing=build.clearing_config(study.scenario, arm.section(study.scenario)))
        market.step()
        market.close()
    base.close()


def summary(study: Policies, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The result of the study from its runs."""
    arms, own = study.validate()
    scenario = study.scenario
    by_label = {label: _of(runs, label) for label in [*(arm.label for arm in arms), OFF]}
    values = {label: _columns(found) for label, found in by_label.items() if label != OFF}
    placebo = _of(runs, own, run.PLACEBO)
    families = {name: name for name in values[own] if describe(name).family != "event"}
    event = scenario.event_steps[study.event_name]
    window, horizon = span(scenario, event)
    paid = {label: _paid(found) for label, found in by_label.items()}
    return plain(
        {
            "study": STUDY,
            "scenario": scenario.name,
            "title": scenario.market.name,
            "reading": study.reading,
            "event_name": study.event_name,
            "event_step": event,
            "fork_step": event - study.lead,
            "window_steps": window,
            "recovery_steps": horizon,
            "dt_seconds": scenario.market.dt_seconds,
            "seeds": study.seeds,
            "regimes": [arm.label for arm in arms],
            "baseline": own,
            "factors": {arm.label: dict(arm.factors) for arm in arms},
            "parameters": {arm.label: arm.stated() for arm in arms},
            **_with_t(paired_summary(values, own, _columns(placebo), families=families), values),
            "effects": effects(arms, values, own),
            "off": _means(_columns(by_label[OFF])),
            "incidence": incidence_summary(paid),
            "runs": [{key: r[key] for key in _KEPT} for r in runs],
            "results_hash": jobs.hash_of(runs),
            "placebo_identical": [r["results_hash"] for r in by_label[own]] == [r["results_hash"] for r in placebo],
            "money": money_of(scenario),
            "complete": True,
        }
    )


_PAID = ("pnl", "against_off", "liquidated")
_KEPT = ("regime", "seed", "arm", "measures", "results_hash")


def effects(arms: Sequence[Arm], values: Mapping[str, Mapping[str, np.ndarray]], own: str) -> dict[str, dict[str, Any]]:
    """What each level of a factor does, averaged over the levels of the other: mark rules, and policies.

    Per seed and measure, an outcome under a level is its mean over the other factor, over those of its levels where
    both compared arms have a value; differences are then paired by seed like those of arms.

    Returns:
        Factor -> ``baseline`` (level) and ``differences`` {level: {measure: ...}}; p-values are corrected over the
        levels within a measure. Empty for arms without two factors.
    """
    crossed = {tuple(arm.factors.get(name, "") for name in ("policy", "mark")): arm.label for arm in arms}
    named = {key: label for key, label in crossed.items() if all(key)}
    found: dict[str, dict[str, Any]] = {}
    for place, factor in enumerate(("policy", "mark")):
        levels = list(dict.fromkeys(key[place] for key in named))
        if len(levels) < 2:
            continue
        at_own = [key[place] for key, label in named.items() if label == own]
        base = at_own[0] if at_own else levels[0]
        differences: dict[str, Any] = {}
        for level in levels:
            if level == base:
                continue
            pairs = [
                (values[named[key]], values[named[other]])
                for key in named
                if key[place] == level and (other := _swapped(key, place, base)) in named
            ]
            measures = [name for name in pairs[0][0] if describe(name).family != "event"] if pairs else []
            differences[level] = {name: _mean_difference([(a[name], b[name]) for a, b in pairs]) for name in measures}
        families = {name: name for by in differences.values() for name in by}
        nothing = {name: np.zeros_like(next(iter(differences.values()))[name]) for name in families}
        tested = paired_summary({base: nothing, **differences}, base, families=families)
        told = _with_t(tested, {base: nothing, **differences})["differences"]
        found[factor] = {"baseline": base, "levels": levels, "differences": told}
    return found


def _swapped(key: tuple[str, ...], place: int, level: str) -> tuple[str, ...]:
    return tuple(level if i == place else part for i, part in enumerate(key))


def _mean_difference(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Mean over pairs of arms of their differences by seed; NaN where no pair has both values."""
    differences = np.array([a - b for a, b in pairs])
    known = np.isfinite(differences)
    total = np.where(known, differences, 0.0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def _with_t(statistics: dict[str, Any], values: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Any]:
    """Add the t interval to each difference; the bootstrap's stands beside it."""
    base = next(label for label in values if label not in statistics["differences"])
    for label, by in statistics["differences"].items():
        for name, difference in by.items():
            difference["t"] = t_interval(values[label][name] - values[base][name])
    return statistics


def _means(columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {name: mean_interval(sample) for name, sample in columns.items()}


def _of(runs: Sequence[Mapping[str, Any]], label: str, arm: str = "") -> list[Mapping[str, Any]]:
    return [r for r in runs if r["regime"] == label and r["arm"] == arm]


def _columns(runs: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Measures as an array over seeds each; what a run could not measure is NaN."""
    names = list(dict.fromkeys(name for r in runs for name in r["measures"]))
    return {name: np.array([_number(r["measures"].get(name)) for r in runs]) for name in names}


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _paid(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, np.ndarray]]:
    """Incidence as an array over seeds per population and quantity."""
    return {
        population: {name: np.array([_number(r["incidence"][population][name]) for r in runs]) for name in _PAID}
        for population in (runs[0]["incidence"] if runs else ())
    }
