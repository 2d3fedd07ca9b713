"""What a sensitivity analysis found: lines for the terminal, tables, figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.collected import failure_lines
from experiments.latex import write_fragment
from experiments.sensitivity.design import MORRIS
from experiments.sensitivity.indices import LEAST, SETTLED, ranking
from experiments.tables import Cell, Column, Estimate, Table
from experiments.tables import write as write_tables
from experiments.vocabulary import Scale, describe, scale_of

_NAMES = {"mu_star": "mu*", "mu": "mu", "sigma": "sigma", "S1": "S1", "ST": "ST"}


def title(output: Mapping[str, Any], regimes: int) -> str:
    """What an output is called."""
    label = describe(output["outcome"]).label
    return f"{label}, {output['arm']}" if regimes > 1 else label


def lines(result: Mapping[str, Any]) -> list[str]:
    """What the terminal shows."""
    design = result["design"]
    sample = "trajectories" if design["method"] == MORRIS else "base points"
    found = [
        f"{result['scenario']}: {len(design['ranges'])} keys, {design['method']}, {design['samples']} {sample}, "
        f"{result['points']} points x {len(result['seeds'])} seeds"
    ]
    for i, output in enumerate(result["outputs"]):
        found += ["", title(output, len(result["regimes"]))]
        if output["indices"]:
            found += indices_table(result, i).lines()
        found += _notes(output, design["method"])
    return [*found, *failure_lines(result["failures"])]


def _notes(output: Mapping[str, Any], method: str) -> list[str]:
    told = []
    if output["constant"]:
        told.append("the same at every point: no key of these ranges changes it")
    elif not output["indices"]:
        told.append(f"not estimated: {output['blocks']} complete blocks, {LEAST} are needed")
    if output["dropped"]:
        told.append(f"{output['dropped']} blocks left out: a run failed or had nothing to measure")
    shares = output["noise"]["shares"]
    if shares is not None and not output["constant"]:
        told.append(
            f"Variance of single runs: parameters {shares['parameters']:.0%}, seed {shares['seed']:.0%}, "
            f"seed x parameters {shares['interaction']:.0%}"
        )
        if output["noise"]["of_means"] is not None:
            told.append(f"Of the variance between means over seeds, {output['noise']['of_means']:.1%} is luck")
    elif shares is None and output["noise"]["seeds"] < 2:
        told.append("One seed: luck and parameters are not told apart")
    if output["width"] is not None:
        of = "of the largest mu*" if method == MORRIS else "of ST"
        state = "converged" if output["width"] < SETTLED else "not converged"
        told.append(f"Widest interval {of}: {output['width']:.2f} ({state}: the criterion is {SETTLED:g})")
        told.append(f"Placebo, a parameter that nothing hears of: {output['placebo']:g}")
    return told


def indices_table(result: Mapping[str, Any], index: int) -> Table:
    """Indices of one output by key, the most important first."""
    output, method = result["outputs"][index], result["design"]["method"]
    scale = Scale()
    if method == MORRIS:
        ends = [e["high"] for by in output["indices"].values() for name, e in by.items() if name == "mu_star"]
        scale = scale_of(describe(output["outcome"]).kind, ends)
    names = list(next(iter(output["indices"].values())))
    columns = (Column("key", "Key"), Column("range", "Range"), *(
        Column(name, _NAMES[name], unit=scale.difference_unit) for name in names
    ))  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for key in ranking(output, method):
        by = output["indices"][key]
        rows.append((key, _range(result["design"]["ranges"][key]), *(Estimate.of(by[name], scale) for name in names)))
    for pair, by in output["pairs"].items():
        rows.append((pair, "S2", Estimate.of(by["S2"]), None))
    what = "Morris's elementary effects" if method == MORRIS else "Sobol indices"
    caption = (
        f"{what} of {title(output, len(result['regimes']))} in {result['scenario']}, {output['blocks']} "
        f"{'trajectories' if method == MORRIS else 'base points'}, mean over {len(result['seeds'])} common seeds."
    )
    note = "mu* is the mean absolute effect of the whole range of a key." if method == MORRIS else (
        "S1 is the share of variance that a key explains alone, ST with all its interactions."
    )  # fmt: skip
    notes = (f"{note} Intervals: 95 % bootstrap over blocks and seeds.", *_notes(output, method))
    return Table(_stem("sensitivity", result, output), caption, columns, tuple(rows), notes)


def _range(given: Mapping[str, Any]) -> str:
    return f"{given['low']:g} to {given['high']:g}{', log' if given['scale'] == 'log' else ''}"


def _stem(kind: str, result: Mapping[str, Any], output: Mapping[str, Any]) -> str:
    words = [kind, output["outcome"], *([output["arm"]] if len(result["regimes"]) > 2 else [])]
    return "-".join("".join(c if c.isalnum() else "_" for c in word) for word in words)


def write(folder: Path, result: Mapping[str, Any]) -> None:
    """Write tables and figures into an output folder."""
    from experiments.drawing import sensitivity as drawing

    found = [i for i, output in enumerate(result["outputs"]) if output["indices"]]
    write_tables([indices_table(result, i) for i in found], folder)
    for i in found:
        output = result["outputs"][i]
        drawing.figure(result, output, _stem("indices", result, output), folder / "figures")
        drawing.convergence(result, output, _stem("convergence", result, output), folder / "figures")
    write_fragment(folder)
