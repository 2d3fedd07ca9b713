"""The result of a calibration for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def number(value: Any, digits: int = 4) -> str:
    """A number in few digits, a dash where there is none."""
    return "-" if value is None else f"{float(value):.{digits}g}"


def span(low: Any, high: Any) -> str:
    """An interval as text."""
    return "-" if low is None or high is None else f"{number(low)} to {number(high)}"


def profile_text(profile: Mapping[str, Any] | None) -> str:
    """A profile interval, with a mark on a side that the slice did not close."""
    if profile is None:
        return "-"
    left, right = profile["closed"]
    return f"{'' if left else '<'}{number(profile['low'])} to {'' if right else '>'}{number(profile['high'])}"


def headline(result: Mapping[str, Any]) -> str:
    """The fit in one line."""
    data, sampling = result["data"], result["sampling"]
    length = "1-day" if data["bar_seconds"] is None else f"{data['bar_seconds']:g}-s"
    return (
        f"{result['scenario']} to {data['name']}: {data['bars']} {length} returns, {data['first']} to {data['last']}; "
        f"{sampling['seeds']} seeds of {sampling['bars']} bars ({sampling['steps']} steps a bar) at every point"
    )


def test_text(result: Mapping[str, Any]) -> str:
    """The J test in one line."""
    test = result["test"]
    if test["j"] is None:
        return f"Distance {number(result['distance'])}; no test: as many parameters as moments, or no derivatives"
    return (
        f"Distance {number(result['distance'])}; J = {test['j']:.2f} with {test['degrees']} degrees of freedom, "
        f"p = {test['p_value']:.2g}"
    )


def parameter_rows(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Cells of the table of parameters."""
    return [
        (
            row["name"], number(row["estimate"], 5), number(row["error"], 3), span(row["low"], row["high"]),
            profile_text(row["profile"]),
            f"{number(row['bounds'][0])} to {number(row['bounds'][1])}{' log' if row['log'] else ''}",
        )
        for row in result["parameters"]
    ]  # fmt: skip


PARAMETER_HEADS = ("parameter", "estimate", "std. error", "95 % interval", "profile", "bounds")
MOMENT_HEADS = ("moment", "data", "95 % interval", "simulated", "sd over seeds", "t", "seeds inside")


def moment_rows(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Cells of the table of moments."""
    return [
        (
            row["name"] + (f" ({row['unit']})" if row["unit"] else ""), number(row["data"]),
            span(row["low"], row["high"]), number(row["simulated"]), number(row["spread"], 3), f"{row['t']:+.2f}",
            f"{100 * row['inside']:.0f} %",
        )
        for row in result["moments"]
    ]  # fmt: skip


def weights_text(result: Mapping[str, Any]) -> str:
    """How the weights were made, in one line."""
    of = result["weights"]
    return (
        f"Weights: {of['weighting']}, from {of['replications']} bootstrap series in blocks of {of['block']} bars on "
        f"average ({of['block_chosen']}); shrinkage {number(of['shrinkage'], 2)}, condition number before it "
        f"{number(of['condition'], 3)}"
    )


def search_text(result: Mapping[str, Any]) -> str:
    """What the search did, in one line."""
    of = result["search"]
    phases = ", ".join(f"{name} to point {points}" for name, points in of["phases"])
    return (
        f"Search: {phases}; {of['evaluated']} points with derivatives and slices, {of['runs']} runs, "
        f"{of['infeasible']} points could not be run"
    )


def identification_texts(result: Mapping[str, Any]) -> list[str]:
    """Condition number, directions and correlations, a line each."""
    of = result["identification"]
    found = [f"Condition number of the information: {number(of['condition'], 3) if of['condition'] else 'infinite'}"]
    for direction in of["directions"]:
        parts = " ".join(f"{x:+.2f} {name}" for name, x in direction["combination"].items())
        size = "unknown" if direction["error"] is None else f"{100 * direction['error']:.1f} % of the bounds' distance"
        found.append(f"  {parts}: {size}{', WEAK' if direction['weak'] else ''}")
    names = [row["name"] for row in result["parameters"]]
    for i, a in enumerate(names):
        for j in range(i):
            value = of["correlation"][i][j]
            if value is not None and abs(value) >= 0.5:
                found.append(f"  correlation of {names[j]} and {a}: {value:+.2f}")
    return found


def table(title: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """A table in columns."""
    widths = [max(len(line[i]) for line in (heads, *rows)) for i in range(len(heads))]
    texts = [
        "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                  for i, (cell, width) in enumerate(zip(line, widths, strict=True))).rstrip()
        for line in (heads, *rows)
    ]  # fmt: skip
    return [title, *(f"  {text}" for text in texts)]


def lines(result: Mapping[str, Any]) -> list[str]:
    """Everything that the terminal shows."""
    found = [headline(result), *table("Parameters", PARAMETER_HEADS, parameter_rows(result))]
    found += table("Moments", MOMENT_HEADS, moment_rows(result))
    found += [test_text(result), weights_text(result), search_text(result), *identification_texts(result)]
    found += [f"Note: {text}" for text in result["warnings"]]
    return found
