"""Paired comparisons of margin regimes: intervals, tests, effect sizes, tails, planning, sequential stopping.

Regimes are run on the same seeds, and keyed draws give one seed the same world under each of them, so the unit of
analysis is the difference on one seed. Every number here is a function of its input alone: resampling uses a
generator of its own with a fixed seed, so a report can be made twice with the same digits.

Undefined numbers (an interval from one seed, an effect size where all differences are equal) are ``None``, never NaN
or infinite, so that results are valid JSON.
"""

from experiments.statistics.effects import (
    effect_sizes,
    rank_biserial,
    standardised,
    superiority,
    variance_reduction,
)
from experiments.statistics.intervals import mean_interval, ratio_of_means, t_interval, wilson_interval
from experiments.statistics.paired import (
    Values,
    incidence_differences,
    incidence_summary,
    paired_difference,
    paired_summary,
    placebo_difference,
    tail_differences,
    verdict,
)
from experiments.statistics.planning import (
    detectable_difference,
    plan,
    power_of,
    required_seeds,
    required_seeds_exact,
    required_seeds_for_half_width,
    required_seeds_for_proportion,
)
from experiments.statistics.sequential import Decision, StoppingRule, decide, decide_all
from experiments.statistics.settings import CONFIDENCE, GENERATOR_SEED, LEVEL, POWER, RESAMPLES
from experiments.statistics.tails import (
    exceedance,
    exceedance_difference,
    expected_shortfall,
    extreme,
    quantile,
    tail_difference,
    tail_summary,
)
from experiments.statistics.tests import holm, sign_flip_test

__all__ = [
    "CONFIDENCE",
    "GENERATOR_SEED",
    "LEVEL",
    "POWER",
    "RESAMPLES",
    "Decision",
    "StoppingRule",
    "Values",
    "decide",
    "decide_all",
    "detectable_difference",
    "effect_sizes",
    "exceedance",
    "exceedance_difference",
    "expected_shortfall",
    "extreme",
    "holm",
    "incidence_differences",
    "incidence_summary",
    "mean_interval",
    "paired_difference",
    "paired_summary",
    "placebo_difference",
    "plan",
    "power_of",
    "quantile",
    "rank_biserial",
    "ratio_of_means",
    "required_seeds",
    "required_seeds_exact",
    "required_seeds_for_half_width",
    "required_seeds_for_proportion",
    "sign_flip_test",
    "standardised",
    "superiority",
    "t_interval",
    "tail_difference",
    "tail_differences",
    "tail_summary",
    "variance_reduction",
    "verdict",
    "wilson_interval",
]
