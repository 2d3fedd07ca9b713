"""One seed of a cascade study: its market forked over the grid, and the R0 at which it turns."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import build, jobs, run
from experiments.cascades import critical, sizes
from experiments.cascades.flow import forced_flow
from experiments.cascades.settings import (
    Cell,
    Leverage,
    at_cell,
    fork_step,
    in_the_world,
    last_seeding_step,
    leverage_key,
    place_of,
)
from experiments.measures import leveraged_lots, liquidatable_lots, moment
from experiments.scenario import Scenario
from sim.kernels.state import M_SCRIPTED

if TYPE_CHECKING:
    import pandas as pd

    from sim.market import Market


@dataclass(frozen=True)
class CascadeTask:
    """One seed on the whole grid, picklable.

    Attributes:
        scenario: as the user states it.
        seed: of the run.
        cells: points of the grid.
        event: name of the shock.
        bracket: where to look for the seed's threshold at each shock and leverage of the grid; None: do not.
        plugins: files to load first.
        check: verify every invariant at every step.
        keep: give the tables of cascades back.
    """

    scenario: Scenario
    seed: int
    cells: tuple[Cell, ...]
    event: str
    bracket: tuple[float, float] | None = None
    plugins: tuple[str, ...] = ()
    check: bool = False
    keep: bool = False


def cascade(task: CascadeTask) -> jobs.UnitResult:
    """Run one seed at every point of the grid, and find its thresholds."""
    began = time.perf_counter()
    run.load_plugins(task.plugins)
    base = build.market(task.scenario, task.seed)
    last = run.last_step(task.scenario, task.scenario.event_step(task.event))
    run.advance(base, fork_step(task.scenario), last, check=task.check)
    seed = SeedRuns(task, base, last)
    records: list[dict[str, Any]] = []
    tables: list[pd.DataFrame] = []
    for record, table in seed.runs():
        records.append(record)
        if task.keep and len(table):
            tables.append(table)
    if task.bracket is not None:
        records[0]["thresholds"] = seed.thresholds(task.bracket)
    base.close()
    records[0]["wall_seconds"] = time.perf_counter() - began
    return jobs.UnitResult(records, {"cascades": _joined(tables)} if tables else {})


class SeedRuns:
    """One seed's market just before open interest is seeded, and what is made of it."""

    def __init__(self, task: CascadeTask, base: Market, last: int) -> None:
        self.task, self.base, self.last = task, base, last
        self.scenario = task.scenario
        self.step = self.scenario.event_step(task.event)
        self.seeded = last_seeding_step(self.scenario)
        self._factors: dict[Leverage | None, float] = {None: 1.0}

    def runs(self) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
        """Record and table of cascades of every cell; cells that differ in the shock alone share their history."""
        by_history: dict[tuple[float, Leverage | None], list[Cell]] = {}
        for cell in self.task.cells:
            by_history.setdefault((cell.target, cell.leverage), []).append(cell)
        for cells in by_history.values():
            history = self._seeded_at(cells[0])
            if history is None:
                for cell in cells:
                    yield self._unreachable(cell), _no_table()
                continue
            market, before = history
            run.advance(market, max(self.step - 1, self.seeded), self.last, check=self.task.check)
            for cell in cells:
                arm = market if len(cells) == 1 else self._with_shock(market, cell)
                yield self._measured(arm, cell, before)
                if arm is not market:
                    arm.close()
            market.close()

    def thresholds(self, bracket: tuple[float, float]) -> list[dict[str, Any]]:
        """The R0 at which this seed turns, at every shock and leverage of the grid."""
        found = []
        for shock, leverage in dict.fromkeys((cell.shock, cell.leverage) for cell in self.task.cells):

            def evaluate(
                target: float, shock: float = shock, leverage: Leverage | None = leverage
            ) -> tuple[bool, float]:
                seeded = self._seeded_at(Cell(target, shock, leverage))
                if seeded is None:
                    return False, math.nan
                market, before = seeded
                run.advance(market, self.last, self.last, check=self.task.check)
                share = _share(market, before["lots"], before["leveraged"])
                market.close()
                return share > critical.LARGE, before["r0"]

            threshold = critical.bisect(evaluate, *bracket)
            found.append({"shock": shock, "leverage": leverage_key(leverage), **threshold.as_dict()})
        return found

    def _seeded_at(self, cell: Cell, *, factor: float | None = None) -> tuple[Market, dict[str, float]] | None:
        """A fork in which the open interest of a cell is seeded, and what it is; None where R0 cannot be reached."""
        if factor is None:
            factor = self.factor(cell.leverage)
        if not (factor > 0 and math.isfinite(factor)):
            return None
        scenario = at_cell(self.scenario, replace(cell, target=cell.target * factor), self.task.event)
        market = self._forked(self.base, scenario)
        run.advance(market, self.seeded, self.last, check=self.task.check)
        before = {
            "r0": r0(market),
            "leveraged": leveraged_lots(market),
            "lots": float(market.state.quotes["liquidated"].sum()),
            "factor": factor,
        }
        return market, before

    def factor(self, leverage: Leverage | None) -> float:
        """Open interest that a range of leverage needs for the R0 of the scenario's own; 0 where it has no R0."""
        if leverage not in self._factors:
            found = []
            for other in (None, leverage):
                seeded = self._seeded_at(Cell(_own_r0(self.scenario), 1.0, other), factor=1.0)
                assert seeded is not None  # with a factor of one there is always a fork
                market, before = seeded
                found.append(before["r0"])
                market.close()
            own, others = found
            self._factors[leverage] = own / others if others > 0 and own > 0 else 0.0
        return self._factors[leverage]

    def _forked(self, market: Market, scenario: Scenario) -> Market:
        changed = in_the_world(scenario, self.task.event) and scenario.events != self.scenario.events
        world = build.world(scenario, self.task.seed) if changed else None
        # a fork is given what is still to come
        events = sorted(build.scripted_events(scenario), key=lambda event: event.step)
        return market.fork(events=events[int(market.state.meta[M_SCRIPTED]) :], world=world)

    def _with_shock(self, market: Market, cell: Cell) -> Market:
        return self._forked(market, at_cell(self.scenario, cell, self.task.event))

    def _measured(self, market: Market, cell: Cell, before: Mapping[str, float]) -> tuple[dict[str, Any], pd.DataFrame]:
        """Run a cell from before the shock to the end, with liquidations and without."""
        run.advance(market, self.step, self.last, check=self.task.check)
        at_shock = moment(market)
        record = _named(cell, self.task.seed) | {
            "r0": at_shock.r0,
            "open_interest": float(at_shock.open_interest.sum()),
            "leveraged": at_shock.leveraged,
            "depth_bid": float(at_shock.depth_bid.sum()),
            "r0_seeded": before["r0"],
            "leveraged_seeded": before["leveraged"],
            "open_interest_factor": before["factor"],
        }
        hashes = []
        table = _no_table()
        for name, liquidations in (("on", True), ("off", False)):
            arm = market.fork(liquidations=liquidations)
            lots = float(arm.state.quotes["liquidated"].sum())
            run.advance(arm, self.last, self.last, check=self.task.check)
            record[f"fall_{name}"] = fall(arm, self.step)
            record[f"fall_mid_{name}"] = fall(arm, self.step, "mid")
            if liquidations:
                record["liquidated_share"] = _share(arm, lots, at_shock.leveraged)
                record["share_seeded"] = min(_share(arm, before["lots"], before["leveraged"]), 1.0)
                dt = self.scenario.market.dt_seconds
                record |= forced_flow(arm.steps_table(), self.step, self.last, dt)
                causes = arm.causes_table()
                record["sizes"] = sizes.counted(causes, self.step, self.last)
                if self.task.keep:
                    table = self._table(causes, cell)
            hashes.append((name, arm.results_hash()))
            arm.close()
        record |= {
            "regime": self.scenario.margin.regime,
            "arm": cell.arm,
            "results_hash": jobs.combined_hash(hashes),
        }
        return record, table

    def _table(self, causes: pd.DataFrame, cell: Cell) -> pd.DataFrame:
        from sim.causes import cascades_table

        table = cascades_table(run.within(causes, self.step, self.last))
        named = {"regime": self.scenario.margin.regime, **_named(cell, self.task.seed)}
        for position, (name, value) in enumerate(named.items()):
            table.insert(position, name, "" if value is None else value)
        return table

    def _unreachable(self, cell: Cell) -> dict[str, Any]:
        """What is kept of a cell in which no size of open interest gives the R0 aimed at."""
        nothing = dict.fromkeys(_MEASURED, math.nan)
        regime, arm = self.scenario.margin.regime, cell.arm
        hashed = jobs.combined_hash([("unreachable", arm)])
        return _named(cell, self.task.seed) | nothing | {
            "sizes": sizes.nothing(), "regime": regime, "arm": arm, "results_hash": hashed,
        }  # fmt: skip


