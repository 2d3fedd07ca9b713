"""The cascade of a run: its largest tree, liquidations by generation, and what they were due to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.cascade_tree import cascade_measures, shares
from experiments.drawing.canvas import FigureFile, blank, finish, look
from experiments.drawing.palette import MUTED, PAPER, RegimeStyle
from experiments.vocabulary import number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

NODES_SHOWN = 800
"""Liquidations of the largest tree that are drawn: the first generations, as many as fit."""
LABELS = {
    "liquidations": "others' forced fills",
    "orders": "traders' orders",
    "script": "scripted flow",
    "liquidators": "liquidators' trading",
    "adversary": "an adversary",
    "quotes": "quotes",
    "index": "index",
    "mark_rule": "mark rule",
    "margin": "margin rises",
    "funding": "funding",
    "own": "own trades",
}
"""Names of the classes of causes on a page."""


def cascade_figure(folder: Path, causes: pd.DataFrame, style: RegimeStyle, where: str = "") -> FigureFile | None:
    """Draw the cascades of one run.

    Args:
        folder: where the files go.
        causes: table of liquidations (:func:`sim.causes.causes_table`).
        style: of the regime.
        where: regime and seed, for the title.

    Returns:
        The figure; None where nobody was liquidated.
    """
    if not len(causes):
        return None
    found, share = cascade_measures(causes), shares(causes)
    sizes = causes.groupby("cascade").size()
    largest = causes[causes["cascade"] == sizes.index[int(np.argmax(sizes.to_numpy()))]]
    with look():
        figure = blank(4.6)
        grid: dict[str, Axes] = figure.subplot_mosaic(
            [["tree", "tree"], ["generations", "causes"]], height_ratios=[1.55, 1.0]
        )
        drawn = _tree(grid["tree"], largest, style)
        _generations(grid["generations"], causes, style)
        _causes(grid["causes"], share, style)
        ratio = found["branching_ratio"]
        deep = int(found["cascade_depth"])
        title = (
            f"One liquidation brings about {number(ratio, 2)} others; the largest of {number(found['cascades'], 0)} "
            f"cascades takes {number(found['cascade_largest'], 0)} positions, the deepest {deep} generations"
        )
        said = ", ".join(f"{LABELS[name]} {number(100 * w, 1)} %" for name, w in share.items() if w >= 0.0005)
        alt = (
            f"Tree of the largest cascade, {len(largest)} liquidations in {int(largest['generation'].max()) + 1} "
            f"generations; bars of liquidations by generation; bars of what {number(len(causes), 0)} liquidations were "
            f"due to: {said}."
        )
        caption = (
            "Above, the largest cascade: a line leads from each liquidation to those whose excess fell below zero "
            "while its forced orders filled; areas grow with the value liquidated."
        )
        if drawn < len(largest):
            caption += f" The first {drawn} of {len(largest)} are drawn."
        caption += " Below right, the mean weight of each cause over all liquidations of the measuring window."
        return finish(figure, folder, "cascade", f"{title} ({where})" if where else title, alt, caption)


def _layout(parent: NDArray[np.int64]) -> NDArray[np.float64]:
    """Horizontal places of the nodes of a tree: leaves side by side, a parent over the middle of its children.

    Args:
        parent: place of each node's parent, smaller than its own; -1 for the root.
    """
    n = len(parent)
    children: list[list[int]] = [[] for _ in range(n)]
    for node in range(n):
        if parent[node] >= 0:
            children[parent[node]].append(node)
    x, leaves = np.zeros(n), 0
    stack = [(0, False)]
    while stack:
        node, done = stack.pop()
        if done:
            x[node] = (x[children[node][0]] + x[children[node][-1]]) / 2
        elif children[node]:
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(children[node]))
        else:
            x[node], leaves = leaves, leaves + 1
    return x


def _tree(axes: Axes, cascade: pd.DataFrame, style: RegimeStyle) -> int:
    """Draw a tree, generations from top to bottom. Returns how many nodes are drawn."""
    from matplotlib.collections import LineCollection

    rows = cascade.sort_values(["generation", "liquidation"], kind="stable").head(NODES_SHOWN)
    place = {number_: i for i, number_ in enumerate(rows["liquidation"])}
    parent = np.array([place.get(p, -1) for p in rows["tree_parent"]], np.int64)
    x, y = _layout(parent), rows["generation"].to_numpy(np.float64)
    value = rows["notional"].to_numpy(np.float64)
    size = 4.0 + 46.0 * value / max(value.max(), 1.0) if len(rows) < 200 else np.full(len(rows), 4.0)
    lines = [[(x[p], y[p]), (x[i], y[i])] for i, p in enumerate(parent) if p >= 0]
    axes.add_collection(LineCollection(lines, colors=MUTED, linewidths=0.5, zorder=1))
    axes.scatter(x, y, s=size, color=style.color, edgecolors=PAPER, linewidths=0.4, zorder=2)
    axes.set_ylim(y.max() + 0.5, -0.5)
    axes.set_xlim(x.min() - 1.0, x.max() + 1.0)
    axes.locator_params(axis="y", integer=True, nbins=8)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.grid(visible=False)
    axes.set_ylabel("generation")
    axes.set_title("Largest cascade")
    return len(rows)


def _generations(axes: Axes, causes: pd.DataFrame, style: RegimeStyle) -> None:
    counts = np.bincount(causes["generation"].to_numpy(np.int64))
    axes.bar(np.arange(len(counts)), counts, color=style.color, width=0.8)
    if counts.max() > 50 * max(counts[counts > 0].min(), 1):
        axes.set_yscale("log")
    axes.locator_params(axis="x", integer=True, nbins=8)
    axes.set_xlabel("generation")
    axes.set_ylabel("liquidations")
    axes.set_title("By generation")


def _causes(axes: Axes, share: dict[str, float], style: RegimeStyle) -> None:
    named = [(LABELS[name], weight) for name, weight in share.items() if weight >= 0.0005]
    named.sort(key=lambda pair: pair[1])
    axes.barh([name for name, _ in named], [100.0 * weight for _, weight in named], color=style.color, height=0.7)
    for row, (_, weight) in enumerate(named):
        axes.annotate(
            f"{number(100.0 * weight, 1)} %", (100.0 * weight, row), (3, 0), textcoords="offset points", va="center",
            fontsize=7.5, color=MUTED,
        )  # fmt: skip
    axes.set_xlim(0.0, 118.0 * max(weight for _, weight in named))
    axes.grid(visible=False)
    axes.set_xlabel("mean weight, %")
    axes.set_title("Due to")
