"""A bare exchange for tests: arrays, one margin rule, orders and trades by hand, without populations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import margin
from sim import venue
from sim.breakers import Breakers
from sim.config import FORCED_LIMITS, ClearingConfig, MarketConfig
from sim.contracts import Contract, ContractTable, contract_records, currencies_of, exchange_rules
from sim.kernels import book, clearing, ledger, marks, messages, setup, step
from sim.kernels import state as s
from sim.keyed import stream
from sim.liquidation import POLICIES, LiquidationPolicy
from sim.waterfall import Waterfall

PRICE = 100
TICK_VALUE = 10
STREAMS = (stream("arrival"), stream("liquidation"), 0, 0)
LIMIT_NAMES = {code: name for name, code in FORCED_LIMITS.items()}
FUND, FEES, RESIDUE, SCRIPT = range(4)  # as offsets behind the traders


class Exchange:
    """An exchange in its first step, every mark at ``PRICE``, with round numbers.

    One lot at the first mark is worth 1000 minor units; initial margin is 1/8 of value, maintenance 1/16.
    """

    def __init__(
        self,
        traders: int = 4,
        *,
        regime: str = "static",
        contracts: Sequence[Contract] | None = None,
        cash: int = 0,
        fund: int = 0,
        partial: bool = False,
        target: float = 1.5,
        limit: int = s.LIMIT_NONE,
        surplus: bool = False,
        grace: int = 0,
        rounds: int = 50,
        mark: int = s.MARK_MID,
        policy: LiquidationPolicy | None = None,
        waterfall: Waterfall | None = None,
        breakers: Breakers | None = None,
        vault: int | None = None,
        dt: float = 60.0,
        steps: int = 8,
        oracle_columns: int = 0,
    ) -> None:
        made = list(contracts) if contracts else [contract("a")]
        self.traders = traders
        self.table = ContractTable.of(made, dt, 1440)
        self.currencies = currencies_of(made)
        self.state = state = s.allocate(
            traders=traders, contracts=len(made), currencies=len(self.currencies), steps=steps, pool=64, tape=64,
            oracle_columns=oracle_columns,
        )  # fmt: skip
        state.exchange[:] = exchange_rules(made, 100)
        state.contracts[:] = contract_records(made)
        meta = state.meta
        meta[s.M_STEP], meta[s.M_SEED], meta[s.M_RECORD_REFUSALS] = 1, 7, 1
        if policy is None:
            policy = replace(POLICIES["partial"], target_ratio=target) if partial else POLICIES["full"]
        design = ClearingConfig(
            policy=policy, waterfall=waterfall or Waterfall(), breakers=breakers or Breakers(),
            grace_steps=grace, max_rounds=rounds, surplus_to="fund" if surplus else "trader",
            mark_ema_half_life_seconds=60.0, forced_limit=LIMIT_NAMES[limit],
        )  # fmt: skip
        market: Any = SimpleNamespace(
            state=state, config=MarketConfig(steps=8, dt_seconds=dt), contract_table=self.table
        )
        venue.put(market, design)
        meta[s.M_MARK_RULE] = mark
        if vault is not None:
            state.waterfall[s.W_VAULT] = vault
            state.accounts["exempt"][vault] = 1
        meta[s.M_RECORD_TRADES] = 1
        state.accounts["kind"][traders:] = [s.FUND, s.FEES, s.RESIDUE, s.SCRIPT]
        state.accounts["exempt"][traders:] = 1
        for c, terms in enumerate(made):
            quote = state.quotes[c]
            quote["last"] = terms.initial_price
            for name in ("mark", "mid", "ema", "index"):
                quote[name] = terms.initial_price * s.SUBTICKS
            setup.scale_bucket(state, c, 4096)
        marks.set_conversions(state)
        self.model = margin.create(regime, {"initial": 1 / 8, "maintenance": 1 / 16})
        meta[s.M_LAYOUT] = s.ISOLATED if self.model.layout == "isolated" else s.CROSS
        meta[s.M_INDEX_VALID] = bool(self.model.index_valid)
        memory = self.model.init(self.table)
        state.model_params[0], state.model_state[0] = memory["params"], memory["state"]
        self.publish()
        self.evaluate = self.model.requirement_kernel
        for account in range(traders):
            self.deposit(account, cash)
        self.deposit(self.special(FUND), fund)

    # -- state -------------------------------------------------------------------------------------------------------

    def special(self, offset: int) -> int:
        return self.traders + offset

    def publish(self) -> None:
        """Put what the model publishes now in force everywhere."""
        self.model.publish_kernel(self.state, 0)
        step.announce(self.state)
        row = int(self.state.meta[s.M_STEP]) % int(self.state.meta[s.M_RISK_SLOTS])
        self.state.rate_maintenance[:] = self.state.rate_maintenance[row]
        self.state.scenario_pnl[:] = self.state.scenario_pnl[row]

    def deposit(self, account: int, amount: int, currency: int = 0) -> None:
        ledger.deposit_in(self.state, account, currency, amount)

    def lots(self, account: int, c: int = 0) -> int:
        return int(self.state.positions["lots"][account, c])

    def wallet(self, account: int, currency: int = 0) -> int:
        return int(self.state.wallets[account, currency])

    def pocket(self, account: int, c: int = 0) -> int:
        return int(self.state.positions["pocket"][account, c])

    def equity(self, account: int) -> int:
        return int(ledger.equity(self.state, account))

    def status(self, account: int) -> int:
        return int(self.state.accounts["status"][account])

    def meta(self, which: int) -> int:
        return int(self.state.meta[which])

    def set_mark(self, ticks: float, c: int = 0) -> None:
        """Put mid and mark of an empty book at a price."""
        self.state.quotes["mid"][c] = self.state.quotes["mark"][c] = round(ticks * s.SUBTICKS)

    def events(self, kind: int) -> list[Any]:
        made = self.state.events[: self.meta(s.M_EVENTS)]
        return list(made[made["kind"] == kind])

    # -- trading -----------------------------------------------------------------------------------------------------

    def trade(self, buyer: int, seller: int, lots: int, price: int = PRICE, c: int = 0) -> None:
        """A fill between two accounts, outside the book."""
        self.state.meta[s.M_FLOW] += lots
        ledger.apply_fill(self.state, c, seller, buyer, s.BUY, lots, price)

    def rest(self, account: int, side: int, lots: int, price: int, c: int = 0, **kwargs: int) -> int:
        """Put an order into the book without admission. Returns its id."""
        ledger.reserve(self.state, account, c, side, lots, kwargs.get("loss", 0))
        order = book.submit(
            self.state, c, side, price, lots, account, kwargs.get("tif", s.GTC), kwargs.get("flags", 0),
            kwargs.get("expiry", 0), kwargs.get("loss", 0), 0, 0,
        )  # fmt: skip
        resting = int(self.state.orders["quantity"][book.find(self.state, order)]) if order >= 0 else 0
        ledger.release(self.state, account, c, side, lots - resting, kwargs.get("loss", 0))
        return int(order)

    def send(
        self, account: int, kind: int = s.NEW, side: int = s.BUY, lots: int = 0, price: int = 0, **more: int
    ) -> int:
        """Leave a message; returns its place in the buffer."""
        place = self.meta(s.M_MESSAGES)
        messages.push(
            self.state, account, more.get("c", 0), kind, side, more.get("tif", s.GTC), more.get("flags", 0), price,
            lots, more.get("expiry", 0), more.get("ref", 0), 0, 0,
        )  # fmt: skip
        return place

    def batch(self) -> list[int]:
        """Admit and match what was sent; returns whether each message was accepted to the end."""
        count = self.meta(s.M_MESSAGES)
        step.admit_and_match(self.state, self.evaluate, STREAMS)
        return [int(x) for x in self.state.messages["accepted"][:count]]

    def next_step(self) -> None:
        """Move the clock, as the first phase of a step does, without the world."""
        self.state.meta[s.M_STEP] += 1
        self.state.meta[s.M_FILLS] = 0
        self.state.meta[s.M_BIDS] = 0
        self.publish()

    def clear(self) -> int:
        """Margin calls and liquidations of this step. Returns rounds."""
        return int(clearing.clear(self.state, self.evaluate, STREAMS[1]))

    def remark(self) -> None:
        marks.set_marks(self.state)


def contract(name: str, **terms: Any) -> Contract:
    """A contract of round numbers: no fees."""
    given = {"tick_value": TICK_VALUE, "initial_price": PRICE, "max_price": 4000, "max_lots": 10_000}
    return Contract(name, **(given | {"price_band": 0.5, "fee_liquidation": 0.0} | terms))
