"""The map of one moment: dealers' gamma, liquidations, stops and depth by price, the gain, and how far a sale would go.

Reference: the gain is that of a linear book, ``g = (short gamma + liquidation density) / depth``; see
:mod:`sim.maps`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from experiments import build
from experiments.scenario import Scenario
from experiments.store import plain
from experiments.terminal import columns
from sim.errors import ConfigError, Problem
from sim.maps import PriceMap, hedgers, price_map

if TYPE_CHECKING:
    from sim.market import Market

SIZES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Orders whose reach is told, as shares of the lots that rest within 5 %."""
NEAR = 0.05
_OPTIONS = {"width": "--width", "step": "--band", "smooth": "--smooth"}


@dataclass(frozen=True)
class Feedback:
    """One map.

    Attributes:
        scenario: what to run.
        seed: of the run.
        at_step: completed steps at which the map is taken; None for that of an event.
        at_event: name of an event; None for ``measure.event``.
        contract: name; the first contract if None.
        populations: names of those whose delta is hedged; None for those that say so.
        width: how far from the mark the map goes, share of it.
        step: ticks in a band, None for a fortieth of the width.
        smooth: width of price over which gains are averaged, share of the mark.
        regime: label of the margin regime; the scenario's own if None.
    """

    scenario: Scenario
    seed: int = 0
    at_step: int | None = None
    at_event: str | None = None
    contract: str | None = None
    populations: tuple[str, ...] | None = None
    width: float = 0.1
    step: int | None = None
    smooth: float = 0.01
    regime: str | None = None

    def __post_init__(self) -> None:
        """Refuse what the scenario does not have.

        Raises:
            ConfigError: no such event, step, contract or population.
        """
        scenario = self.scenario
        if self.at_step is not None and self.at_event is not None:
            raise ConfigError.of("--at-step", self.at_step, "one of --at-step and --at-event")
        if self.at_event is not None and self.at_event not in scenario.event_steps:
            raise ConfigError.of("--at-event", self.at_event, "one of " + (", ".join(scenario.event_steps) or "none"))
        if self.at_step is None and self._event is None:
            raise ConfigError.of("--at-step", None, "a step: the scenario has no measure.event")
        if self.at_step is not None and not 0 <= self.at_step <= scenario.steps:
            raise ConfigError.of("--at-step", self.at_step, f"a step of the run, 0 to {scenario.steps}")
        if self.contract is not None and self.contract not in scenario.contract_names:
            raise ConfigError.of("--contract", self.contract, "one of " + ", ".join(scenario.contract_names))
        kind = scenario.contracts[self.number].kind
        if kind == "spot" or kind.endswith("option"):
            name = self.contract or scenario.contract_names[0]
            raise ConfigError.of("--contract", name, f"a perpetual or future, not {kind}")
        known = [spec.name for spec in scenario.populations]
        for name in self.populations or ():
            if name not in known:
                raise ConfigError.of("--populations", name, "one of " + ", ".join(known))

    @property
    def _event(self) -> str | None:
        return self.at_event if self.at_event is not None else self.scenario.measure.event

    @property
    def moment(self) -> int:
        """Completed steps at which the map is taken."""
        return self.at_step if self.at_step is not None else self.scenario.event_steps[str(self._event)]

    @property
    def number(self) -> int:
        """Number of the contract."""
        return self.scenario.contract_names.index(self.contract) if self.contract is not None else 0

    def of(self, market: Market) -> PriceMap:
        """The map of a market as it stands.

        Raises:
            ConfigError: bands or widths that do not go with its price.
        """
        try:
            return price_map(market, self.number, self.populations, self.width, self.step, self.smooth)
        except ConfigError as error:
            problems = [Problem(p.file, _OPTIONS.get(p.key, p.key), p.value, p.allowed) for p in error.problems]
            raise ConfigError(problems) from None


