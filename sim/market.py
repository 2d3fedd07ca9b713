"""The market: a Mesa model whose step is the exchange's step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mesa
import numpy as np

from sim import fork, invariants, numpy_rules, regime, scripted, snapshot, venue
from sim.config import (
    LAYOUTS,
    ORDERINGS,
    SELF_TRADE,
    ClearingConfig,
    MarketConfig,
    RecordConfig,
    ScriptedEvent,
)
from sim.contracts import (
    Contract,
    ContractTable,
    chains_of,
    contract_records,
    currencies_of,
    exchange_rules,
)
from sim.errors import ConfigError
from sim.interfaces import MarginModel, ModelState, Population, PopulationSetup, RiskParameters
from sim.kernels import ledger, marks, pyrule, setup, step
from sim.kernels import state as s
from sim.kernels.keyed import uniform
from sim.kernels.realmath import ln
from sim.kernels.sockets import socket
from sim.keyed import stream
from sim.marks import history_steps
from sim.surface import put_surfaces
from sim.views import LiveView, portfolio_view

if TYPE_CHECKING:
    import pandas as pd

    from sim.frozen import Frozen
    from sim.surface import SurfaceParameters
    from sim.world import WorldPaths

_WAKE_PURPOSE = 255  # of a population's stream: phases of its traders


# Mesa 3.3 keeps bound methods of its model, Mesa 3.5 an event generator, events and a scenario too; the view is ours
_REFER_BACK = (
    "step", "_user_step", "_default_schedule", "_event_generators", "_event_list", "_scenario", "data_registry", "view",
)  # fmt: skip


class Market(mesa.Model):
    """An exchange with its traders, its ledger and its margin rule, advanced step by step.

    Args:
        config: time and matching.
        contracts: what is traded.
        world: exogenous paths of value, index and activity.
        margin: the margin model in force.
        populations: the traders, in the order of their accounts.
        events: scripted events.
        clearing: marks, calls, liquidation, waterfall.
        record: what is kept.
        seed: of every keyed draw of the run.
        views: make a Mesa agent for every trader (plain Python traders are always made).
        shadows: other margin models by name, evaluated beside the one in force so that a fork can switch to them.
        scales: factors on all that a model charges, by name of model; 1 for those not named.
        surfaces: how the volatilities of option chains move, by name of chain; those not named stand still.

    Attributes:
        state: all arrays (:mod:`sim.kernels.state`).
        view: what agents and margin models see (:class:`sim.views.LiveView`).
        frozen: how margins stand still (:mod:`sim.frozen`), or None.
        published: what a NumPy rule published last, or None.

    Raises:
        ConfigError: the parts do not fit together.
    """

    _before_clearing: Callable[[Market], None] | None = None

    def __init__(
        self,
        config: MarketConfig,
        contracts: Sequence[Contract],
        world: WorldPaths,
        margin: MarginModel,
        populations: Sequence[Population],
        events: Sequence[ScriptedEvent] = (),
        clearing: ClearingConfig | None = None,
        record: RecordConfig | None = None,
        seed: int = 0,
        views: bool = True,
        shadows: Mapping[str, MarginModel] | None = None,
        scales: Mapping[str, float] | None = None,
        surfaces: Mapping[str, SurfaceParameters] | None = None,
    ) -> None:
        """Allocate the state and let every population write its rows."""
        super().__init__(rng=int(seed))
        self.config = config
        self.contracts = tuple(contracts)
        self.populations = tuple(populations)
        self.events = tuple(sorted(events, key=lambda event: event.step))
        self.clearing = clearing or ClearingConfig()
        self.record = record or RecordConfig()
        self.world = world
        self.margin = margin
        self.shadows = dict(shadows or {})
        self.scales = dict(scales or {})
        self._surfaces = dict(surfaces or {})
        self.run_seed = int(seed)
        self.contract_table = ContractTable.of(contracts, config.dt_seconds, config.steps_per_day, config.minor_units)
        self.margin_state: ModelState = {}
        self.has_views = views
        self.mean_since = 0
        self.frozen: Frozen | None = None
        self.published: RiskParameters | None = None
        self.silenced: frozenset[str] = frozenset()
        self.changed_params: dict[str, Any] = {}  # of populations by name, where they differ from the scenario's
        self._check_parts()
        self._allocate()
        self._connect()
        self._fill()
        venue.put(self, self.clearing)
        self._make_views()
        regime.publish_first(self)
        self._apply_events()

    # -- construction ------------------------------------------------------------------------------------------------

    def _check_parts(self) -> None:
        if not self.populations:
            raise ConfigError.of("populations", [], "at least one population")
        if len(self.populations) > s.POPULATIONS_MAX:
            raise ConfigError.of("populations", len(self.populations), f"at most {s.POPULATIONS_MAX}")
        if len(self.shadows) + 1 > s.PUBLISHERS_MAX:
            raise ConfigError.of("margin.regimes", len(self.shadows), f"at most {s.PUBLISHERS_MAX - 1}")
        for name in self.shadows:
            if self.shadows[name].publish_kernel is None:
                raise ConfigError.of("margin", name, "a regime with a compiled publisher, to run in shadow of another")
        isolated = {model.layout for model in (self.margin, *self.shadows.values())} & {"isolated"}
        away = [c.currency for c in self.contracts if c.currency != self.contracts[0].currency and c.kind != "spot"]
        if isolated and away:
            raise ConfigError.of("contracts.currency", away[0], f"{self.contracts[0].currency} with isolated pockets")
        if self.world.value.shape != (self.config.steps + 1, len(self.contracts)):
            raise ConfigError.of("world", self.world.value.shape, f"paths of {self.config.steps} steps")

    def _window_cells(self, model: MarginModel) -> int:
        """Room that a model needs for past returns; a user's own model may not know the question."""
        ask = getattr(model, "window_cells", None)
        return int(ask(self.contract_table)) if ask is not None else 0

    def _allocate(self) -> None:
        config, clearing_ = self.config, self.clearing
        traders = sum(population.count for population in self.populations)
        starts = sum(population.period + 1 for population in self.populations if population.period > 0)
        rows = sum(population.count for population in self.populations if population.period > 0)
        recorded = config.steps // self.record.every + 1
        top = max(int(self.world.value.max() * 1.25) + 1, 4096)
        self.state = s.allocate(
            traders=traders,
            contracts=len(self.contracts),
            steps=config.steps,
            currencies=len(currencies_of(self.contracts)),
            populations=len(self.populations),
            publishers=1 + len(self.shadows),
            notice=clearing_.notice_steps,
            tiers=max(getattr(model, "schedule_rows", 1) for model in (self.margin, *self.shadows.values())),
            record_rows=recorded,
            history=history_steps(self.populations),
            wake_rows=max(rows, 1),
            wake_starts=max(starts, 2),
            flows=max(len(self.events), 1),
            window_cells=max(self._window_cells(model) for model in (self.margin, *self.shadows.values())),
            oracle_columns=0 if self.world.oracle_path is None else self.world.oracle_path.shape[2],
            features=any(getattr(model, "features", False) for model in (self.margin, *self.shadows.values())),
            chains=len(chains_of(self.contracts)),
            surface_rows=recorded if any(surface.moves for surface in self._surfaces.values()) else 0,
        )
        state, meta = self.state, self.state.meta
        state.contracts[:] = contract_records(self.contracts, config.steps_per_day, config.interest_rate)
        state.exchange[:] = exchange_rules(self.contracts, int(self.contract_table.minor[0]))
        regime.put_haircuts(self, {})
        state.contracts["variance_fast_alpha"] = 1.0 / config.fast_volatility_steps
        state.contracts["variance_slow_alpha"] = 1.0 / config.slow_volatility_steps
        state.value[:] = self.world.value
        state.index_path[:] = self.world.index
        state.activity[:] = self.world.activity
        state.model_scale[:] = [float(self.scales.get(name, 1.0)) for name in (self.margin.name, *self.shadows)]
        if self.world.oracle_path is not None:
            state.oracle[:] = self.world.oracle
            state.oracle_path[:] = self.world.oracle_path
        meta[s.M_SEED] = self.run_seed
        meta[s.M_POPULATIONS] = len(self.populations)
        meta[s.M_LAYOUT] = LAYOUTS[self.margin.layout]
        meta[s.M_STP] = SELF_TRADE[config.self_trade_prevention]
        meta[s.M_ORDERING] = ORDERINGS[config.ordering]
        meta[s.M_RECORD_EVERY] = self.record.every
        meta[s.M_RECORD_TRADES] = self.record.trades
        meta[s.M_RECORD_REFUSALS] = self.record.refusals
        meta[s.M_RECORD_CAUSES] = self.record.causes
        meta[s.M_DEPTH_EVERY] = self.record.depth_every * self.record.every
        meta[s.M_TOTALS_EVERY] = self.record.totals_every * self.record.every
        meta[s.M_STEPS_PER_DAY] = config.steps_per_day
        meta[s.M_INDEX_VALID] = bool(self.margin.index_valid)
        accounts = state.accounts
        accounts["kind"][traders:] = [s.FUND, s.FEES, s.RESIDUE, s.SCRIPT]
        accounts["exempt"][traders:] = 1
        for c, contract in enumerate(self.contracts):
            quote = state.quotes[c]
            mark = contract.initial_price * s.SUBTICKS
            for name in ("last", "settle_price"):
                quote[name] = contract.initial_price
            for name in ("mark", "mid", "ema"):
                quote[name] = mark
            state.mark_before[c] = mark
            quote["index"] = self.world.index[0, c]
            level = ln(float(contract.initial_price))
            state.history[:, c] = level
            state.price_history[:, c, s.PRICE_MID] = mark
            state.mark_history[:, c] = level
            setup.scale_bucket(state, c, top)
        put_surfaces(self, self._surfaces)
        marks.set_option_indexes(state)
        marks.set_conversions(state)
        ledger.deposit(state, traders + ledger.OFFSET_FUND, int(clearing_.fund_initial))

    def _connect(self) -> None:
        """Collect the compiled functions that the step calls."""
        self.streams = (stream("arrival"), stream("liquidation"), 0, 0)
        self.view = LiveView(self)
        self.asked = (numpy_rules.Asked(), numpy_rules.Asked())  # for maintenance, for initial
        idle = socket(step.no_decision, s.DECIDE_TYPE)
        decide = [
            socket(population.decide, s.DECIDE_TYPE)
            if population.decide is not None and population.name not in self.silenced
            else idle
            for population in self.populations
        ]
        self._decide = tuple(decide + [idle] * (s.POPULATIONS_MAX - len(decide)))
        models = [self.margin, *self.shadows.values()]
        silent = socket(step.no_publication, s.PUBLISH_TYPE)
        publish = [
            socket(model.publish_kernel, s.PUBLISH_TYPE) if model.publish_kernel is not None else silent
            for model in models
        ]
        held = self.frozen is not None
        if held:
            publish[0] = silent
        self._publish = tuple(publish + [silent] * (s.PUBLISHERS_MAX - len(publish)))
        self._evaluate = socket(self.margin.requirement_kernel or pyrule.stored_requirement, s.REQUIREMENT_TYPE)
        self._phases = tuple(socket(phase, s.PHASE_TYPE) for phase in (step.admit_and_match, step.clear_and_record))
        self._python = [
            (number, population)
            for number, population in enumerate(self.populations)
            if population.decide is None and population.name not in self.silenced
        ]
        self._observe: Any = getattr(self.margin, "observe_kernel", None)
        self.state.meta[s.M_STORED] = self.margin.requirement_kernel is None
        compiled = self.margin.publish_kernel is not None and self.margin.requirement_kernel is not None
        self._fused = compiled and not held and not self._python and self._observe is None

    def _fill(self) -> None:
        """Give every population its accounts, its wake table and its turn to write its rows."""
        state = self.state
        first, wake_row, wake_start = 0, 0, 0
        for number, population in enumerate(self.populations):
            base = stream(f"population.{population.name}")
            row = state.pop_ints[number]
            row[s.PI_KIND] = number
            row[s.PI_FIRST], row[s.PI_COUNT] = first, population.count
            row[s.PI_CONTRACT], row[s.PI_PERIOD], row[s.PI_STREAM] = population.contract, population.period, base
            state.accounts["population"][first : first + population.count] = number
            if population.period > 0:
                row[s.PI_WAKE_ROWS], row[s.PI_WAKE_STARTS] = wake_row, wake_start
                period = population.period
                draws = [uniform(self.run_seed, base + _WAKE_PURPOSE, 0, i) for i in range(population.count)]
                # traders are alike before the run: sorted phases keep those who wake together together in memory
                phase = np.sort(np.floor(np.array(draws) * period).astype(np.int64))
                state.wake_rows[wake_row : wake_row + population.count] = np.arange(first, first + population.count)
                counts = np.bincount(phase, minlength=period)
                starts = wake_row + np.concatenate([[0], np.cumsum(counts)])
                state.wake_starts[wake_start : wake_start + period + 1] = starts
                wake_row += population.count
                wake_start += period + 1
            population.fill(self.population_setup(number))
            first += population.count

    def population_setup(self, number: int) -> PopulationSetup:
        """What population number ``number`` writes its rows with."""
        row = self.state.pop_ints[number]
        return PopulationSetup(
            state=self.state,
            population=number,
            first=int(row[s.PI_FIRST]),
            count=int(row[s.PI_COUNT]),
            seed=self.run_seed,
            stream=int(row[s.PI_STREAM]),
            contracts=self.contracts,
            dt_seconds=self.config.dt_seconds,
            steps_per_day=self.config.steps_per_day,
            value0=self.world.value[0].copy(),
            names=tuple(p.name for p in self.populations),
        )

    def _make_views(self) -> None:
        for population in self.populations:
            if self.has_views or population.decide is None:
                population.views(self)

    # -- running -----------------------------------------------------------------------------------------------------

    @property
    def tick(self) -> int:
        """Completed steps."""
        return int(self.state.meta[s.M_STEP])

    def step(self) -> None:
        """Advance one step, phase by phase (see the module :mod:`sim.kernels.step` for each)."""
        self._check_room(1)
        self._apply_events()
        self._one_step()
        invariants.check_status(self.state)
        self._apply_events()

    def step_watched(self, before_clearing: Callable[[Market], None]) -> None:
        """Advance one step as :meth:`step` does, which takes no arguments because Mesa wraps it.

        Args:
            before_clearing: called with this market when marks are read and liquidations have not begun; it may look,
                not touch.
        """
        self._before_clearing = before_clearing
        try:
            self.step()
        finally:
            self._before_clearing = None

    def _one_step(self) -> None:
        state = self.state
        step.begin(state)
        self._decide_all()
        step.house_messages(state)
        self._admit_and_match()
        step.before_publish(state)
        self._publish_all()
        if self._before_clearing is not None:
            self._before_clearing(self)
        self._clear_and_record()

    def _decide_all(self) -> None:
        for number, population in enumerate(self.populations):
            if population.decide is None:
                population.decide_python(self)  # type: ignore[attr-defined]
            else:
                population.decide(self.state, number)

    def _admit_and_match(self) -> None:
        if self.margin.requirement_kernel is None:
            numpy_rules.admit_and_match(self)
        else:
            step.admit_and_match(self.state, self._evaluate, self.streams)

    def _publish_all(self) -> None:
        if self.margin.publish_kernel is None:
            regime.publish_python(self)
        elif self.frozen is not None:
            self.frozen.put_back(self)
        for slot in range(int(self.state.meta[s.M_PUBLISHERS])):
            self._publish[slot](self.state, slot)
        if self._observe is not None:
            self._observe(self.state, 0)
        step.announce(self.state)

    def _clear_and_record(self) -> None:
        if self.margin.requirement_kernel is None:
            numpy_rules.clear(self)
            step.record(self.state, self._evaluate)
        else:
            step.clear_and_record(self.state, self._evaluate, self.streams)

    def advance(self, n: int) -> None:
        """Run n steps without returning to Python between them; the same bytes as n calls of ``step``.

        Args:
            n: number of steps.

        Raises:
            ValueError: the world does not reach that far.
            KernelError: a kernel found that it cannot go on.
        """
        self._check_room(n)
        end = self.tick + n
        while self.tick < end:
            self._apply_events()
            stop = min([end, *(event.step for event in self.events if event.step > self.tick)])
            if self._fused:
                step.advance(
                    self.state, stop - self.tick, self._decide, self._publish, self._evaluate, self.streams,
                    self._phases,
                )  # fmt: skip
            else:
                while self.tick < stop:
                    self._one_step()
                    invariants.check_status(self.state)
            invariants.check_status(self.state)
        self._apply_events()

    def run_until(self, tick: int) -> None:
        """Advance to a step; nothing if it is reached already."""
        if tick > self.tick:
            self.advance(tick - self.tick)

    def _check_room(self, n: int) -> None:
        if n < 0 or self.tick + n > self.config.steps:
            raise ValueError(f"the world of this market ends at step {self.config.steps}; {self.tick} + {n} is beyond")

    def _apply_events(self) -> None:
        """Carry out the events of this moment, each once."""
        done = int(self.state.meta[s.M_SCRIPTED])
        while done < len(self.events) and self.events[done].step <= self.tick:
            scripted.apply(self, done, self.events[done])
            done += 1
            self.state.meta[s.M_SCRIPTED] = done

    # -- looking -----------------------------------------------------------------------------------------------------

    def population_number(self, name: str) -> int:
        """Number of a population by name.

        Raises:
            ConfigError: there is none of this name.
        """
        for number, population in enumerate(self.populations):
            if population.name == name:
                return number
        raise ConfigError.of("population", name, "one of " + ", ".join(p.name for p in self.populations))

    def risk_parameters(self, *, initial: bool) -> RiskParameters:
        """Risk parameters that bind new orders (initial) or maintenance."""
        return regime.risk_parameters(self, initial=initial)

    def equity(self, account: int) -> int:
        """Wallet, pockets and unrealised profit of an account, minor units."""
        return int(ledger.equity(self.state, account))

    def initial_margin(self, account: int) -> int:
        """Initial margin in use, open orders included; with isolated pockets the margin in them and the reserve."""
        reserved = int(self._ask(account, -1, s.INITIAL))
        return reserved + int(self.state.positions["pocket"][account].sum())

    def maintenance_margin(self, account: int, contract: int | None = None) -> int:
        """Maintenance margin of an account, or of one position of an isolated layout, minor units."""
        if contract is not None or self.margin.layout == "cross":
            return int(self._ask(account, -1 if contract is None else contract, s.MAINTENANCE))
        held = np.nonzero(self.state.positions["lots"][account])[0]
        return sum(int(self._ask(account, int(c), s.MAINTENANCE)) for c in held)

    def _ask(self, account: int, contract: int, which: int) -> int:
        if self.margin.requirement_kernel is None:
            numpy_rules.store_requirement(self, initial=which == s.INITIAL)
        return int(self._evaluate(self.state, account, contract, which))

    def explain_order(self, account: int, contract: int, lots: int, price: int | None = None) -> Any:
        """What an order would add to an account's initial margin, part by part, if it were accepted now.

        Args:
            account: who sends it.
            contract: contract number.
            lots: signed; negative sells.
            price: limit in ticks; None for the mark.

        Returns:
            :class:`margin.addon_rule.OrderMargin`.

        Raises:
            ConfigError: the regime does not explain orders.
        """
        explain = getattr(self.margin, "explain_order", None)
        if explain is None:
            raise ConfigError.of("margin.regime", self.margin.name, "a regime that explains orders, as dynamic_initial")
        return explain(self.portfolio(), self.risk_parameters(initial=True), account, contract, lots, price)

    def portfolio(self) -> Any:
        """Every account's portfolio (:class:`sim.interfaces.PortfolioView`)."""
        return portfolio_view(self)

    def check(self) -> None:
        """Check every invariant of ledger, books and index, exactly.

        Raises:
            InvariantError: naming step, account and amounts.
        """
        invariants.check(self.state)

    def steps_table(self) -> pd.DataFrame:
        """One row per recorded step and contract (:func:`sim.tables.steps_table`)."""
        from sim.tables import steps_table

        return steps_table(self)

    def events_table(self) -> pd.DataFrame:
        """Every event (:func:`sim.tables.events_table`)."""
        from sim.tables import events_table

        return events_table(self)

    def trades_table(self) -> pd.DataFrame:
        """Every fill, when recorded (:func:`sim.tables.trades_table`)."""
        from sim.tables import trades_table

        return trades_table(self)

    def accounts_table(self) -> pd.DataFrame:
        """Every account as it stands (:func:`sim.tables.accounts_table`)."""
        from sim.tables import accounts_table

        return accounts_table(self)

    def causes_table(self) -> pd.DataFrame:
        """Every liquidation with its causes, when recorded (:func:`sim.causes.causes_table`)."""
        from sim.causes import causes_table

        return causes_table(self)

    def cascades_table(self) -> pd.DataFrame:
        """Every cascade, when causes are recorded (:func:`sim.causes.cascades_table`)."""
        from sim.causes import cascades_table

        return cascades_table(self.causes_table())

    def chain_table(self) -> pd.DataFrame:
        """Every listed option as it stands: prices, implied volatilities, greeks (:func:`sim.chains.chain_table`)."""
        from sim.chains import chain_table

        return chain_table(self)

    def surface_table(self) -> pd.DataFrame:
        """Volatility surfaces of the option chains over time (:func:`sim.surface.surface_table`)."""
        from sim.surface import surface_table

        return surface_table(self)

    def statement(self) -> pd.DataFrame:
        """Who is owed what if the market stopped now (:func:`sim.statement.statement`)."""
        from sim.statement import statement

        return statement(self)

    def results_hash(self) -> str:
        """Hash of steps, events and final accounts: equal iff two runs gave the same results."""
        columns: dict[str, np.ndarray] = {}
        for name, table in (
            ("steps", self.steps_table()),
            ("events", self.events_table()),
            ("accounts", self.accounts_table()),
        ):
            for column in table.columns:
                columns[f"{name}.{column}"] = table[column].to_numpy()
        return snapshot.hash_columns(columns)

    # -- forks and snapshots -----------------------------------------------------------------------------------------

    def reset_means(self) -> None:
        """Begin the window over which forks compare mean initial rates of the regimes."""
        self.state.model_rate_sum[:] = 0.0
        self.mean_since = self.tick

    def mean_initial_rates(self) -> dict[str, float]:
        """Mean initial rate of the model in force and of each shadow since ``reset_means``, mean over contracts."""
        steps = max(self.tick - self.mean_since, 1)
        means = self.state.model_rate_sum.mean(axis=1) / steps
        return dict(zip([self.margin.name, *self.shadows], (float(m) for m in means), strict=True))

    def silence(self, names: Collection[str]) -> None:
        """Let populations decide nothing from here on: what they have in the book rests until it trades or expires.

        Forks that are made later are silent in the same way. A book that nobody renews shows what an order and the
        feedback that it sets off do by themselves.

        Args:
            names: of populations.

        Raises:
            ConfigError: there is none of this name.
        """
        for name in names:
            self.population_number(name)
        self.silenced = frozenset(names)
        self._connect()

    def fork(
        self,
        margin: str | None = None,
        *,
        scale_to_mean: bool = True,
        liquidations: bool | None = None,
        events: Sequence[ScriptedEvent] | None = None,
        world: WorldPaths | None = None,
        clearing: ClearingConfig | None = None,
        frozen: bool = False,
    ) -> Market:
        """An independent copy of the whole market that goes on from this moment.

        Args:
            margin: name of a shadow regime to switch to; None keeps the regime in force.
            scale_to_mean: where rates differ, scale the new regime's rates by one constant factor, mean initial rate of
                the base over its own since ``reset_means``.
            liquidations: False to switch liquidations off from here on (the counterfactual twin), True to switch them
                on, None to leave them.
            events: scripted events from here on, in place of those that have not happened yet.
            world: exogenous paths to go on with; they must agree with the present ones up to this step.
            clearing: another design of the venue from here on: mark, liquidation policy, waterfall, breakers. Notice
                and initial fund stay as they were.
            frozen: let margins stand still from here on, as published last (:mod:`sim.frozen`).

        Returns:
            The twin; this market is not changed.

        Raises:
            ForkError: an agent keeps state that cannot be copied, or the paths differ before this step.
            ConfigError: no such shadow regime.
        """
        return fork.fork(self, margin, scale_to_mean, liquidations, events, world, clearing, frozen)

    def save(self, path: str | Path) -> None:
        """Write a snapshot; ``load`` goes on from it with the same bytes.

        Raises:
            ForkError: an agent keeps state that cannot be stored.
        """
        fork.save(self, Path(path))

    def load(self, path: str | Path) -> Market:
        """A market with the parts of this one and the state of a snapshot.

        Raises:
            SnapshotError: the file is damaged, or belongs to a market of other parts.
        """
        return fork.load(self, Path(path))

    def close(self) -> None:
        """Let go of everything that refers back to this market, so that its memory is free when the last reference is.

        A market is several megabytes of arrays that Python's collector of cycles weighs as nothing: among the hundreds
        of thousands of objects of loaded kernels it comes too rarely, and closed markets pile up in long jobs. Tables
        of a closed market can be read; it does not go on.
        """
        ids: Any = getattr(mesa.Agent, "_ids", None)  # old versions of Mesa keep every model alive through it
        if hasattr(ids, "pop"):
            ids.pop(self, None)
        self.remove_all_agents()
        for name in _REFER_BACK:
            self.__dict__.pop(name, None)
