"""Margins that stand still: a market whose rule goes on with the parameters that it published last.

A rule that follows the market moves margins, and moved margins move the market. Its twin with margins frozen from one
moment on has the same past and the same traders; only the rule no longer reacts. What differs between the two is what
the rule itself brought about.

Three kinds of rules, three ways to hold them:

* compiled publishers of the built-in rules are told to keep their rates (:meth:`margin.model.Rule.freeze`). Grids of
  moves are still valued at the mark of the day, at the rates kept, as those of a fixed rate are;
* rules that publish values (``revalues``: option portfolios on price grids) go on publishing from a view of the market
  in which prices and time move, but volatility, past returns, spreads, volumes and depth stay what they were;
* any other rule's last publication stays in force, rates and amounts alike.

What a rule asks of an account under those parameters is asked as ever.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.errors import ForkError
from sim.kernels import state as s
from sim.views import LiveView

if TYPE_CHECKING:
    from sim.interfaces import ModelState, RiskParameters
    from sim.market import Market

_STILL = ("daily_volatility", "implied_volatility", "spread", "volume", "open_interest", "depth_bid", "depth_ask")
_KEPT = ("model_rates", "scenario_pnl", "scenario_weight", "initial_factor", "addon_coefficients")


@dataclass(frozen=True)
class Frozen:
    """How the margins of a market stand still.

    Attributes:
        risk: publication that stays in force, or None.
        still: what the market view answers from now on, by name; None where the rule is not asked any more.
        marks: past log marks, float64[ring, C], and the step of the newest, for ``still`` views.
        newest: that step.
        kept: arrays that a compiled publisher left behind, by name; empty where it goes on by itself.
    """

    risk: RiskParameters | None = None
    still: dict[str, np.ndarray] | None = None
    marks: np.ndarray | None = None
    newest: int = 0
    kept: dict[str, np.ndarray] = field(default_factory=dict)

    def publish(self, market: Market, memory: ModelState) -> tuple[RiskParameters, ModelState]:
        """In place of a NumPy rule's own publication."""
        if self.still is None:
            assert self.risk is not None
            return self.risk, memory
        return market.margin.publish(StillView(market, self), memory)

    def put_back(self, market: Market) -> None:
        """In place of a compiled publisher: its last publication, for the step being computed."""
        state = market.state
        row = int(state.meta[s.M_STEP]) % int(state.meta[s.M_RISK_SLOTS])
        state.model_rates[0] = self.kept["model_rates"]
        for name in ("scenario_pnl", "addon_coefficients"):
            getattr(state, name)[row] = self.kept[name]
        for name in ("scenario_weight", "initial_factor"):
            getattr(state, name)[:] = self.kept[name]


class StillView(LiveView):
    """A market in which prices and time move and the state of risk does not."""

    def __init__(self, market: Market, frozen: Frozen) -> None:
        """Look at a market as it is, except for what was kept."""
        super().__init__(market)
        self._frozen = frozen

    def __getattribute__(self, name: str) -> Any:
        """What was kept, copied, in place of what is."""
        if name in _STILL:
            kept = object.__getattribute__(self, "_frozen").still
            return kept[name].copy()
        return object.__getattribute__(self, name)

    def returns(self, window: int, sample_steps: int = 1) -> np.ndarray:
        """Log returns of the mark up to the moment of the freeze (:meth:`sim.views.LiveView.returns`)."""
        marks = self._frozen.marks
        assert marks is not None
        return self.returns_of(marks, self._frozen.newest, window, sample_steps)


def freeze(market: Market) -> None:
    """Let the margins of a market stand still from here on; the market is mutated.

    Raises:
        ForkError: nothing is known of what the rule published last.
    """
    model, state = market.margin, market.state
    if market.frozen is not None:
        return
    if model.publish_kernel is None:
        market.frozen = _of_numpy_rule(market)
        return
    hold = getattr(model, "freeze", None)
    if hold is not None and hold(state, 0):
        return
    if state.breakers[s.CB_STRESS_SLOPE]:
        raise ForkError(f"{model.name} can not be frozen under a margin multiplier (breakers.stress)")
    row = max(int(state.meta[s.M_STEP]), 0) % int(state.meta[s.M_RISK_SLOTS])
    whole = {"scenario_weight": state.scenario_weight, "initial_factor": state.initial_factor}
    rows = {"scenario_pnl": state.scenario_pnl[row], "addon_coefficients": state.addon_coefficients[row]}
    kept = whole | rows | {"model_rates": state.model_rates[0]}
    market.frozen = Frozen(kept={name: kept[name].copy() for name in _KEPT})
    market._connect()


def _of_numpy_rule(market: Market) -> Frozen:
    if getattr(market.margin, "revalues", False):
        view = market.view
        still = {name: np.array(getattr(view, name), copy=True) for name in _STILL}
        state = market.state
        return Frozen(still=still, marks=state.mark_history.copy(), newest=int(state.meta[s.M_PUBLISHED]))
    if market.published is None:
        raise ForkError("a market that was just loaded can be frozen after its next step")
    return Frozen(risk=market.published)
