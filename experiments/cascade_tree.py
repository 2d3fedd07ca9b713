"""A run's cascade as a graph, and what is measured of it.

The tables come from :mod:`sim.causes`. The branching ratio is the share of liquidations that forced fills of other
liquidations brought about: the mean of their weight over liquidations, which is the mean number of liquidations that
one more liquidation brings about. In a flat book with as many lots liquidated per tick of fall as fill a part g of the
depth of a tick, it is g, and the fall is 1 / (1 - g) times what the first orders did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.statistics import CONFIDENCE, GENERATOR_SEED
from sim.causes import CLASSES, Causes, cascades_table, causes_table

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd

    from sim.market import Market

RESAMPLES = 999
PRICE_CLASSES = ("orders", "script", "adversary", "quotes", "index", "mark_rule")
"""Classes of causes that reach an account through the mark and are nobody's liquidation."""
_NODE = ("step", "time_s", "round", "account", "population", "contract", "lots", "notional", "shortfall", "headroom",
         "trigger", "generation", "mean_generation", "cascade")  # fmt: skip
_BATCH = 4_000_000  # resampled places held at a time


def cascade_graph(market: Market, min_weight: float = 0.01) -> nx.DiGraph:
    """The liquidations of a run as a directed acyclic graph: edges lead from forced sellers to whom they brought down.

    Args:
        market: a market that records causes (``record.causes``).
        min_weight: smallest weight of an edge. In a large cascade every liquidation of a round is a parent of every one
            of the next, so 0 may give very many edges; the weights of a node say in any case what all its causes were.

    Returns:
        Nodes are numbers of liquidations, with the columns of :func:`sim.causes.causes_table` that say who, when and
        how much, and one ``w_<class>`` for each class of causes with any weight. Edges have ``weight`` (share of the
        child's loss of excess that is due to the parent's fills), ``delay_steps`` and ``delay_s``. ``tree`` is true on
        the edge from the sale during which the child's excess fell below zero.
    """
    import networkx as nx

    found = Causes(market.state)
    table = causes_table(market, found)
    graph = nx.DiGraph()
    columns = {name: table[name].tolist() for name in _NODE}
    weights = {f"w_{name}": found.weights[:, k].tolist() for k, name in enumerate(CLASSES)}
    for place, number in enumerate(found.reference.tolist()):
        known = {name: column[place] for name, column in columns.items()}
        known |= {name: column[place] for name, column in weights.items() if column[place] > 0.0}
        graph.add_node(number, **known)
    step = table["step"].to_numpy()
    parents, children, weight = found.edges(min_weight)
    delay = step[children] - step[parents]
    dt = market.config.dt_seconds
    for parent, child, share, steps, tree in zip(
        found.reference[parents].tolist(), found.reference[children].tolist(), weight.tolist(), delay.tolist(),
        (found.tree[children] == parents).tolist(), strict=True,
    ):  # fmt: skip
        graph.add_edge(parent, child, weight=share, delay_steps=steps, delay_s=steps * dt, tree=tree)
    return graph


def branching_ratio(cascades: pd.DataFrame, *, confidence: float = CONFIDENCE) -> dict[str, Any]:
    """Share of liquidations that forced fills brought about, with a percentile bootstrap interval over cascades.

    Cascades of one run share their marks, so the interval says how well this run tells the ratio, not how it varies
    from run to run: for that, take the measure ``branching_ratio`` over seeds.

    Args:
        cascades: table of cascades (:func:`sim.causes.cascades_table`).
        confidence: level of the interval.

    Returns:
        ``ratio, low, high, n`` (cascades); None where there is nothing to tell.
    """
    size, forced = cascades["size"].to_numpy(np.float64), cascades["forced"].to_numpy(np.float64)
    n = len(size)
    if n == 0:
        return {"ratio": None, "low": None, "high": None, "n": 0}
    ratio = float(forced.sum() / size.sum())
    if n == 1:
        return {"ratio": ratio, "low": None, "high": None, "n": 1}
    rng = np.random.default_rng(GENERATOR_SEED)
    ratios, rows = [], max(1, _BATCH // n)
    for first in range(0, RESAMPLES, rows):
        drawn = rng.integers(0, n, (min(rows, RESAMPLES - first), n))
        ratios.append(forced[drawn].sum(axis=1) / size[drawn].sum(axis=1))
    low, high = np.quantile(np.concatenate(ratios), [(1 - confidence) / 2, (1 + confidence) / 2])
    return {"ratio": ratio, "low": float(low), "high": float(high), "n": n}


def shares(causes: pd.DataFrame) -> dict[str, float]:
    """Mean weight of every class of causes over liquidations; they sum to one (NaN where nobody was liquidated)."""
    return {name: float(causes[f"w_{name}"].mean()) if len(causes) else float("nan") for name in CLASSES}


def cascade_measures(causes: pd.DataFrame) -> dict[str, float]:
    """Measures of a run's cascades, by the names of :mod:`experiments.vocabulary`.

    Args:
        causes: rows of the table of liquidations (:func:`sim.causes.causes_table`).
    """
    none = len(causes) == 0
    share = shares(causes)
    found = {
        "branching_ratio": share["liquidations"],
        "branching_ratio_notional": float("nan"),
        "cascades": float(causes["cascade"].nunique()),
        "cascade_largest": 0.0,
        "cascade_depth": 0.0,
        "cascade_seconds": 0.0,
        "due_to_price": float("nan") if none else sum(share[name] for name in PRICE_CLASSES),
        "due_to_liquidators": share["liquidators"],
        "due_to_margin": share["margin"],
        "due_to_funding": share["funding"],
        "due_to_own": share["own"],
    }
    if none:
        return found
    value = causes["notional"].to_numpy(np.float64)
    if value.sum() > 0:
        found["branching_ratio_notional"] = float((value * causes["w_liquidations"]).sum() / value.sum())
    by_root = causes.groupby("cascade")
    found["cascade_largest"] = float(by_root.size().max())
    found["cascade_depth"] = float(causes["generation"].max())
    found["cascade_seconds"] = float((by_root["time_s"].max() - by_root["time_s"].min()).max())
    return found


def within(causes: pd.DataFrame, start: int, end: int) -> pd.DataFrame:
    """The liquidations of a measuring window: of the steps after ``start``, up to ``end``."""
    return causes[(causes["step"] > start) & (causes["step"] <= end)]


def cascade_summary(causes: pd.DataFrame, start: int, end: int) -> dict[str, Any]:
    """What a summary file says of the cascades of one run: counts, branching ratio with interval, shares of causes.

    Args:
        causes: table of liquidations.
        start: step at whose end the measuring window begins.
        end: its last step.
    """
    causes = within(causes, start, end)
    cascades = cascades_table(causes)
    delays = causes.loc[causes["parent"] >= 0, "delay_s"]
    return {
        "window": [start, end],
        "liquidations": len(causes),
        "cascades": len(cascades),
        "branching_ratio": branching_ratio(cascades),
        "shares": shares(causes),
        "median_delay_s": float(delays.median()) if len(delays) else None,
        "largest": cascades.nlargest(5, "size").to_dict("records"),
    }
