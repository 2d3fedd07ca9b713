"""The default waterfall: who pays, in which order, what a failed account leaves unpaid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim.errors import Problem
from sim.kernels import state as s

LAYERS = {"fund": s.LAYER_FUND, "vault": s.LAYER_VAULT, "adl": s.LAYER_ADL, "socialise": s.LAYER_SOCIALISE}
LAST_RESORTS = ("adl", "socialise")
RANKINGS = {
    "bitmex": s.RANK_BITMEX,
    "binance": s.RANK_BINANCE,
    "hyperliquid": s.RANK_HYPERLIQUID,
    "pro_rata": s.RANK_PRO_RATA,
    "risk_pro_rata": s.RANK_RISK_PRO_RATA,
    "water_filling": s.RANK_WATER_FILLING,
}
ADL_PRICES = {"bankruptcy": s.ADL_AT_BANKRUPTCY, "previous_mark": s.ADL_AT_PREVIOUS_MARK}
TRIGGERS = {
    "exhausted": s.TRIGGER_EXHAUSTED,
    "negative_equity": s.TRIGGER_NEGATIVE_EQUITY,
    "fund_drawdown": s.TRIGGER_FUND_DRAWDOWN,
}


@dataclass(frozen=True, slots=True)
class Waterfall:
    """Layers in order and their rules.

    Attributes:
        layers: ``"fund"`` (pays shortfalls and takes positions over while its equity lasts), ``"vault"`` (a backstop
            population takes positions over while its equity lasts), ``"adl"`` (winners' positions are closed against
            the failed one), ``"socialise"`` (the loss is shared). The last one is ``"adl"`` or ``"socialise"``.
        ranking: order in which auto-deleveraging picks counterparties.
        adl_price: ``"bankruptcy"`` of the failed account or ``"previous_mark"``.
        adl_trigger: ``"exhausted"`` (nothing before it in the waterfall can bear the loss), ``"negative_equity"`` (at
            once when an account's equity is negative) or ``"fund_drawdown"`` (at once after the fund has lost
            ``fund_drawdown`` of its peak within ``fund_drawdown_seconds``).
        fund_drawdown: fraction of the peak.
        fund_drawdown_seconds: window.
        vault: name of the population that is the backstop vault, empty for none.
    """

    layers: tuple[str, ...] = ("fund", "socialise")
    ranking: str = "bitmex"
    adl_price: str = "bankruptcy"
    adl_trigger: str = "exhausted"
    fund_drawdown: float = 1.0
    fund_drawdown_seconds: float = 28_800.0
    vault: str = ""


def layer_problems(layers: Sequence[str]) -> list[Problem]:
    """What is wrong with the layers of a waterfall: the last one must be a last resort, each stands in it once."""
    key = "clearing.waterfall.layers"
    if not layers or layers[-1] not in LAST_RESORTS:
        return [Problem("", key, list(layers), "layers that end with a last resort: " + " or ".join(LAST_RESORTS))]
    if len(set(layers)) < len(layers):
        return [Problem("", key, list(layers), "each layer once")]
    return []
