"""Figures of a sensitivity analysis: the indices of every key, and how they settle as the sample grows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.drawing.canvas import FigureFile, blank, finish, look
from experiments.drawing.palette import INK, MUTED, regime_styles
from experiments.sensitivity.design import MORRIS
from experiments.sensitivity.indices import ranking
from experiments.vocabulary import Scale, describe, scale_of

_LABELS = {"mu_star": "mu*", "sigma": "sigma", "S1": "alone (S1)", "ST": "with interactions (ST)"}
SHOWN = 8
"""Keys drawn in the figure of convergence, the most important ones."""


def _names(result: Mapping[str, Any]) -> tuple[str, str]:
    return ("mu_star", "sigma") if result["design"]["method"] == MORRIS else ("ST", "S1")


def _scale(result: Mapping[str, Any], output: Mapping[str, Any]) -> Scale:
    if result["design"]["method"] != MORRIS:
        return Scale()
    ends = [by["mu_star"]["high"] for by in output["indices"].values()]
    return scale_of(describe(output["outcome"]).kind, ends)


def _what(result: Mapping[str, Any], output: Mapping[str, Any]) -> str:
    label = describe(output["outcome"]).label
    return f"{label} ({output['arm']})" if len(result["regimes"]) > 1 else label


def figure(result: Mapping[str, Any], output: Mapping[str, Any], name: str, folder: Path) -> FigureFile:
    """Draw the indices of one output by key, the most important on top.

    Args:
        result: what :func:`experiments.sensitivity.command.measure` gives.
        output: one of its outputs, with indices.
        name: stem of the files.
        folder: for the files.
    """
    keys = list(ranking(output, result["design"]["method"]))
    scale, shown = _scale(result, output), _names(result)
    styles = regime_styles(shown)
    with look():
        drawn = blank(1.3 + 0.36 * len(keys))
        axes = drawn.subplots()
        told = []
        for position, index in enumerate(shown):
            y = np.arange(len(keys), dtype=float)[::-1] + (0.12 if position == 0 else -0.12)
            entries = [output["indices"][key][index] for key in keys]
            mean, low, high = (np.array([e[end] for e in entries]) * scale.factor for end in ("mean", "low", "high"))
            style = styles[index]
            bars = [np.maximum(mean - low, 0.0), np.maximum(high - mean, 0.0)]
            axes.errorbar(
                mean, y, xerr=bars, fmt=style.marker, color=style.color, markersize=4.5, elinewidth=1.0,
                label=_LABELS[index],
            )  # fmt: skip
            told.append(f"{_LABELS[index]}: " + ", ".join(f"{k} {v:.3g}" for k, v in zip(keys, mean, strict=True)))
        axes.axvline(0.0, color=MUTED, linewidth=0.7)
        axes.set_yticks(np.arange(len(keys))[::-1], keys)
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x", visible=True)
        unit = f", {scale.difference_unit}" if scale.difference_unit else ""
        morris = result["design"]["method"] == MORRIS
        axes.set_xlabel(f"effect of the whole range{unit}" if morris else "share of the variance of means over seeds")
        axes.legend(frameon=False, loc="lower right")
        return finish(
            drawn, folder, name, f"What decides {_what(result, output)}: {keys[0]} first", ". ".join(told) + ".",
            "95 % bootstrap intervals over blocks of the design and over seeds."
            + (" sigma far from zero beside mu*: the effect depends on where the other keys stand." if morris else ""),
        )  # fmt: skip


def convergence(result: Mapping[str, Any], output: Mapping[str, Any], name: str, folder: Path) -> FigureFile:
    """Draw the deciding index of each key over the size of the sample.

    Args:
        result: what :func:`experiments.sensitivity.command.measure` gives.
        output: one of its outputs, with indices.
        name: stem of the files.
        folder: for the files.
    """
    method = result["design"]["method"]
    keys = list(ranking(output, method))[:SHOWN]
    scale, (index, _) = _scale(result, output), _names(result)
    styles = regime_styles(keys)
    with look():
        drawn = blank(3.3)
        axes = drawn.subplots()
        n = np.array([step["n"] for step in output["convergence"]])
        for key in keys:
            entries = [step["indices"][key][index] for step in output["convergence"]]
            mean, low, high = (np.array([e[end] for e in entries]) * scale.factor for end in ("mean", "low", "high"))
            style = styles[key]
            axes.fill_between(n, low, high, color=style.color, alpha=0.13, linewidth=0.0)
            axes.plot(
                n, mean, color=style.color, linestyle=style.dashes, linewidth=style.width, marker=style.marker,
                markersize=3.5, label=key,
            )  # fmt: skip
        axes.set_xscale("log")
        ticks = n[:: max(1, len(n) // 8)]
        axes.set_xticks(ticks, [str(step) for step in ticks])
        axes.minorticks_off()
        sample = "trajectories" if method == MORRIS else "base points"
        axes.set_xlabel(sample)
        unit = f", {scale.difference_unit}" if scale.difference_unit else ""
        axes.set_ylabel(f"{'mu*' if index == 'mu_star' else index}{unit}", color=INK)
        handles, labels = axes.get_legend_handles_labels()
        drawn.legend(handles, labels, frameon=False, fontsize=7.5, loc="outside lower center", ncols=2)
        title = f"Indices of {_what(result, output)} as the sample grows"
        last = output["convergence"][-1]["indices"]
        told = ", ".join(f"{key} {last[key][index]['mean'] * scale.factor:.3g}" for key in keys)
        return finish(
            drawn, folder, name, title, f"{index} over {n[0]} to {n[-1]} {sample}; at the end {told}.",
            f"Index of the first {sample} of the sample, with 95 % bootstrap intervals over them and over seeds.",
        )  # fmt: skip
