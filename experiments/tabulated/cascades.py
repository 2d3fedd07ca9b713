"""Tables of finite-size scaling and of the flat-book law; those of a cascade study are its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.tables import Column, Estimate, Table


def scaling(result: Mapping[str, Any]) -> list[Table]:
    """Finite-size scaling: where and how sharply cascades set in, by size of the market.

    Args:
        result: what :func:`experiments.studies.crossover.measure` gives.
    """
    labels = [f"{size['way']} x{size['factor']}" for size in result["sizes"]]
    names = ("position", "width", "spread", "bimodality")
    heads = ("R0 at P = 1/2", "Width in ln R0", "Largest spread of the share", "Bimodality there")
    onset = Table(
        "onset", "Onset of cascades by size of the market, with interval over seeds.",
        (Column("market", "Market"), Column("seeds", "Seeds"),
         *(Column(name, head, digits=2) for name, head in zip(names, heads, strict=True))),
        tuple((label, size["seeds"], *(Estimate.of(size[name], key="value") for name in names))
              for label, size in zip(labels, result["sizes"], strict=True)),
    )  # fmt: skip
    targets = [point["target"] for point in result["sizes"][0]["curve"]]
    curve = Table(
        "probability", "Probability that more than 30 % of leveraged lots are liquidated, by R0.",
        (Column("market", "Market"), *(Column(f"r0_{t:g}", f"R0 {t:g}", digits=2) for t in targets)),
        tuple((label, *(point["probability"] for point in size["curve"]))
              for label, size in zip(labels, result["sizes"], strict=True)),
    )  # fmt: skip
    trends = ("width", "share_width", "spread", "bimodality_change")
    words = ("Exponent of the width", "Of the share's width", "Of its spread", "Change of bimodality")
    ways = Table(
        "exponents", "How the onset changes with the size of the market.",
        (Column("way", "Way"), *(Column(name, head, digits=2) for name, head in zip(trends, words, strict=True))),
        tuple((way, *(Estimate.of(by[name], key="value") for name in trends)) for way, by in result["ways"].items()),
    )  # fmt: skip
    return [onset, curve, *([ways] if result["ways"] else [])]


def flat_book(result: Mapping[str, Any]) -> list[Table]:
    """The flat-book law: predicted and measured amplification.

    Args:
        result: what :func:`experiments.studies.flat_book.study` gives.
    """
    columns = (
        Column("sale", "Sale", "ticks"), Column("gain", "g"), Column("gamma_gain", "g of hedging"),
        Column("predicted", "Law", digits=3),
        Column("measured", "Measured", digits=3), Column("relative_error", "Error", "%", digits=2),
        Column("integer_bound", "Error of whole lots", "%", digits=2),
        Column("branching_ratio", "Branching ratio", digits=3), Column("fall", "Fall", "ticks"),
        Column("liquidated", "Liquidated", "lots"), Column("rounds", "Rounds"),
    )  # fmt: skip
    rows = []
    for row in result["rows"]:
        bound = None if row["predicted"] is None or row["runaway"] else 100.0 * row["integer_bound"]
        error = None if row["relative_error"] is None else 100.0 * row["relative_error"]
        rows.append(
            (row["sale"], row["gain"], row.get("gamma_gain", 0.0), row["predicted"], row["measured"],
             None if error is None else Estimate(error, signed=True), bound, row["branching_ratio"], row["fall"],
             row["liquidated"], row["rounds"])
        )  # fmt: skip
    caption = (
        f"Amplification of a fall on a flat book: {result['depth']} bid lots per tick, {result['accounts']} longs, "
        f"mark {result['mark']}, policy {result['policy']}."
    )
    return [Table("flat-book", caption, columns, tuple(rows))]
