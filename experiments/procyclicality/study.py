"""The study on simulated markets: its settings, its units, and how it is carried out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from experiments import build, equal_cost, jobs, regimes, run
from experiments.engines import engine
from experiments.procyclicality.tasks import FORK, PLACEBO, STEP, WHOLE, Task, perform
from experiments.procyclicality.unit import UNIT_LOTS, unit_lots
from experiments.scenario import Scenario
from experiments.store import OutputFolder, code_hash
from margin.durations import ALLOWED, parse_duration
from sim.errors import ConfigError

HORIZONS = ("1h", "1d", "5d", "30d")
LONG_DAYS = 20
"""From so many measured days on a run is looked at once a day, shorter ones every ten minutes."""
_SHORT = {"sample": "10min", "period": "1h", "window": "1h", "step_for": "12h"}
_LONG = {"sample": "1d", "period": "1d", "window": "20d", "step_for": "60d"}
_LAGS = 49  # samples below which a run is too short for leads and lags


@dataclass(frozen=True)
class Procyclicality:
    """What is measured.

    Durations are texts such as ``"10min"`` or ``"1d"`` (a trading day); what is None is chosen by the length of the
    run (:data:`LONG_DAYS`).

    Attributes:
        scenario: the scenario.
        regimes: labels of margin regimes, distinct; the first is the baseline unless the scenario's own is among them.
        seeds: seeds, common to all regimes.
        event: event to fork at; the scenario's ``measure.event`` if None.
        sample: time between looks at a market.
        horizons: spans of increases and calls; those that fit the run if None.
        period: margin period of risk.
        window: span of realised volatility.
        factor: of volatility in the twin with a step.
        step_for: how long the twins with and without the step are watched.
        unit: lots of the portfolio that never changes.
        plugins: users' files to load.
        check: verify every invariant at every step.
        equal_cost: what :func:`experiments.equal_cost.solve` gave: whole runs and volatility steps are those of regimes
            with these factors. Frozen twins enter the event at equal margin by themselves and do without.
    """

    scenario: Scenario
    regimes: tuple[str, ...]
    seeds: tuple[int, ...]
    event: str | None = None
    sample: str | None = None
    horizons: tuple[str, ...] | None = None
    period: str | None = None
    window: str | None = None
    factor: float = 2.0
    step_for: str | None = None
    unit: int = UNIT_LOTS
    plugins: tuple[str, ...] = ()
    check: bool = False
    equal_cost: Mapping[str, Any] | None = None

    @property
    def scaled(self) -> Scenario:
        """The scenario of whole runs and volatility steps."""
        return self.scenario if self.equal_cost is None else equal_cost.apply(self.scenario, self.equal_cost)

    @property
    def baseline(self) -> str:
        """The scenario's own regime, or the first one if it is not among those asked for."""
        own = self.scenario.margin.regime
        return own if own in self.regimes else self.regimes[0]

    @property
    def fork_at(self) -> str | None:
        """Name of the event at which margins are frozen."""
        return self.event or self.scenario.measure.event

    @property
    def _measured(self) -> int:
        return self.scenario.steps - self.scenario.market.burn_in

    @property
    def long(self) -> bool:
        """Whether the run is looked at once a day."""
        return self._measured >= LONG_DAYS * self.scenario.market.steps_per_day

    def duration(self, name: str) -> str:
        """A duration as given, or the one for runs of this length."""
        given: str | None = getattr(self, name)
        return given if given is not None else (_LONG if self.long else _SHORT)[name]

    def steps(self, name: str) -> int:
        """A duration in steps."""
        return self._steps_of(f"--{name.replace('_', '-')}", self.duration(name))

    def _steps_of(self, key: str, text: str) -> int:
        market = self.scenario.market
        try:
            amount, unit = parse_duration(text)
        except ValueError:
            raise ConfigError.of(key, text, ALLOWED) from None
        return max(1, round(amount * market.steps_per_day if unit == "d" else amount / market.dt_seconds))

    def samples(self, name: str) -> int:
        """A duration in samples.

        Raises:
            ConfigError: it is no whole number of samples, or longer than the run.
        """
        return self._whole_samples(f"--{name}", self.duration(name))

    def _whole_samples(self, key: str, text: str) -> int:
        every, steps = self.steps("sample"), self._steps_of(key, text)
        if steps % every or steps >= self._measured:
            allowed = f"a multiple of the sample interval ({self.duration('sample')}) that is shorter than the run"
            raise ConfigError.of(key, text, allowed)
        return steps // every

    def horizon_samples(self) -> tuple[tuple[str, int], ...]:
        """Horizons by name, in samples."""
        if self.horizons is not None:
            return tuple((text, self._whole_samples("--horizons", text)) for text in self.horizons)
        every = self.steps("sample")
        fitting = [(text, self._steps_of("", text)) for text in HORIZONS]
        return tuple((text, n // every) for text, n in fitting if n % every == 0 and n < self._measured)

    def step_window(self) -> tuple[int, int]:
        """Where volatility steps up, and for how many steps the twins are watched: until something else is scripted."""
        first = self.scenario.market.burn_in
        ends = [step for step in self.scenario.event_steps.values() if step > first]
        return first, min([first + self.steps("step_for"), self.scenario.steps, *ends]) - first

    def validate(self) -> None:
        """Check everything that can be wrong before anything is run or written.

        Raises:
            ConfigError: an unknown regime or event, a duration that does not fit, a regime named twice.
        """
        doubled = [label for label in dict.fromkeys(self.regimes) if self.regimes.count(label) > 1]
        if doubled:
            raise ConfigError.of("--margin", doubled[0], "each regime once")
        for label in self.regimes:
            regimes.resolve(self.scenario, label)
        if self.event is not None:
            self.scenario.event_step(self.event, "--event")
        if not 0.0 < self.factor <= 1000.0:
            raise ConfigError.of("--factor", self.factor, "a number above 0, up to 1000")
        for name in ("period", "window"):
            self.samples(name)
        self.horizon_samples()
        if self._measured < _LAGS * self.steps("sample"):
            allowed = f"at most a {_LAGS}th of the {self._measured} steps after burn-in"
            raise ConfigError.of("--sample", self.duration("sample"), allowed)

    def units(self) -> list[jobs.Unit]:
        """The pieces of the job: per seed a run and a step twin of every regime, and the frozen twins."""
        step_at, step_steps = self.step_window()
        common: dict[str, Any] = {
            "scenario": self.scaled, "sample": self.steps("sample"), "horizons": self.horizon_samples(),
            "period": self.samples("period"), "window": self.samples("window"), "unit": self.unit,
            "factor": self.factor, "plugins": self.plugins, "check": self.check, "baseline": self.baseline,
        }  # fmt: skip
        forked = {"scenario": self.scenario}
        found = []
        for seed in self.seeds:
            for label, arm in [*((label, "") for label in self.regimes), (self.baseline, PLACEBO)]:
                key = jobs.safe_key(*filter(None, (WHOLE, label, arm, "seed", seed)))
                found.append(jobs.Unit(key, Task(WHOLE, seed=seed, regimes=(label,), arm=arm, **common)))
            if step_steps >= 2 * self.steps("sample"):
                for label in self.regimes:
                    task = Task(STEP, seed=seed, regimes=(label,), step_at=step_at, step_steps=step_steps, **common)
                    found.append(jobs.Unit(jobs.safe_key(STEP, label, "seed", seed), task))
            if self.fork_at is not None:
                for number, (labels, history) in enumerate(self.histories()):
                    task = Task(
                        FORK, seed=seed, regimes=labels, event=self.fork_at, **common | forked | {"baseline": history}
                    )
                    found.append(jobs.Unit(jobs.safe_key(FORK, number, "seed", seed), task))
        return found

    def histories(self) -> list[tuple[tuple[str, ...], str]]:
        """Which regimes share a history up to the event, and under which one.

        A rule in NumPy cannot be computed in shadow of another: such a regime has a history of its own.
        """
        compiled = [one for one in self.regimes if regimes.make(self.scenario, one).publish_kernel is not None]
        alone = [one for one in self.regimes if one not in compiled]
        shared = self.baseline if self.baseline in compiled else (compiled[0] if compiled else "")
        found = [(tuple(compiled), shared)] if compiled else []
        return [*found, *(((label,), label) for label in alone)]

    def job(self) -> dict[str, Any]:
        """What the manifest says of the job, and what must agree for a folder to be resumed."""
        return {
            "command": "procyclicality",
            "scenario_name": self.scenario.name,
            "scenario": self.scenario.as_run(),
            "regimes": {label: _stated(self.scenario, label) for label in self.regimes},
            "baseline": self.baseline,
            "seeds": list(self.seeds),
            "reading": "whole runs, twins with a volatility step, twins with margins frozen",
            "options": {
                "event": self.fork_at, "horizons": [name for name, _ in self.horizon_samples()],
                **{name: self.duration(name) for name in ("sample", "period", "window", "step_for")},
                "factor": self.factor, "unit": self.unit, "check": self.check,
                **({} if self.equal_cost is None else {"equal_cost": self.equal_cost["settings"]}),
            },
            "plugins": run.load_plugins(self.plugins),
            "code": code_hash(),
        }  # fmt: skip


def at_equal_cost(
    study: Procyclicality, workers: int = 1, on_done: Callable[[int, int], None] | None = None
) -> Procyclicality:
    """The study with every regime at the baseline's mean initial margin rate, by factors found on pilot seeds.

    Raises:
        ConfigError: a regime that no factor brings there.
    """
    study.validate()
    settings = equal_cost.parse("mean_margin", study.seeds)
    solution = equal_cost.solve(
        study.scenario, study.regimes, study.baseline, settings, workers=workers, plugins=study.plugins,
        on_done=on_done,
    )  # fmt: skip
    return replace(study, equal_cost=solution)


def measure(
    study: Procyclicality,
    *,
    workers: int = 1,
    folder: OutputFolder | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Run the study.

    Args:
        study: what to measure.
        workers: processes; one runs everything in this process.
        folder: where to keep results, or None.
        on_done: told (units done, units in all).

    Returns:
        Plain data: what :func:`experiments.procyclicality.summary.summary` gives.

    Raises:
        ConfigError: the study cannot be run; nothing was written.
    """
    from experiments.procyclicality.summary import summary

    study.validate()
    _warm(study)
    units = study.units()
    runs = jobs.perform(units, perform, engine(workers), folder, on_done)
    result = summary(study, runs)
    if folder is not None:
        jobs.finish(folder, units, result, result["results_hash"])
    return result


def _warm(study: Procyclicality) -> None:
    """Whatever does not fit together shows here, and compiled code is in the cache before workers look for it."""
    run.load_plugins(study.plugins)
    for label in study.regimes:
        market = build.market(study.scenario, study.seeds[0], label)
        unit_lots(market, study.unit)
        market.advance(1)
        market.close()


def _stated(scenario: Scenario, label: str) -> Mapping[str, Any]:
    regime, params = regimes.resolve(scenario, label)
    return {"regime": regime, "params": params}


def labels_of(study: Procyclicality) -> Sequence[str]:
    """Labels, the baseline first."""
    return [study.baseline, *(label for label in study.regimes if label != study.baseline)]
