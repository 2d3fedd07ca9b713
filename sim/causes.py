"""The cascade of a run as a tree of causes: who was brought down by what, and by whose forced sale.

Kept when ``record.causes`` is set. :mod:`sim.kernels.causes` says what is recorded when a liquidation begins, and
:mod:`sim.kernels.apportion` how its price part is shared among the moves of the mark; ``docs/cascade-record.md``
works an example. Everything is linear in the number of liquidations and moves; only :meth:`Causes.edges` may be larger,
since every forced sale of a round is a parent of every liquidation of the next.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.kernels import apportion
from sim.kernels import state as s

if TYPE_CHECKING:
    import pandas as pd

    from sim.market import Market

CLASSES = (
    "liquidations", "orders", "script", "liquidators", "adversary", "quotes", "index", "mark_rule", "margin", "funding",
    "own",
)  # fmt: skip
"""What can bring an account into liquidation: forced fills of other liquidations; orders of traders; scripted flow;
trading of those who took positions over (liquidators, the fund, a vault); an adversary; orders that came to rest or
left; the index; the mark rule itself; risen margin rates; funding; its own trades, fees and withdrawals."""

_CLASS_OF_CAUSE = np.full(len(s.CAUSE_NAMES), apportion.C_ORDERS, np.int64)
for _causes, _kind in (
    ((s.CAUSE_LIQUIDATION, s.CAUSE_HEDGE), apportion.C_LIQUIDATIONS),
    ((s.CAUSE_FUND_UNWIND, s.CAUSE_LIQUIDATOR, s.CAUSE_TAKEOVER, s.CAUSE_VAULT), apportion.C_LIQUIDATORS),
    ((s.CAUSE_SCRIPT,), apportion.C_SCRIPT),
    ((s.CAUSE_ADVERSARY,), apportion.C_ADVERSARY),
    ((s.CAUSE_QUOTES,), apportion.C_QUOTES),
    ((s.CAUSE_INDEX,), apportion.C_INDEX),
):
    _CLASS_OF_CAUSE[list(_causes)] = _kind


class Causes:
    """The causes of every liquidation of a market so far. Arrays are copies: the market may go on.

    Attributes:
        reference: int64[L] number of each liquidation, rising.
        rows: CAUSE[L] its record: account, step, parts, shortfall.
        headroom: float64[L] excess at the safe reading with the position it had, minor units.
        weights: float64[L, classes] share of each class of causes; rows sum to one.
        trigger: int64[L] class of the cause that took its excess below zero.
        tree: int64[L] liquidation whose forced fill was the trigger, -1: none (it is a root).
        parent: int64[L] heaviest parent, -1: none.
        parent_weight: float64[L] its weight.
        generation: int64[L] steps down the tree from its root.
        mean_generation: float64[L] mean over all causes, by weight, of one more than the generation of the cause.
        root: int64[L] root of its cascade.
    """

    def __init__(self, state: s.State) -> None:
        """Work out shares, weights and tree from the tapes of a state."""
        rows = np.array(state.causes[: int(state.meta[s.M_CAUSES])])
        new = np.ones(len(rows), bool)
        new[1:] = rows["reference"][1:] != rows["reference"][:-1]
        self._first = np.append(np.flatnonzero(new), len(rows)).astype(np.int64)
        self._price = rows["price"].astype(np.float64)
        self.rows = rows[new]
        self.reference = self.rows["reference"].astype(np.int64)
        self.price = np.add.reduceat(rows["price"], self._first[:-1]) if len(rows) else np.zeros(0, np.int64)
        parts = self.price + self.rows["margin"] + self.rows["funding"] + self.rows["own"]
        self.headroom = (parts - self.rows["shortfall"]).astype(np.float64)
        self._shares(state, rows)
        found = apportion.family(
            self._first, self._price, self._window,
            *(self.rows[name].astype(np.float64) for name in ("margin", "funding", "own", "shortfall")),
            self.headroom, self._starts, self._moves, self._window_shares, self._move_class, self._move_parent,
        )  # fmt: skip
        self.weights, self.trigger, self.tree, self.parent, self.parent_weight = found[:5]
        self.generation, self.mean_generation, self.root = found[5:]

    def _shares(self, state: s.State, rows: np.ndarray) -> None:
        """Shares of the moves in every window between a safe reading and the one that found the breach."""
        contracts, readings = int(state.meta[s.M_CONTRACTS]), int(state.meta[s.M_READINGS])
        moves = np.array(state.moves[: int(state.meta[s.M_MOVES])])
        tape = np.array(state.readings[: readings * contracts]).reshape(readings, contracts)
        self._move_class = _CLASS_OF_CAUSE[moves["cause"]]
        place = np.searchsorted(self.reference, moves["reference"])
        known = place < len(self.reference)
        known[known] = self.reference[place[known]] == moves["reference"][known]
        self._move_parent = np.where(known & (self._move_class == apportion.C_LIQUIDATIONS), place, -1)
        # windows: one for each contract, safe reading and reading in breach
        priced = (rows["priced"] >= 0) & (rows["safe"] >= 0)
        keys = np.stack([rows["priced"], rows["safe"], rows["reading"]], axis=1)[priced].astype(np.int64)
        windows, which = np.unique(keys, axis=0, return_inverse=True) if len(keys) else (keys, np.zeros(0, np.int64))
        self._window = np.full(len(rows), -1, np.int64)
        self._window[priced] = which.reshape(-1)
        starts, items, shares = [np.zeros(1, np.int64)], [], []
        for c in np.unique(windows[:, 0]):
            of = np.flatnonzero(moves["contract"] == c)
            column = tape[:, c]
            where, owner, amount = apportion.mark_moves(
                column["mark"].astype(np.int64), column["mid"].astype(np.int64), column["rule"].astype(np.int64),
                *(moves[name][of].astype(np.int64) for name in ("reading", "cause", "last", "mid")),
            )  # fmt: skip
            owner = np.where(owner >= 0, of[owner] if len(of) else owner, owner)
            mine = windows[windows[:, 0] == c]  # sorted by contract first, so that windows follow one another
            begin = np.searchsorted(where, mine[:, 1], side="right")
            end = np.searchsorted(where, mine[:, 2], side="right")
            found = apportion.window_shares(begin, end, owner, amount)
            starts.append(found[0][1:] + starts[-1][-1])
            items.append(found[1])
            shares.append(found[2])
        self._starts = np.concatenate(starts)
        self._moves = np.concatenate([np.zeros(0, np.int64), *items])
        self._window_shares = np.concatenate([np.zeros(0), *shares])

    def __len__(self) -> int:
        """Liquidations."""
        return len(self.reference)

    @cached_property
    def _parents_of_windows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Starts, parents and shares by window, the heaviest parent first."""
        window = np.repeat(np.arange(len(self._starts) - 1), np.diff(self._starts))
        parent = np.where(self._moves >= 0, self._move_parent[self._moves], -1) if len(self._moves) else self._moves
        forced = parent >= 0
        pairs = window[forced] * np.int64(max(len(self), 1)) + parent[forced]
        distinct, which = np.unique(pairs, return_inverse=True)
        share = np.bincount(which.reshape(-1), self._window_shares[forced], len(distinct))
        of, who = distinct // max(len(self), 1), distinct % max(len(self), 1)
        order = np.lexsort((who, -share, of))
        counts = np.bincount(of, minlength=len(self._starts) - 1)
        return np.append(0, np.cumsum(counts)).astype(np.int64), who[order], share[order]

    def edges(self, min_weight: float = 0.01) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Parents, children (places in ``reference``) and weights of the graph's edges.

        Args:
            min_weight: smallest weight of an edge that is listed; 0 for all of them.
        """
        totals = np.add.reduceat(np.maximum(self._price, 0), self._first[:-1]) if len(self) else np.zeros(0)
        for name in ("margin", "funding", "own"):
            totals = totals + np.maximum(self.rows[name], 0)
        starts, parents, shares = self._parents_of_windows
        found = apportion.expand(
            self._first, self._price, self._window, totals, starts, parents, shares, float(min_weight)
        )
        return found[0], found[1], found[2]


def causes_table(market: Market, causes: Causes | None = None) -> pd.DataFrame:
    """One row per liquidation: parts of its loss of excess, weights of its causes, its place in the cascade.

    Money is in minor units; ``w_*`` are weights that sum to one; ``parent``, ``tree_parent`` and ``cascade`` are
    numbers of liquidations.

    Args:
        market: a market that records causes.
        causes: what :class:`Causes` found, if it is at hand.
    """
    import pandas as pd

    from sim.tables import _names

    found = Causes(market.state) if causes is None else causes
    rows, dt = found.rows, market.config.dt_seconds
    names = [population.name for population in market.populations]
    account = rows["account"].astype(np.int64)
    contracts = [c.name for c in market.contracts]
    step = rows["step"].astype(np.int64)

    def reference_of(place: np.ndarray) -> np.ndarray:
        return np.where(place >= 0, found.reference[place], -1) if len(found) else place

    parent = found.parent
    delay = np.where(parent >= 0, step - (step[parent] if len(step) else step), -1)
    columns: dict[str, Any] = {
        "liquidation": found.reference,
        "step": step,
        "time_s": step * dt,
        "round": rows["round"].astype(np.int64),
        "account": account,
        "population": _names(market.state.accounts["population"][account].astype(np.int64), names),
        "contract": _names(
            np.where(rows["contract"] >= 0, rows["contract"], rows["priced"]).astype(np.int64), contracts
        ),
        "lots": rows["lots"].astype(np.int64),
        "notional": rows["notional"].astype(np.int64),
        "shortfall": rows["shortfall"].astype(np.int64),
        "headroom": found.headroom.astype(np.int64),
        "price": found.price.astype(np.int64),
        "margin": rows["margin"].astype(np.int64),
        "funding": rows["funding"].astype(np.int64),
        "own": rows["own"].astype(np.int64),
        "trigger": np.array(CLASSES, object)[found.trigger],
        "generation": found.generation,
        "mean_generation": found.mean_generation,
        "tree_parent": reference_of(found.tree),
        "cascade": reference_of(found.root),
        "parent": reference_of(parent),
        "parent_weight": found.parent_weight,
        "delay_steps": delay,
        "delay_s": np.where(delay >= 0, delay * dt, np.nan),
    }
    for k, name in enumerate(CLASSES):
        columns[f"w_{name}"] = found.weights[:, k]
    return pd.DataFrame(columns)


def cascades_table(causes: pd.DataFrame) -> pd.DataFrame:
    """One row per cascade, the tree of one root.

    Args:
        causes: the table of liquidations of one run.

    Returns:
        ``cascade`` (number of the root), ``step``, ``time_s`` and ``trigger`` of the root, ``size`` (liquidations),
        ``lots``, ``notional``, ``depth`` (largest generation), ``duration_steps`` and ``duration_s`` (from the root to
        the last liquidation), ``forced`` (sum of the weights of forced fills in its liquidations).
    """
    import pandas as pd

    table = causes.assign(lots=causes["lots"].abs())
    grouped = table.groupby("cascade", sort=True)
    roots = table.set_index("liquidation")
    found = pd.DataFrame(
        {
            "size": grouped.size(),
            "lots": grouped["lots"].sum(),
            "notional": grouped["notional"].sum(),
            "depth": grouped["generation"].max(),
            "duration_steps": grouped["step"].max() - grouped["step"].min(),
            "duration_s": grouped["time_s"].max() - grouped["time_s"].min(),
            "forced": grouped["w_liquidations"].sum(),
        }
    )
    for k, name in enumerate(("step", "time_s", "trigger")):
        found.insert(k, name, roots.loc[found.index, name].to_numpy())
    return found.reset_index()
