"""Findings in words, from numbers alone.

A sentence never says more than the numbers do: a difference is one only if it survives the correction for the number
of comparisons, and where none is seen the sentence gives the interval and the size that would have been found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from experiments.statistics import LEVEL, verdict
from experiments.vocabulary import (
    HEADLINE,
    Money,
    Scale,
    Shown,
    decimals,
    describe,
    number,
    order,
    scale_of,
    show,
    with_unit,
)

VERDICTS = {
    "different": "differs",
    "suggestive": "unclear",
    "none": "no difference detectable",
    "identical": "identical",
    "untested": "not tested",
}
"""Short forms of the verdicts for tables."""

SMALL_SAMPLE = 10
"""Below this many seeds bootstrap intervals are visibly too narrow, and the report says so."""

_NAMED_REGIMES = 4  # up to so many are named one by one where pairs were left out


def listing(words: Sequence[str]) -> str:
    """Join words as in a sentence: ``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def p_text(p: float | None) -> str:
    """Write a p-value: three decimals, and a bound where it is smaller."""
    if p is None:
        return "n/a"
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def p_clause(p: float | None) -> str:
    """Write a p-value with its sign, ``p = 0.012`` or ``p < 0.001``."""
    text = p_text(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def measure_scales(result: Mapping[str, Any]) -> dict[str, Scale]:
    """One scale per measure, from the means of all regimes, so that a row of a table has one unit."""
    money = Money.of(result)
    return {
        name: scale_of(describe(name).kind, [e.get("mean") for e in by_regime.values()], money)
        for name, by_regime in result.get("measures", {}).items()
    }


def difference_scale(name: str, difference: Mapping[str, Any], result: Mapping[str, Any]) -> Scale:
    """Scale for one difference, from its mean and the ends of its interval."""
    ends = [difference.get(key) for key in ("mean", "low", "high")]
    return scale_of(describe(name).kind, ends, Money.of(result))


def compared(result: Mapping[str, Any]) -> list[str]:
    """Regimes other than the baseline that have differences, in the order of the result."""
    return [r for r in result.get("regimes", result.get("differences", {})) if r in result.get("differences", {})]


def verdict_of(difference: Mapping[str, Any], level: float = LEVEL) -> str:
    """Verdict stored with a difference, or computed from its numbers."""
    return str(difference.get("verdict") or verdict(difference, level=level))


def headline_measures(result: Mapping[str, Any], limit: int = 8) -> list[str]:
    """Measures that a summary shows: the headline ones that are present, then others that differ, up to a limit."""
    present = [name for name in result.get("measures", {}) if describe(name).family != "event"]
    chosen = [name for name in HEADLINE if name in present]
    found = [
        name
        for name in order(present)
        if name not in chosen
        and any(verdict_of(by.get(name, {})) == "different" for by in result.get("differences", {}).values())
    ]
    rest = [name for name in order(present) if name not in chosen and name not in found]
    if len(chosen) < 4:
        found += rest
    return order((chosen + found)[:limit])


def direction(name: str, difference: Mapping[str, Any]) -> str:
    """Comparative for the sign of a difference, such as ``deeper`` or ``fewer``."""
    measure = describe(name)
    return measure.more if (difference.get("mean") or 0.0) > 0.0 else measure.less


def _upright(difference: Mapping[str, Any], scale: Scale) -> Shown:
    """A difference without its sign, its interval turned with it."""
    turned = dict(difference)
    if (difference.get("mean") or 0.0) < 0.0:
        mean, low, high = (difference.get(key) for key in ("mean", "low", "high"))
        turned |= {
            "mean": None if mean is None else -mean,
            "low": None if high is None else -high,
            "high": None if low is None else -low,
        }
    return show(turned, scale)


def magnitude(name: str, difference: Mapping[str, Any], scale: Scale) -> str:
    """Size and direction of a difference, such as ``1.3 pp deeper``."""
    return f"{with_unit(_upright(difference, scale).value, scale.difference_unit)} {direction(name, difference)}"


def sized(name: str, difference: Mapping[str, Any], scale: Scale) -> str:
    """Size, direction and interval of a difference, such as ``1.3 pp deeper [1.2, 1.5]``."""
    return f"{magnitude(name, difference, scale)} {_upright(difference, scale).interval}".strip()


def _seeds(n: int) -> str:
    return f"{n} seed" if n == 1 else f"{n} seeds"


def _interval(difference: Mapping[str, Any], scale: Scale) -> str:
    return with_unit(show(difference, scale, difference=True).interval, scale.difference_unit)


def describe_difference(
    name: str, regime: str, baseline: str, difference: Mapping[str, Any], scale: Scale, level: float = LEVEL
) -> str:
    """One sentence on one measure under one regime against the baseline."""
    label = describe(name).label
    subject = f"{label[0].upper()}{label[1:]}"
    n = int(difference.get("n") or 0)
    what = verdict_of(difference, level)
    if n == 0:
        return f"{subject}: no seed has a value under both {regime} and {baseline}."
    if what == "identical":
        if n == 1:
            return f"{subject}: identical under {regime} and {baseline} on the one seed that was run."
        return f"{subject}: identical under {regime} and {baseline} on each of {_seeds(n)}."
    size = magnitude(name, difference, scale)
    if what == "untested":
        if n == 1:
            return f"{subject}: {size} under {regime} than under {baseline} on the one seed that was run; no interval."
        return f"{subject}: {size} under {regime} than under {baseline} on average of {_seeds(n)}; not tested."
    interval = _interval(difference, scale)
    if what == "different":
        agree = max(int(difference.get("higher") or 0), int(difference.get("lower") or 0))
        same = f"; {agree} of {_seeds(n)} agree in sign" if agree else ""
        return (
            f"{subject}: {size} under {regime} than under {baseline}, interval {interval}, "
            f"{p_clause(difference.get('p_holm'))} after correction{same}."
        )
    if what == "suggestive":
        return f"{subject}: {_unclear(regime, baseline, difference, size, interval, level)}"
    text = f"{subject}: no difference detectable between {regime} and {baseline}: interval {interval} includes zero"
    detectable = difference.get("detectable")
    if detectable:
        size = number(detectable * scale.factor, decimals([detectable * scale.factor], detectable * scale.factor))
        text += f"; {_seeds(n)} would find a difference of {with_unit(size, scale.difference_unit)} with 80 % power"
    return text + "."


def _unclear(regime: str, baseline: str, difference: Mapping[str, Any], size: str, interval: str, level: float) -> str:
    """Why a difference that some number points to is not counted as one."""
    low, high = float(difference["low"]), float(difference["high"])
    p, p_holm = difference.get("p"), difference.get("p_holm")
    start = f"unclear. {size} under {regime} than under {baseline}, interval {interval}"
    if low <= 0.0 <= high:
        return f"{start} includes zero although the test gives {p_clause(p)}; not counted as a difference."
    if p is not None and p > level:
        return f"{start} excludes zero, but the test gives {p_clause(p)}; not counted as a difference."
    count = difference.get("comparisons")
    over = f" for {count} comparisons" if count else ""
    return (
        f"{start} excludes zero ({p_clause(p)}), but not after correction{over} ({p_clause(p_holm)}); "
        "not counted as a difference."
    )


def summary_sentence(regime: str, result: Mapping[str, Any], names: Iterable[str] | None = None) -> str:
    """What a regime changes against the baseline, in one sentence over the measures of a summary."""
    baseline = str(result["baseline"])
    differences = result["differences"][regime]
    chosen = [n for n in (headline_measures(result) if names is None else names) if n in differences]
    by_verdict: dict[str, list[str]] = {}
    for name in chosen:
        by_verdict.setdefault(verdict_of(differences[name]), []).append(name)
    labels = {name: describe(name).label for name in chosen}
    parts = []
    if found := by_verdict.get("different"):
        listed = [f"{labels[n]} {sized(n, differences[n], difference_scale(n, differences[n], result))}" for n in found]
        parts.append(f"differs from {baseline}: {listing(listed)}")
    if unclear := by_verdict.get("suggestive"):
        parts.append(f"is unclear for {listing([labels[n] for n in unclear])}")
    if none := by_verdict.get("none"):
        parts.append(f"shows no detectable difference in {listing([labels[n] for n in none])}")
    if same := by_verdict.get("identical"):
        parts.append(f"is identical in {listing([labels[n] for n in same])}")
    if untested := by_verdict.get("untested"):
        parts.append(f"is not tested on {listing([labels[n] for n in untested])}")
    return "; ".join(parts) + "." if parts else "has no measure to compare."


def headline(result: Mapping[str, Any]) -> str:
    """The result in one line: which regimes differ from the baseline, which do not, and where it is unclear."""
    baseline, names = str(result["baseline"]), headline_measures(result)
    differing: list[str] = []
    unclear: list[str] = []
    silent: list[str] = []
    untested: list[str] = []
    for regime in compared(result):
        by = {n: verdict_of(d) for n, d in result["differences"][regime].items() if n in names}
        found = sum(what == "different" for what in by.values())
        if found:
            differing.append(f"{regime} on {found} of {len(by)} measures")
        elif "suggestive" in by.values():
            unclear.append(regime)
        elif "none" in by.values() or set(by.values()) == {"identical"}:
            silent.append(regime)
        else:
            untested.append(regime)
    parts = [
        (f"Different from {baseline}", differing),
        (f"Unclear against {baseline}", unclear),
        (f"No difference from {baseline} detectable", silent),
        (f"Not tested against {baseline}", untested),
    ]
    text = " ".join(f"{start}: {listing(regimes)}." for start, regimes in parts if regimes)
    return text or f"Only {baseline} was run: there is nothing to compare."


def finding(result: Mapping[str, Any]) -> str:
    """The first difference of each regime, short enough for the title of a figure."""
    names = headline_measures(result)
    names = [n for n in HEADLINE if n in names] + [n for n in names if n not in HEADLINE]
    found: dict[str, list[str]] = {}
    for regime in compared(result):
        differences = result["differences"][regime]
        first = next((n for n in names if n in differences and verdict_of(differences[n]) == "different"), None)
        if first is not None:
            scale = difference_scale(first, differences[first], result)
            found.setdefault(first, []).append(f"{magnitude(first, differences[first], scale)} under {regime}")
    if not found:
        return headline(result).rstrip(".")
    parts = [f"{describe(name).label} {listing(sizes)}" for name, sizes in found.items()]
    text = f"{'; '.join(parts)} than under {result['baseline']}"
    return text[0].upper() + text[1:]


def placebo_sentence(result: Mapping[str, Any]) -> tuple[bool | None, str]:
    """Whether the placebo holds (None: not run) and the sentence that says so."""
    placebo, baseline = result.get("placebo"), result.get("baseline")
    if not placebo:
        return None, "Placebo: not run."
    wrong = [name for name, value in placebo.items() if value is None or value != 0.0]
    if not wrong:
        count = f"all {len(placebo)} measures" if len(placebo) > 1 else "the one measure"
        same = "; the tables of both agree in every byte" if result.get("placebo_identical") else ""
        return True, f"Placebo ({baseline} against itself): exactly zero on {count}, on every seed{same}."
    listed = []
    for name in wrong:
        value = placebo[name]
        listed.append(f"{name} {'not comparable' if value is None else f'up to {value:.6g}'}")
    return False, (
        f"Placebo ({baseline} against itself) FAILED: {', '.join(listed)}. The comparison below is not valid: "
        "paired runs do not share one world."
    )


def _dropped(pairs: Mapping[tuple[str, str], int]) -> list[str]:
    """Left-out pairs by regime and measure; a measure that lacks pairs under many regimes is named once."""
    found = []
    for name in dict.fromkeys(name for _, name in pairs):
        counts = {regime: count for (regime, other), count in pairs.items() if other == name}
        label = describe(name).label
        if len(counts) <= _NAMED_REGIMES:
            found += [f"{label} under {regime} ({count})" for regime, count in counts.items()]
        else:
            found.append(
                f"{label} under {len(counts)} of those compared ({min(counts.values())} to {max(counts.values())})"
            )
    return found


def cautions(result: Mapping[str, Any]) -> list[str]:
    """What a reader must know before believing the tables: few seeds, dropped pairs, interrupted runs."""
    notes = []
    seeds = len(result.get("seeds") or [])
    if seeds == 1:
        notes.append("One seed was run: there are no intervals and no tests, and nothing here generalises.")
    elif 1 < seeds < SMALL_SAMPLE:
        smallest = 2.0 ** (1 - seeds)
        notes.append(
            f"Only {seeds} seeds were run: bootstrap intervals are too narrow at this size, and the smallest p-value "
            f"the paired test can give is {smallest:.3g} before correction."
        )
    dropped = {
        (regime, name): d["dropped"]
        for regime, by in result.get("differences", {}).items()
        for name, d in by.items()
        if d.get("dropped")
    }
    if dropped:
        notes.append(f"Pairs without a value on both sides were left out: {listing(_dropped(dropped))}.")
    if result.get("complete") is False:
        notes.append("The comparison was interrupted: these are the runs that were finished.")
    return notes


def findings(result: Mapping[str, Any]) -> list[str]:
    """The findings as plain sentences, for a terminal: headline, cautions, one line per regime, placebo."""
    lines = [headline(result), *cautions(result)]
    lines += [f"{regime} {summary_sentence(regime, result)}" for regime in compared(result)]
    lines.append(placebo_sentence(result)[1])
    return lines
