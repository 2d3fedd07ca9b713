"""The tables of a study file, as pydantic checks them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from experiments.sweep.factors import DesignSection, Table

SECTIONS = ("study", "set", "regimes", "factors", "design", "points", "stop", "equal_cost")
DEFAULT_OUTCOMES = (
    "drawdown",
    "volatility",
    "liquidated_share",
    "margin_calls",
    "call_amount",
    "liquidations",
    "bad_debt",
    "fund_paid",
    "mean_initial_rate",
    "mean_initial_margin",
    "peak_open_interest",
    "mean_leverage",
    "spread_bp",
)


class StudySection(Table):
    """The ``[study]`` table."""

    name: str = Field("", description="a title in a few words")
    scenario: str | None = Field(None, description="built-in scenario, or a TOML file relative to the study")
    parts: tuple[str, ...] = Field((), description="other studies that this one is made of, in place of all else")
    seeds: int | str | tuple[int, ...] = Field(30, description='30 (0 to 29), "1000:1250", or a list')
    reading: Literal["whole", "forked"] = Field("whole", description="whole runs, or arms forked at an event")
    fork_at: str | None = Field(None, description="event to fork at; the scenario's measure.event if left out")
    regimes: tuple[str, ...] = Field((), description="margin regimes to compare; the scenario's own if left out")
    baseline: str | None = Field(None, description="regime that others are compared with")
    outcomes: tuple[str, ...] = Field(DEFAULT_OUTCOMES, min_length=1, description="measures that are summarised")
    placebo: bool = Field(True, description="run the baseline twice on every seed")
    tables: Literal["none", "first", "all"] = Field(
        "none", description="keep the tables of no run, of the first seed of every point, or of all"
    )
    plugins: tuple[str, ...] = Field((), description="Python files with rules or traders, relative to the study")


class StopSection(Table):
    """The ``[stop]`` table: how far the intervals must shrink before a point needs no more seeds."""

    outcome: str = Field(description="measure whose interval decides")
    half_width: float = Field(gt=0.0, description="wanted half-width of the interval, in the plain unit of the measure")
    regime: str | None = Field(None, description="its difference from the baseline; every regime's if left out")
    min_seeds: int = Field(30, ge=5, description="seeds before the rule is looked at")
    batch: int = Field(10, ge=1, description="seeds between two looks")


class EqualCostSection(Table):
    """The ``[equal_cost]`` table: regimes are scaled so that they cost what the baseline costs."""

    measure: Literal["mean_margin", "coverage", "open_interest"] = Field(
        "mean_margin", description="what is made equal"
    )
    seeds: int | str | tuple[int, ...] = Field(
        "900000:900010", description="pilot seeds of the search, none of them a seed of the study"
    )


MODELS: dict[str, type[Table]] = {
    "study": StudySection, "design": DesignSection, "stop": StopSection, "equal_cost": EqualCostSection,
}  # fmt: skip
