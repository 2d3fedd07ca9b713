"""The declared design of the study: what stands in its files, read and checked."""

from __future__ import annotations

from dataclasses import dataclass, replace

from experiments.scenario import Scenario
from experiments.seeds import parse_seeds
from experiments.sweep import study
from sim.errors import ConfigError

CRISIS, CASCADE = "2008", "cascade"
PARTS = (CRISIS, CASCADE)
NAME = "dynamic-vs-static"
"""Of the built-in study; its parts are NAME-PART."""


@dataclass(frozen=True)
class Design:
    """One part of the study.

    Attributes:
        part: ``2008`` or ``cascade``.
        scenario: what is simulated, the rules' parameters inside.
        regimes: labels of the rules, the baseline first.
        seeds: of the paired runs.
        pilot: seeds on which the factors of equal cost are found, none of them among ``seeds``.
        outcomes: declared measures of :mod:`experiments.vocabulary`.
        fork_at: event at which the rules part; None for whole runs.
    """

    part: str
    scenario: Scenario
    regimes: tuple[str, ...]
    seeds: tuple[int, ...]
    pilot: tuple[int, ...]
    outcomes: tuple[str, ...]
    fork_at: str | None

    @property
    def baseline(self) -> str:
        """The fixed rate."""
        return self.regimes[0]

    @property
    def rules(self) -> tuple[str, ...]:
        """All regimes but the baseline."""
        return self.regimes[1:]

    @property
    def start(self) -> int:
        """Step at whose end measuring begins."""
        return self.scenario.market.burn_in if self.fork_at is None else self.scenario.event_step(self.fork_at)

    def on(self, seeds: str | None = None, pilot: str | None = None) -> Design:
        """The same design on other seeds.

        Args:
            seeds: as the command line spells them; None keeps the declared ones.
            pilot: the same for the pilot seeds.

        Raises:
            ConfigError: seeds that are none, or pilot seeds among the study's.
        """
        changed = replace(
            self,
            seeds=self.seeds if seeds is None else parse_seeds(seeds),
            pilot=self.pilot if pilot is None else parse_seeds(pilot),
        )
        both = set(changed.seeds) & set(changed.pilot)
        if both:
            raise ConfigError.of("--pilot", min(both), "seeds that the study does not use")
        return changed


def load(part: str) -> Design:
    """Read one part's file.

    Args:
        part: ``2008`` or ``cascade``.

    Raises:
        ConfigError: no such part, or a file with problems.
    """
    if part not in PARTS:
        raise ConfigError.of("--part", part, "one of " + ", ".join(PARTS))
    found = study.load(f"{NAME}-{part}")
    (point,) = found.points
    assert found.equal_cost is not None
    others = [label for label in found.regimes if label != found.baseline]
    return Design(
        part=part,
        scenario=point.scenario,
        regimes=(found.baseline, *others),
        seeds=found.seeds,
        pilot=parse_seeds(str(found.equal_cost.seeds)),
        outcomes=found.outcomes,
        fork_at=point.event,
    )
