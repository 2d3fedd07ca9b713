"""The default waterfall: who pays, in which order, what a failed account leaves unpaid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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


def waterfall_problems(rule: Waterfall) -> list[Problem]:
    """What is wrong with a waterfall, one line each: layers without a last resort, parts without what they need."""
    found: list[Problem] = []

    def say(key: str, value: Any, allowed: str) -> None:
        found.append(Problem("", f"clearing.waterfall.{key}", value, allowed))

    layers = list(rule.layers)
    if not layers or layers[-1] not in LAST_RESORTS:
        say("layers", layers, "layers that end with a last resort: " + " or ".join(LAST_RESORTS))
    elif len(set(layers)) < len(layers):
        say("layers", layers, "each layer once")
    elif "socialise" in layers[:-1]:
        say("layers", layers, "socialise last: no loss is left behind it")
    if "vault" in layers and not rule.vault:
        say("vault", rule.vault, "the name of a population of kind vault")
    if rule.adl_trigger != "exhausted" and "adl" not in layers:
        say("adl_trigger", rule.adl_trigger, "exhausted where adl is not among the layers")
    if not 0 < rule.fund_drawdown <= 1 or rule.fund_drawdown_seconds <= 0:
        say("fund_drawdown", rule.fund_drawdown, "above 0, at most 1, in a time above 0")
    return found
