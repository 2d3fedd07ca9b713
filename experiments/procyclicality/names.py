"""Measures of this study in words; the others are in :mod:`experiments.vocabulary`."""

from __future__ import annotations

from experiments.vocabulary import Measure, describe

FAMILY = "procyclicality"

_OWN = (
    Measure("mean_margin", "mean margin of a unit", "fraction", "cost",
            "Initial margin of the portfolio that never changes, as a share of its value, averaged over time."),
    Measure("peak_to_trough", "peak to trough", "number", FAMILY, "Its largest over its smallest value."),
    Measure("margin_volatility", "volatility of margin", "fraction", FAMILY,
            "Standard deviation of the change of its logarithm from one sample to the next."),
    Measure("exceedance_rate", "losses above margin", "fraction", "coverage",
            "Share of margin periods of risk, end to end, in which one long unit lost more than its margin."),
    Measure("uncovered_loss", "mean loss above margin", "fraction", "coverage",
            "Loss of one long unit above its margin over a margin period of risk, share of value, mean over all."),
    Measure("correlation_volatility", "correlation with volatility", "number", FAMILY,
            "Of the log of margin with the log of realised volatility at the same time."),
    Measure("lag_volatility_minutes", "lag behind volatility, minutes", "number", FAMILY,
            "Lag at which that correlation is largest in size; positive where margin follows."),
    Measure("correlation_price", "correlation with price", "number", FAMILY,
            "Of the log change of margin with the log return of the same sample."),
    Measure("lag_price_minutes", "lag behind price, minutes", "number", FAMILY,
            "Lag at which that correlation is largest in size; positive where margin follows."),
)  # fmt: skip
_BY_NAME = {measure.name: measure for measure in _OWN}
_SPANS = {
    "rise_": ("largest rise within {}", "fraction", "Largest relative increase of a unit's margin within {}."),
    "unit_call_": ("largest call on a unit within {}", "fraction",
                   "The same in absolute terms, as a share of the unit's value."),
    "call_share_": ("largest call within {}, of liquid assets", "fraction",
                    "Largest rise of a unit's margin within {} times what leveraged traders hold at its start, over "
                    "their liquid assets then: free equity and cash outside the exchange."),
    "called_share_": ("calls made within {}, of liquid assets", "fraction",
                      "Largest amount that the exchange called within {}, over the same; zero where it liquidates "
                      "without a call."),
}  # fmt: skip


def measure_of(name: str) -> Measure:
    """The description of a measure.

    Examples:
        >>> measure_of("rise_5d").label
        'largest rise within 5d'
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    for prefix, (label, kind, definition) in _SPANS.items():
        if name.startswith(prefix):
            span = name.removeprefix(prefix)
            return Measure(name, label.format(span), kind, FAMILY, definition.format(span))  # type: ignore[arg-type]
    return describe(name)