def measure(asked: Feedback) -> dict[str, Any]:
    """Run to the moment and take the map.

    Returns:
        Plain data: ``mark`` and ``tick_size``, ``bands`` (rows of :meth:`sim.maps.PriceMap.frame`), ``gain`` over a
        fall and a rise of 5 %, ``runaway`` regions, ``reach`` of sales and buys, ``due`` lots, ``hedgers``.
    """
    market = build.market(asked.scenario, asked.seed, asked.regime)
    try:
        market.run_until(asked.moment)
        found = asked.of(market)
        shares = hedgers(market, asked.number) if asked.populations is None else dict.fromkeys(asked.populations, 1.0)
    finally:
        market.close()
    rests = {side: float(found.depth[found.within(side * NEAR)].sum()) * found.step for side in (1, -1)}
    near = min(NEAR, asked.width)
    result: dict[str, Any] = plain(
        {
            "command": "feedback", "scenario": asked.scenario.name, "seed": asked.seed,
            "margin": asked.regime or asked.scenario.margin.regime, "at_step": found.at_step, "contract": found.name,
            "mark": found.mark, "tick_size": found.tick_size, "band": found.step, "smooth": found.smooth,
            "width": asked.width, "near": near, "hedgers": shares, "due": {"long": found.due_long,
            "short": found.due_short}, "depth": {"bid": rests[1], "ask": rests[-1]},
            "gain": {"fall": found.mean_gain(near), "rise": found.mean_gain(-near)},
            "runaway": found.runaway,
            "reach": [
                _reach(found, size * rests[side], side, size) for side in (1, -1) for size in SIZES if rests[side] > 0
            ],
            "bands": found.frame().drop(columns="contract").to_dict("records"),
        }
    )  # fmt: skip
    return result


def _reach(found: PriceMap, lots: float, side: int, size: float) -> dict[str, Any]:
    """How far an order goes in this book if nothing is put back: by itself, and with all that it sets off."""
    alone = found.reach(-side * lots, feedback=())
    whole = found.reach(-side * lots)
    return {
        "side": "sell" if side > 0 else "buy", "size": size, "lots": lots, "alone": alone, "whole": whole,
        "amplification": whole / alone if alone and whole is not None else None,
    }  # fmt: skip


def lines(result: Mapping[str, Any]) -> Sequence[str]:
    """The result as text: gains, runaway regions, reach of orders, a row of the map for every 1 %."""
    size = result["tick_size"]
    shown = [
        f"feedback {result['scenario']}, seed {result['seed']}, regime {result['margin']}, step {result['at_step']}: "
        f"{result['contract']} at {result['mark'] * size:g}",
        "Delta hedged by: " + (", ".join(f"{k} ({v:g})" for k, v in result["hedgers"].items()) or "nobody"),
    ]
    for way, side in (("fall", "bid"), ("rise", "ask")):
        gain = {key: "n/a" if value is None else f"{value + 0.0:.3f}" for key, value in result["gain"][way].items()}
        shown.append(
            f"Gain over a {way} of {100 * result['near']:g} %: {gain['all']} (gamma {gain['gamma']}, liquidations "
            f"{gain['liquidations']}, stops {gain['stops']}; {result['depth'][side]:.0f} {side} lots)"
        )
    regions = ", ".join(f"{low:g} to {high:g}" for low, high in result["runaway"])
    shown.append("Gain of at least 1 at prices " + regions if regions else "The gain is below 1 everywhere")
    table = [["order", "lots", "alone", "whole", "amplification"]]
    for row in result["reach"]:
        ticks = ["off the map" if row[key] is None else f"{row[key] * size:.4g}" for key in ("alone", "whole")]
        times = "-" if row["amplification"] is None else f"{row['amplification']:.2f}"
        table.append([f"{row['side']} {row['size']:g} of depth", f"{row['lots']:.0f}", *ticks, times])
    shown += ["", "Reach of orders in this book, price units, if nothing is put back:", *columns(table), ""]
    head = ["price", "change", "dealer gamma", "liquidated", "stops", "depth", "gain"]
    body = [
        [
            f"{row['price']:g}", f"{100 * row['change']:+.1f} %", *(f"{row[key] + 0.0:.1f}" for key in
            ("dealer_gamma", "liquidated", "stops", "depth")), "-" if row["gain"] is None else f"{row['gain']:.3f}",
        ]
        for row in _thinned(result["bands"])
    ]  # fmt: skip
    return [*shown, "Lots per tick by price:", *columns([head, *body])]


def _thinned(bands: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """About twenty bands, evenly spread."""
    every = max(len(bands) // 20, 1)
    return list(bands[every // 2 :: every])
