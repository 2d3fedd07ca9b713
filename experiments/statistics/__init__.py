"""Paired comparisons of margin regimes: intervals, tests, effect sizes.

Regimes are run on the same seeds, and keyed draws give one seed the same world under each of them, so the unit of
analysis is the difference on one seed. Every number here is a function of its input alone: resampling uses a
generator of its own with a fixed seed, so a report can be made twice with the same digits.

Undefined numbers (an interval from one seed, an effect size where all differences are equal) are ``None``, never NaN
or infinite, so that results are valid JSON.
"""

from experiments.statistics.intervals import mean_interval, ratio_of_means, t_interval
from experiments.statistics.paired import (
    Values,
    incidence_summary,
    paired_difference,
    paired_summary,
    placebo_difference,
    verdict,
)
from experiments.statistics.planning import detectable_difference, required_seeds
from experiments.statistics.settings import CONFIDENCE, GENERATOR_SEED, LEVEL, POWER, RESAMPLES
from experiments.statistics.tests import holm, sign_flip_test

__all__ = [
    "CONFIDENCE",
    "GENERATOR_SEED",
    "LEVEL",
    "POWER",
    "RESAMPLES",
    "Values",
    "detectable_difference",
    "holm",
    "incidence_summary",
    "mean_interval",
    "paired_difference",
    "paired_summary",
    "placebo_difference",
    "ratio_of_means",
    "required_seeds",
    "sign_flip_test",
    "t_interval",
    "verdict",
]
