"""The graph of a cascade and its measures: a flat book whose branching ratio is known, tables, figure."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from experiments import cascade_tree
from experiments.bench.liquidations import DEPTH, PRICE, FlatBook
from experiments.drawing.cascade import cascade_figure
from experiments.drawing.palette import regime_styles
from sim.causes import CLASSES, cascades_table, causes_table


def market_of(book: FlatBook) -> Any:
    """As much of a market as the tables ask for."""
    return SimpleNamespace(
        state=book.state,
        config=SimpleNamespace(dt_seconds=60.0),
        contracts=[SimpleNamespace(name="flat")],
        populations=[],
    )


def chain(gain: float, ticks: int, accounts: int = 3_000) -> tuple[FlatBook, int]:
    book = FlatBook(accounts, gain, causes=True)
    return book, book.sell(ticks * DEPTH)


@pytest.mark.parametrize(("gain", "ticks"), [(0.2, 600), (0.5, 250), (0.8, 60)])
def test_the_branching_ratio_of_a_flat_book_is_its_gain(gain: float, ticks: int) -> None:
    """Mark at the last price, bids only: every tick of fall liquidates ``gain x DEPTH`` accounts of one lot."""
    book, done = chain(gain, ticks)
    market = market_of(book)
    table = causes_table(market)
    assert len(table) == done > 1_000
    measured = cascade_tree.cascade_measures(table)
    assert measured["branching_ratio"] == pytest.approx(gain, rel=0.03)
    # the tree tells the same: what is no root was set off by a forced sale
    assert 1.0 - measured["cascades"] / done == pytest.approx(gain, rel=0.03)
    fall = PRICE - int(book.state.quotes["last"][0])
    assert fall == pytest.approx(ticks / (1.0 - gain), rel=0.03)
    interval = cascade_tree.branching_ratio(cascades_table(table))
    assert interval["low"] <= gain <= interval["high"] or interval["ratio"] == pytest.approx(gain, rel=0.02)


@pytest.fixture(scope="module")
def runaway() -> tuple[FlatBook, pd.DataFrame]:
    """A gain above one: the cascade goes on until the cluster is exhausted."""
    book, done = chain(1.2, 5, accounts=600)
    assert done == 600
    return book, causes_table(market_of(book))


def test_the_graph_is_acyclic_and_ordered_in_time(runaway: tuple[FlatBook, pd.DataFrame]) -> None:
    book, table = runaway
    graph = cascade_tree.cascade_graph(market_of(book), min_weight=0.0)
    assert set(graph) == set(table["liquidation"])
    assert nx.is_directed_acyclic_graph(graph)
    place = dict(zip(table["liquidation"], range(len(table)), strict=True))
    for parent, child, edge in graph.edges(data=True):
        assert place[parent] < place[child] and 0.0 < edge["weight"] <= 1.0 + 1e-9 and edge["delay_steps"] >= 0
    for number, node in graph.nodes(data=True):
        given = sum(edge["weight"] for *_, edge in graph.in_edges(number, data=True))
        others = sum(node.get(f"w_{name}", 0.0) for name in CLASSES if name != "liquidations")
        assert given + others == pytest.approx(1.0)
    tree = nx.DiGraph((a, b) for a, b, edge in graph.edges(data=True) if edge["tree"])
    assert nx.is_forest(tree) and max(degree for _, degree in tree.in_degree()) == 1
    roots = table[table["tree_parent"] < 0]
    assert len(roots) == table["cascade"].nunique()
    depth = nx.dag_longest_path_length(tree, weight=None)
    assert depth == table["generation"].max()


def test_light_edges_can_be_left_out(runaway: tuple[FlatBook, pd.DataFrame]) -> None:
    market = market_of(runaway[0])
    whole = cascade_tree.cascade_graph(market, 0.0)
    least = float(np.median([w for *_, w in whole.edges(data="weight")])) + 1e-9
    heavy = cascade_tree.cascade_graph(market, least)
    expected = {(a, b) for a, b, w in whole.edges(data="weight") if w >= least}
    assert set(heavy.edges) == expected and len(expected) < whole.number_of_edges()
    assert set(heavy) == set(whole)


def test_cascades_are_the_trees_of_their_roots(runaway: tuple[FlatBook, pd.DataFrame]) -> None:
    _, table = runaway
    cascades = cascades_table(table)
    for row in cascades.itertuples():
        members = table[table["cascade"] == row.cascade]
        assert (row.size, row.lots, row.depth) == (len(members), len(members), members["generation"].max())
        assert row.trigger == "orders" and members["liquidation"].min() == row.cascade


def test_a_run_without_liquidations_has_nothing_to_tell(tmp_path: Path) -> None:
    book = FlatBook(20, 0.5, causes=True)
    table = causes_table(market_of(book))
    assert len(table) == 0
    measured = cascade_tree.cascade_measures(table)
    assert measured["cascades"] == 0 and np.isnan(measured["branching_ratio"])
    summary = cascade_tree.cascade_summary(table, 0, 10)
    assert summary["branching_ratio"]["ratio"] is None and summary["largest"] == []
    assert cascade_figure(tmp_path, table, regime_styles(["static"])["static"]) is None
    assert cascade_tree.cascade_graph(market_of(book)).number_of_nodes() == 0


def test_the_figure_says_what_it_shows(runaway: tuple[FlatBook, pd.DataFrame], tmp_path: Path) -> None:
    _, table = runaway
    drawn = cascade_figure(tmp_path, table, regime_styles(["static"])["static"], "seed 1")
    assert drawn is not None and drawn.png.is_file() and drawn.svg.is_file()
    ratio = cascade_tree.cascade_measures(table)["branching_ratio"]
    assert f"{ratio:.2f}" in drawn.title and "seed 1" in drawn.title
    again = cascade_figure(tmp_path / "again", table, regime_styles(["static"])["static"], "seed 1")
    assert again is not None and again.svg.read_bytes() == drawn.svg.read_bytes()
