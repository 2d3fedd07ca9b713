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
    """The ``[stop]`` table: how far intervals must shrink before a point needs no more seeds."""

    outcomes: tuple[str, ...] = Field(min_length=1, description="measures whose intervals decide")
    regimes: tuple[str, ...] = Field((), description="whose differences from the baseline decide; all if left out")
    half_width: float = Field(description="wanted half of the interval, in the plain unit of the measure")
    relative: bool = Field(False, description="the half-width is a share of the baseline's mean")
    minimum: int = Field(30, description="seeds before the first look")
    batch: int = Field(10, description="seeds between two looks")
    confidence: float = Field(0.95, description="of the intervals, all together")
    method: Literal["fixed_width", "confidence_sequence"] = Field(
        "fixed_width", description="which rule keeps the level; see statistics.md"
    )
    until: Literal["width", "sign"] = Field("width", description="sign: stop also once zero is outside")


class EqualCostSection(Table):
    """The ``[equal_cost]`` table: regimes are scaled so that they cost what the baseline costs."""

    measure: Literal["mean_margin", "requirement", "coverage", "open_interest"] = Field(
        "mean_margin", description="what is made equal"
    )
    target: float | None = Field(None, gt=0.0, description="value for all regimes; the baseline's own if left out")
    tolerance: float = Field(0.005, gt=0.0, lt=0.5, description="allowed residual, relative; of coverage absolute")
    seeds: int | str | tuple[int, ...] = Field(
        "900:920", description="pilot seeds of the search, none of them a seed of the study"
    )


MODELS: dict[str, type[Table]] = {
    "study": StudySection, "design": DesignSection, "stop": StopSection, "equal_cost": EqualCostSection,
}  # fmt: skip
