"""When to stop adding seeds: sequential stopping by the width of an interval, at a level that holds.

Looking at an ordinary interval after every batch and stopping when it pleases breaks its level. Two rules keep it:

*Fixed width* (Chow and Robbins 1965, Anscombe 1953): stop at the first look at which the t interval is narrow enough.
Only the spread decides, never the mean, so the level is reached as the width asked for shrinks; it suffers where the
spread happens to look small early. Against that stand a minimum number of seeds, looks only after whole batches, and
one batch more after the look at which the interval was narrow enough (Simons 1968: for normal values some fixed number
of further ones makes the level hold at every width). The interval must not be used to stop for significance.

*Confidence sequence* (Waudby-Smith et al. 2024): an interval that holds at all looks at once, from the minimum on, so
that any reason to stop is allowed, also that zero is outside. It is wider, by about a half at the planned look.

Looks are at fixed numbers of seeds in the order of the seeds, so the answer does not depend on how many workers there
are or which run was ready first.

References:
    Anscombe, F. J. (1953). Sequential estimation. J. R. Stat. Soc. B 15(1), 1-29.
    Chow, Y. S. & Robbins, H. (1965). On the asymptotic theory of fixed-width sequential confidence intervals for the
        mean. Ann. Math. Statist. 36(2), 457-462.
    Simons, G. (1968). On the cost of not knowing the variance when making a fixed-width confidence interval for the
        mean. Ann. Math. Statist. 39(6), 1946-1952.
    Waudby-Smith, I., Arbour, D., Sinha, R., Kennedy, E. H. & Ramdas, A. (2024). Time-uniform central limit theory and
        asymptotic confidence sequences. Ann. Statist. 52(6), 2613-2640.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from experiments.statistics.settings import CONFIDENCE, rounded
from sim.errors import ConfigError, Problem

FIXED_WIDTH = "fixed_width"
SEQUENCE = "confidence_sequence"
METHODS = (FIXED_WIDTH, SEQUENCE)
WIDTH, SIGN = "width", "sign"


@dataclass(frozen=True)
class StoppingRule:
    """Stop when an interval of a mean over seeds is narrow enough.

    Attributes:
        half_width: wanted half of the interval, in the unit of the measure, or as a share with ``relative``.
        relative: the half-width is a share of the absolute mean of the baseline over the seeds so far.
        minimum: seeds before the first look.
        maximum: seeds at which the study stops whatever the width.
        batch: seeds between looks.
        confidence: of the interval.
        method: ``fixed_width`` or ``confidence_sequence``.
        until: ``width``, or with a confidence sequence ``sign``: also stop once zero is outside.
    """

    half_width: float
    relative: bool = False
    minimum: int = 30
    maximum: int = 1000
    batch: int = 10
    confidence: float = CONFIDENCE
    method: Literal["fixed_width", "confidence_sequence"] = "fixed_width"
    until: Literal["width", "sign"] = "width"

    def validate(self, key: str = "stop") -> None:
        """Check the settings.

        Args:
            key: where they stand, for messages.

        Raises:
            ConfigError: with every setting that is out of range.
        """
        wrong = [
            (not _number(self.half_width) or not self.half_width > 0.0, "half_width", "a number above 0"),
            (not _whole(self.minimum) or self.minimum < 10, "minimum", "a whole number of at least 10"),
            (not _whole(self.batch) or self.batch < 1, "batch", "a whole number above 0"),
            (not _number(self.confidence) or not 0.5 <= self.confidence < 1.0, "confidence", "from 0.5 to below 1"),
            (self.method not in METHODS, "method", ", ".join(METHODS)),
            (self.until not in (WIDTH, SIGN), "until", f"{WIDTH}, {SIGN}"),
        ]
        found = [Problem("", f"{key}.{name}", getattr(self, name), allowed) for bad, name, allowed in wrong if bad]
        if not _whole(self.maximum) or (_whole(self.minimum) and self.maximum < self.minimum):
            found.append(Problem("", f"{key}.maximum", self.maximum, f"a whole number of at least {self.minimum}"))
        if self.until == SIGN and self.method == FIXED_WIDTH:
            allowed = f"{WIDTH}; to stop for the sign needs method = {SEQUENCE!r}, which holds at every look"
            found.append(Problem("", f"{key}.until", SIGN, allowed))
        if found:
            raise ConfigError(found)

    def looks(self) -> list[int]:
        """Numbers of seeds at which the rule looks, the last one the maximum."""
        return [*range(self.minimum, self.maximum, self.batch), self.maximum]

    def as_dict(self) -> dict[str, Any]:
        """The settings, as a manifest holds them."""
        return asdict(self)


@dataclass(frozen=True)
class Decision:
    """What a rule says of the seeds so far.

    Attributes:
        stop: enough.
        reason: ``width``, ``sign``, ``maximum`` or, while it goes on, ``""``.
        n: seeds that the interval uses: those of the last look reached, even if more are there.
        next_n: seeds to have for the next look; ``n`` after stopping.
        mean: over those seeds; None before the first look.
        low: lower end.
        high: upper end.
        half_width: half of the interval.
        wanted: the half-width asked for, in the unit of the measure.
    """

    stop: bool
    reason: str
    n: int
    next_n: int
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    half_width: float | None = None
    wanted: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def half_widths(counts: ArrayLike, spreads: ArrayLike, rule: StoppingRule) -> NDArray[np.float64]:
    """Half-widths of the rule's interval after some numbers of seeds.

    Args:
        counts: seeds, each at least two.
        spreads: standard deviations over those seeds.
        rule: its method, confidence and looks.
    """
    from scipy import stats

    n, spread = np.asarray(counts, np.float64), np.asarray(spreads, np.float64)
    alpha = 1.0 - rule.confidence
    if rule.method == FIXED_WIDTH:
        return np.asarray(stats.t.ppf(1.0 - alpha / 2.0, n - 1.0) * spread / np.sqrt(n))
    # the boundary is tightest at the geometric mean of the first and the last look
    planned = math.sqrt(rule.minimum * rule.maximum)
    rho2 = (-2.0 * math.log(alpha) + math.log(-2.0 * math.log(alpha) + 1.0)) / planned
    inside = 2.0 * (n * rho2 + 1.0) / (n * n * rho2) * np.log(np.sqrt(n * rho2 + 1.0) / alpha)
    return np.asarray(spread * np.sqrt(inside))


def decide(values: ArrayLike, rule: StoppingRule, baseline: ArrayLike | None = None) -> Decision:
    """Whether the seeds so far are enough.

    Args:
        values: one per seed in the order of the seeds: differences to the baseline, or an outcome. NaN stands for a
            seed without a value: it is left out of the interval but counts as a seed of its look.
        rule: the rule.
        baseline: the baseline's outcome on the same seeds, where the width is relative to it; the values themselves
            if None.

    Returns:
        The decision at the first look that stops, or at the last look reached. The same for any number of further
        values.
    """
    sample = np.atleast_1d(np.asarray(values, dtype=np.float64))
    level = sample if baseline is None else np.atleast_1d(np.asarray(baseline, dtype=np.float64))
    looks = rule.looks()
    found = Decision(False, "", 0, looks[0])
    narrow_before = False
    for position, look in enumerate(looks):
        if look > sample.size:
            return found
        part = sample[:look][np.isfinite(sample[:look])]
        following = looks[min(position + 1, len(looks) - 1)]
        if part.size < 2:
            found = Decision(look == looks[-1], "maximum" if look == looks[-1] else "", look, following)
            continue
        mean, spread = float(part.mean()), float(np.std(part, ddof=1))
        half = float(half_widths(part.size, spread, rule))
        known = level[:look][np.isfinite(level[:look])]
        wanted = rule.half_width * (abs(float(known.mean())) if rule.relative and known.size else 1.0)
        narrow = half <= wanted
        if rule.method == FIXED_WIDTH:
            done, narrow_before = narrow_before, narrow_before or narrow  # one batch more, then stop
        else:
            done = narrow
        reason = WIDTH if done else SIGN if rule.until == SIGN and abs(mean) > half else ""
        if not reason and look == looks[-1]:
            reason = WIDTH if narrow else "maximum"
        ends = [rounded(x) for x in (mean, mean - half, mean + half, half, wanted)]
        found = Decision(bool(reason), reason, look, look if reason else following, *ends)
        if reason:
            return found
    return found


def decide_all(
    values: Mapping[Any, ArrayLike],
    rule: StoppingRule,
    baselines: Mapping[Any, ArrayLike] | None = None,
    *,
    simultaneous: bool = True,
) -> dict[str, Any]:
    """Whether the seeds so far are enough for several intervals: regimes, measures, points of a study.

    Args:
        values: one sample per interval.
        rule: the rule for each.
        baselines: as in :func:`decide`, by the same keys.
        simultaneous: share the level between the intervals (Bonferroni), so that all hold at once.

    Returns:
        ``stop`` (every one is enough), ``reason`` (``width``, ``sign`` or ``maximum``, the weakest of them), ``n``
        (seeds at which the last one stopped), ``next_n``, ``confidence`` of each interval, ``decisions`` by key.
    """
    from dataclasses import replace

    each = rule
    if simultaneous and len(values) > 1:
        each = replace(rule, confidence=1.0 - (1.0 - rule.confidence) / len(values))
    decisions = {key: decide(sample, each, (baselines or {}).get(key)) for key, sample in values.items()}
    going = [found for found in decisions.values() if not found.stop]
    reasons = {found.reason for found in decisions.values()}
    weakest = next((name for name in ("maximum", SIGN, WIDTH) if name in reasons), "")
    reached = max((found.n for found in decisions.values()), default=0)
    return {
        "stop": not going,
        "reason": "" if going else weakest,
        "n": reached,
        "next_n": max((found.next_n for found in going), default=reached),
        "confidence": each.confidence,
        "decisions": decisions,
    }


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