_MEASURED = (
    "r0", "open_interest", "leveraged", "depth_bid", "r0_seeded", "leveraged_seeded", "open_interest_factor",
    "fall_on", "fall_mid_on", "liquidated_share", "share_seeded", "forced_share", "forced_half_s", "forced_peak",
    "fall_off", "fall_mid_off",
)  # fmt: skip


def _named(cell: Cell, seed: int) -> dict[str, Any]:
    return place_of(cell) | {"seed": seed}


def _own_r0(scenario: Scenario) -> float:
    return next(float(event.r0) for event in scenario.events if getattr(event, "r0", None))  # type: ignore[attr-defined]


def _share(market: Market, before: float, leveraged: float) -> float:
    return (float(market.state.quotes["liquidated"].sum()) - before) / leveraged if leveraged else 0.0


def _no_table() -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame()


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    return pd.concat(tables, ignore_index=True)


def r0(market: Market) -> float:
    """Long lots that a fall of 5 % makes liquidatable over bid lots within 5 %, largest over contracts; NaN: no bid."""
    depth = np.asarray(market.view.depth_bid, np.float64)
    known = depth > 0
    return float(np.max(liquidatable_lots(market)[known] / depth[known])) if known.any() else float("nan")


def fall(market: Market, step: int, price: str = "mark") -> float:
    """Largest fall of a mark after a step, as a share of the mark at that step; the deepest over contracts.

    Args:
        market: at the end of the window.
        step: from which on.
        price: ``"mark"`` or ``"mid"``, which differ under a mark that is slower than the mid.
    """
    table = market.steps_table()
    falls = []
    for _, rows in table.groupby("contract", sort=False):
        steps, mark = rows["step"].to_numpy(), rows[price].to_numpy()
        first = max(0, int(np.searchsorted(steps, step, side="right")) - 1)
        falls.append(1.0 - float(mark[first:].min()) / float(mark[first]))
    return max(falls)
