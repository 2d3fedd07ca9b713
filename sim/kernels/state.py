"""The whole state of one market as arrays, held in one compiled struct.

Everything that a run is made of lives here: books, ledger, marks, risk parameters, traders' columns, world, records. A
copy of these arrays is a fork, their bytes on disk are a snapshot, and every kernel takes the struct as its first
argument. Kernels mutate only what they say they mutate.

Units (see :mod:`sim.contracts`): prices are integer ticks, marks and indexes are integer sub-ticks (1/16 tick),
quantities are integer lots, cash is integer minor units of a currency, rates are integers in units of 2**-32 of value.

Arrays may be replaced by larger ones inside a kernel (order pool, ladder, message buffer, tape, events): read them
through the struct each time, and never keep an alias across a call that may grow them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.kernels.jit import JIT_DISABLED, kernel

# ---------------------------------------------------------------------------------------------------------------------
# Constants

BUY, SELL = 1, -1
SUBTICKS = 16  # sub-ticks per tick
RATE_ONE = 1 << 32  # a rate of 100 % of value
SCENARIO_LOTS = 1 << 10  # scenario profits are given per this many lots
NO_PRICE = -1  # an empty side of a book

# Message kinds
NEW, CANCEL, REPLACE, CANCEL_ALL = 0, 1, 2, 3
# Time in force
GTC, IOC, FOK, POST_ONLY = 0, 1, 2, 3
# Flags of messages and orders
REDUCE_ONLY, MARKET, FORCED = 1, 2, 4
# Self-trade prevention
STP_CANCEL_RESTING, STP_CANCEL_INCOMING, STP_CANCEL_BOTH, STP_OFF = 0, 1, 2, 3

# Causes of orders and fills
CAUSE_NONE, CAUSE_LIQUIDATION, CAUSE_FUND_UNWIND, CAUSE_LIQUIDATOR, CAUSE_SCRIPT, CAUSE_TAKEOVER, CAUSE_SEED = range(7)
CAUSE_NAMES = ("none", "liquidation", "fund_unwind", "liquidator", "script", "takeover", "seed")

# Account status
OPEN, CALLED, LIQUIDATING, CLOSED = 0, 1, 2, 3
# Account classes
TRADER, FUND, FEES, RESIDUE, SCRIPT = 0, 1, 2, 3, 4
SPECIAL_ACCOUNTS = 4  # fund, fees, residue, script: the rows after the traders, in this order

# Pocket layouts
CROSS, ISOLATED = 0, 1

# Contract kinds (inverse, spot and options take the next numbers)
LINEAR_PERPETUAL, LINEAR_FUTURE = 0, 1

# Mark rules
MARK_LAST, MARK_MID, MARK_INDEX_MEDIAN, MARK_EMA = 0, 1, 2, 3
# Forced limits of liquidations
LIMIT_NONE, LIMIT_BANKRUPTCY, LIMIT_BAND = 0, 1, 2

# Event kinds on the events tape
(
    EV_REFUSED,  # reason; a: message kind, b: price, c: quantity
    EV_CALL,  # a: shortfall in minor units, b: grace end step
    EV_CALL_MET,  # a: top-up, b: equity
    EV_LIQUIDATION,  # a: lots ordered (signed), b: lots filled, c: limit price or NO_PRICE; reason: round
    EV_TAKEOVER,  # fund takes a: lots (signed), b: value (minor units), c: mark (sub-ticks)
    EV_BID_TAKEN,  # liquidator (reason: its account) takes a: lots (signed), b: price (sub-ticks), c: value
    EV_BANKRUPT,  # a: negative equity covered
    EV_FUND_PAID,  # a: paid by the insurance fund
    EV_SOCIALISED,  # a: shared among winners
    EV_FUNDING,  # a: funding rate in 2**-32, b: gross paid
    EV_SETTLED,  # a: settlement price (ticks), b: gross variation margin
    EV_EXPIRED,  # resting order expired; a: order id
    EV_SCRIPT,  # scripted event; reason: its number
    EV_STP,  # self-trade prevented; a: resting order id, b: lots
    EV_CLOSED,  # account closed
) = range(15)
EVENT_NAMES = (
    "refused", "margin_call", "call_met", "liquidation", "takeover", "bid_taken", "bankrupt", "fund_paid",
    "socialised_loss", "funding", "settlement", "order_expired", "scripted", "self_trade_prevented", "account_closed",
)  # fmt: skip

# Reason codes of refusals
(
    OK,
    R_MARGIN,
    R_BAND,
    R_LOT,
    R_POSITION_LIMIT,
    R_CLOSED,
    R_UNKNOWN_ORDER,
    R_POST_ONLY,
    R_REDUCE_ONLY,
    R_FOK,
    R_HALTED,
    R_MESSAGE,
) = range(12)
REASON_NAMES = (
    "accepted", "initial_margin", "price_band", "lot_size", "position_limit", "account_closed", "unknown_order",
    "post_only_would_cross", "reduce_only_would_increase", "fill_or_kill", "halted", "bad_message",
)  # fmt: skip

# Integer scalars of the market (``state.meta``)
(
    M_STEP,  # the step being computed; between steps, the steps completed
    M_SEED,
    M_TRADERS,  # traders are accounts 0 .. M_TRADERS - 1
    M_ACCOUNTS,  # all accounts, special ones included
    M_CONTRACTS,
    M_POPULATIONS,
    M_FREE,  # head of the free list of order slots, -1 when the pool is full
    M_LIVE,  # live orders
    M_MESSAGES,  # messages in the buffer of this step
    M_FILLS,  # fills on the tape since it was last drained
    M_EVENTS,  # events since last drained
    M_FILLS_TOTAL,  # fills since the start of the run
    M_EVENTS_TOTAL,
    M_LAYOUT,  # CROSS or ISOLATED
    M_STP,  # self-trade prevention
    M_LIQUIDATE,  # 1: maintenance is enforced; 0: liquidations are off (counterfactual twin)
    M_NOTICE,  # steps of notice before risk parameters bind maintenance
    M_RISK_SLOTS,  # length of the ring of risk parameters (notice + 1)
    M_ROUNDS_MAX,
    M_GRACE,  # steps between a margin call and liquidation
    M_FORCED_LIMIT,
    M_SURPLUS_TO_FUND,  # 1: what is left at a full liquidation goes to the fund
    M_PARTIAL,  # 1: liquidate only what restores the target ratio; 0: the whole position
    M_MARK_RULE,
    M_RECORD_EVERY,
    M_RECORDS,  # rows written in the record arrays
    M_RECORD_TRADES,  # 1: keep the tape of fills for trades.parquet
    M_RECORD_REFUSALS,  # 1: keep refusal events
    M_LEDGER,  # 1: fills go to the ledger (0 only for a book on its own)
    M_INDEX_VALID,  # 1: the bankruptcy-price index serves the liquidation scan
    M_SCENARIOS,  # number of risk scenarios in use
    M_ROUND,  # liquidation round being worked on
    M_CALLS,  # margin calls since start
    M_CALLS_MET,
    M_CALL_AMOUNT,  # minor units called since start
    M_LIQUIDATIONS,  # liquidations of accounts begun since start (one that carries over counts once)
    M_BAD_DEBT,  # gross negative equity of liquidated accounts, minor units
    M_FUND_PAID,
    M_SOCIALISED,
    M_TOPUPS,  # minor units deposited to meet calls
    M_NET_DEPOSITS,  # deposits less withdrawals of all accounts, minor units (currency 0)
    M_REFUSALS,
    M_EVENT_SEQ,  # number of the next liquidation, used as cause reference of forced orders
    M_STATUS,  # 0, or the code of an error found inside a kernel
    M_STATUS_A,
    M_STATUS_B,
    M_HALTED,  # 1: no order is matched
    M_MAKERS_WITHDRAWN_UNTIL,  # step until which market makers stay out (scripted)
    M_STEPS_PER_DAY,
    M_FLOW,  # matched lots ever, all contracts (tape side)
    M_LEDGER_FLOW,  # matched lots ever, all contracts (ledger side)
    M_HISTORY,  # length of the ring of past mids, a power of two
    M_PUBLISHERS,  # margin models evaluated each step: 0 is active, the others run in shadow
    M_BIDS,  # liquidation bids in the buffer
    M_CALLED_NOW,  # accounts under a margin call now
    M_FUND_UNWIND,  # most lots per step and contract that the fund sells of what it took over
    M_TARGET_RATIO,  # of partial liquidation: equity over maintenance, 2**-32
    M_LIQUIDATED_ACCOUNTS,  # episodes still open are counted in M_LIQUIDATIONS once
    M_UNCOVERED,  # losses that nobody could bear (the fund's wallet went below zero), minor units
    M_PUBLISHED,  # step at which risk parameters were published last
    M_DEPTH_EVERY,  # steps between readings of depth within 5 % for the record
    M_TOTALS_EVERY,  # steps between sums of requirement and equity over accounts for the record
    M_ROUNDS,  # liquidation rounds of the last step
    M_SCRIPTED,  # scripted events that have happened
    M_LIQUIDATING,  # accounts whose liquidation carries over to the next step
) = range(65)
META_SIZE = 96

# Status codes (``M_STATUS``)
ST_OK, ST_LADDER, ST_MEMORY, ST_REQUIREMENT = 0, 1, 2, 3

# Sizes of generic columns
TRADER_FLOATS, TRADER_INTS = 16, 12
POPULATION_PARAMS, POPULATION_STATE = 48, 64
MODEL_PARAMS, MODEL_STATE = 48, 48
POPULATIONS_MAX, PUBLISHERS_MAX = 16, 10
SCENARIOS_MAX = 64

# ---------------------------------------------------------------------------------------------------------------------
# Records

ORDER = np.dtype(
    [
        ("price", "i4"),
        ("next", "i4"),  # towards the back of the level's queue; next free slot when free
        ("prev", "i4"),
        ("account", "i4"),
        ("quantity", "i8"),  # lots left
        ("own_next", "i4"),  # chain of the account's orders
        ("own_prev", "i4"),
        ("exp_next", "i4"),  # chain of orders that expire in the same calendar slot
        ("exp_prev", "i4"),
        ("expiry", "i4"),  # first step at which the order is gone, 0: never
        ("generation", "i4"),  # raised when the slot is freed; id = generation << 32 | slot
        ("side", "i1"),  # 0 when the slot is free
        ("flags", "i1"),
        ("contract", "i2"),
        ("cause_ref", "i4"),
        ("loss", "i8"),  # reserved loss per lot against the mark at acceptance, minor units
    ],
    align=True,
)
LEVEL = np.dtype([("head", "i4"), ("tail", "i4"), ("depth", "i8")], align=True)
FILL = np.dtype(
    [
        ("step", "i4"),
        ("contract", "i2"),
        ("side", "i1"),  # of the taker
        ("cause", "i1"),  # of the taker's order
        ("price", "i4"),  # ticks
        ("maker", "i4"),
        ("taker", "i4"),
        ("cause_ref", "i4"),
        ("quantity", "i8"),
        ("maker_order", "i8"),
        ("taker_order", "i8"),
    ],
    align=True,
)
EVENT = np.dtype(
    [("step", "i4"), ("kind", "i2"), ("contract", "i2"), ("account", "i4"), ("reason", "i4"),
     ("a", "i8"), ("b", "i8"), ("c", "i8")],
    align=True,
)  # fmt: skip
MESSAGE = np.dtype(
    [
        ("key", "u8"),  # arrival key
        ("account", "i4"),
        ("contract", "i2"),
        ("kind", "i1"),
        ("side", "i1"),
        ("tif", "i1"),
        ("flags", "i1"),
        ("cause", "i1"),
        ("accepted", "i1"),
        ("price", "i4"),  # ticks; for MARKET filled in at admission with the band
        ("expiry", "i4"),  # step at which the order leaves, 0: never
        ("cause_ref", "i4"),
        ("seq", "i4"),  # position among the account's own messages of this step
        ("quantity", "i8"),  # lots
        ("ref", "i8"),  # order id for CANCEL and REPLACE
        ("loss", "i8"),  # reserved loss per lot, set at admission
        ("open_at_admission", "i8"),  # REPLACE: lots the old order had left at admission
        ("reserved", "i8"),  # lots that admission reserved for this message (REPLACE: beyond the old order's)
        ("reserved_loss", "i8"),  # loss that admission reserved for this message, minor units
        ("own_next", "i4"),  # next message of the same account in this step
        ("pad", "i4"),
    ],
    align=True,
)
BID = np.dtype(
    [("account", "i4"), ("contract", "i2"), ("side", "i1"), ("used", "i1"), ("lots", "i8"), ("discount", "i8")],
    align=True,
)  # a liquidator's standing offer: takes positions of `side` (1 long) at mark less `discount` (2**-32)

CONTRACT = np.dtype(
    [
        ("kind", "i4"),
        ("currency", "i4"),
        ("tick_value", "i8"),  # minor units per tick and lot
        ("max_lots", "i8"),  # largest order and position
        ("max_price", "i8"),  # ticks
        ("band", "i8"),  # price band around the mark, 2**-32
        ("fee_taker", "i8"),  # 2**-32 of value
        ("fee_maker", "i8"),
        ("fee_liquidation", "i8"),  # of value, to the fund
        ("funding_interval", "i8"),  # steps, 0: none
        ("funding_interest", "i8"),  # 2**-32 per interval of eight hours
        ("funding_clamp", "i8"),  # 2**-32
        ("funding_periods", "i8"),  # intervals per eight hours (N in the published formula is 8 h / interval)
        ("impact_lots", "i8"),  # size for the impact price in the premium index
        ("settle_interval", "i8"),  # steps between variation-margin settlements, 0: none
        ("ema_alpha", "f8"),  # per step, for MARK_EMA and the basis average of MARK_INDEX_MEDIAN
        ("variance_fast_alpha", "f8"),  # per step
        ("variance_slow_alpha", "f8"),
    ],
    align=True,
)
QUOTE = np.dtype(
    [
        ("bid", "i8"),  # ticks, NO_PRICE when empty
        ("ask", "i8"),
        ("bid_orders", "i8"),  # live orders per side
        ("ask_orders", "i8"),
        ("last", "i8"),  # ticks
        ("mark", "i8"),  # sub-ticks
        ("index", "i8"),  # sub-ticks, as published by the oracle
        ("mid", "i8"),  # sub-ticks, last known
        ("open_interest", "i8"),  # lots
        ("volume", "i8"),  # lots since the start
        ("volume_day", "i8"),  # lots in the last completed day
        ("volume_day_start", "i8"),  # total at the start of the day
        ("liquidated", "i8"),  # lots of forced orders filled, taken over or bid for, since the start
        ("ema", "f8"),  # of the mid, sub-ticks, at the end of the previous step
        ("basis", "f8"),  # average of mid - index, sub-ticks, at the end of the previous step
        ("premium_sum", "f8"),  # of the premium index since the last funding
        ("premium_count", "i8"),
        ("funding_rate", "i8"),  # last funding rate, 2**-32
        ("funding_last", "i8"),  # step of the last funding
        ("variance_fast", "f8"),  # EWMA of squared log returns of the mid, per step
        ("variance_slow", "f8"),
        ("settle_price", "i8"),  # ticks, last settlement
        ("index_top", "i4"),  # no long stands in a bucket above this one
        ("index_low", "i4"),  # no short stands in a bucket below this one
        ("low", "i8"),  # every resting order lies within low .. high (ticks, kept by the book; not always tight)
        ("high", "i8"),
    ],
    align=True,
)
ACCOUNT = np.dtype(
    [
        ("status", "i1"),
        ("kind", "i1"),
        ("exempt", "i1"),  # never called or liquidated (scripted counterparties, the fund)
        ("pad", "i1"),
        ("population", "i4"),  # -1: special
        ("order_head", "i4"),
        ("orders", "i4"),
        ("positions", "i4"),  # contracts with lots != 0
        ("call_step", "i4"),  # step of the open margin call, -1
        ("last_liquidation", "i4"),  # step, -1
        ("key_step", "i4"),  # step for which arrival keys were counted
        ("messages", "i4"),  # messages of this step
        ("message_head", "i4"),  # its first message that has no place in the arrival order yet
        ("message_tail", "i4"),
        ("deposits", "i8"),  # net, minor units
        ("liquidated", "i8"),  # lots, ever
        ("fees", "i8"),  # paid, minor units
        ("outside", "i8"),  # cash outside the exchange that can meet calls, minor units
        ("booked", "i8"),  # audit: sum of all entries, must equal wallet + pockets - costs
        ("booked_lots", "i8"),  # audit: sum of all lots traded, must equal the sum of positions
    ],
    align=True,
)
POSITION = np.dtype(
    [
        ("lots", "i8"),
        ("cost", "i8"),  # signed, minor units
        ("pocket", "i8"),  # isolated margin, minor units
        ("open_buy", "i8"),  # lots of open (or admitted) buy orders
        ("open_sell", "i8"),
        ("loss_buy", "i8"),  # reserved loss of open buy orders, minor units
        ("loss_sell", "i8"),
        ("liquidated", "i8"),  # lots, ever
        ("bucket", "i4"),  # of the bankruptcy-price index, -1: none
        ("bucket_next", "i4"),  # nodes of the index are account * contracts + contract
        ("bucket_prev", "i4"),
        ("pad", "i4"),
    ],
    align=True,
)

# Columns of the record arrays
REC_CONTRACT = (
    "last", "mid", "bid", "ask", "mark", "index", "volume", "open_interest", "depth_bid", "depth_ask",
    "liquidated", "rate_initial", "rate_maintenance", "funding_rate",
)  # fmt: skip
REC_GLOBAL = (
    "step", "calls", "calls_met", "call_amount", "liquidations", "bad_debt", "fund_equity", "fund_paid", "socialised",
    "refusals", "live_orders", "initial_requirement", "maintenance_requirement", "equity", "notional", "called_now",
    "topups", "rounds",
)  # fmt: skip

FIELDS: tuple[tuple[str, Any, int], ...] = (
    # name, dtype, dimensions
    ("meta", np.int64, 1),
    ("contracts", CONTRACT, 1),  # [C]
    ("quotes", QUOTE, 1),  # [C]
    ("orders", ORDER, 1),  # [pool]
    ("levels", LEVEL, 2),  # [C, window], ring: tick & (window - 1)
    ("bits0", np.uint64, 2),  # [C, window / 64] non-empty levels
    ("bits1", np.uint64, 2),  # [C, window / 4096]
    ("expiry_heads", np.int32, 1),  # [calendar], ring: step & (calendar - 1)
    ("messages", MESSAGE, 1),
    ("arrival", np.int64, 1),  # [messages] arrival order
    ("sort_keys", np.uint64, 1),  # [messages] room for sorting
    ("sort_ids", np.int64, 1),
    ("sort_counts", np.int64, 1),  # [messages + 1]
    ("bids", BID, 1),
    ("fills", FILL, 1),
    ("events", EVENT, 1),
    ("accounts", ACCOUNT, 1),  # [A]
    ("wallets", np.int64, 2),  # [A, currencies]
    ("positions", POSITION, 2),  # [A, C]
    ("bucket_heads", np.int32, 3),  # [C, 2, buckets]: longs, shorts by bankruptcy price
    ("bucket_scale", np.int64, 1),  # [C]: log2 of ticks per bucket
    ("rate_initial", np.int64, 1),  # [C], in force for new orders
    ("rate_maintenance", np.int64, 2),  # [ring, C], row step % ring was published at `step`
    ("scenario_pnl", np.int64, 3),  # [ring, C, S], minor units per SCENARIO_LOTS
    ("scenario_weight", np.int64, 1),  # [S], 2**-32
    ("initial_factor", np.int64, 1),  # [1], 2**-32: initial over maintenance for scenario rules
    ("model_params", np.float64, 3),  # [publishers, C, K]
    ("model_state", np.float64, 3),  # [publishers, C, K]
    ("model_rates", np.int64, 3),  # [publishers, C, 2]: initial, maintenance last published
    ("model_rate_sum", np.float64, 2),  # [publishers, C]: sum of initial rates (as fractions) since `model_since`
    ("model_scale", np.float64, 1),  # [publishers]: factor applied after overlays, 1.0 unless forked at equal mean
    ("history", np.float64, 2),  # [ring, C]: log mid by step
    ("mark_history", np.float64, 2),  # [ring, C]: log mark by step
    ("value", np.float64, 2),  # [steps + 1, C] exogenous value in ticks
    ("index_path", np.int64, 2),  # [steps + 1, C] published index in sub-ticks
    ("activity", np.float64, 1),  # [steps + 1] exogenous activity factor of noise flow
    ("trader_floats", np.float64, 2),  # [A, TRADER_FLOATS]
    ("trader_ints", np.int64, 2),  # [A, TRADER_INTS]
    ("pop_params", np.float64, 2),  # [P, POPULATION_PARAMS]
    ("pop_state", np.float64, 2),  # [P, POPULATION_STATE]
    ("pop_ints", np.int64, 2),  # [P, 16]: see PI_*
    ("wake_rows", np.int32, 1),  # accounts sorted by wake phase, population after population
    ("wake_starts", np.int32, 1),  # CSR starts, population after population
    ("flows", np.int64, 2),  # [F, 6] scripted flows: see SF_*
    ("record_contract", np.int64, 3),  # [rows, C, len(REC_CONTRACT)]
    ("record_global", np.int64, 2),  # [rows, len(REC_GLOBAL)]
    ("scratch_accounts", np.int32, 1),  # [A * C] breaches of a round
    ("scratch_contracts", np.int32, 1),  # their contract, -1: the whole account
    ("scratch_keys", np.uint64, 1),
    ("scratch_ids", np.int64, 1),
    ("scratch_order", np.int64, 1),
    ("scratch_counts", np.int64, 1),
    ("called", np.int32, 1),  # [A] accounts under an open margin call, the first M_CALLED_NOW cells
    ("py_requirement", np.int64, 3),  # [A, C + 1, 2]: requirements of a NumPy rule; column C is the account's total
    ("multi_accounts", np.int32, 1),  # [A] accounts outside the index (several contracts)
    ("multi_where", np.int32, 1),  # [A] position in multi_accounts, -1
)

# Integers of a population (``state.pop_ints``)
PI_KIND, PI_FIRST, PI_COUNT, PI_CONTRACT, PI_PERIOD, PI_WAKE_ROWS, PI_WAKE_STARTS, PI_STREAM = range(8)
# Integers of a scripted flow (``state.flows``)
SF_CONTRACT, SF_SIDE, SF_LOTS, SF_START, SF_STEPS, SF_NUMBER = range(6)

FIELD_NAMES = tuple(name for name, _, _ in FIELDS)
# Arrays that kernels may replace by larger ones
GROWING = (
    "orders", "levels", "bits0", "bits1", "messages", "arrival", "sort_keys", "sort_ids", "sort_counts", "bids",
    "fills", "events",
)  # fmt: skip

if JIT_DISABLED:

    class Row(np.record):
        """A record whose field ``flags`` is not hidden by NumPy's attribute of that name."""

        def __getattribute__(self, name: str) -> Any:
            """Read a field or an attribute."""
            return self["flags"] if name == "flags" else super().__getattribute__(name)

        def __setattr__(self, name: str, value: Any) -> None:
            """Write a field."""
            if name == "flags":
                self["flags"] = value
            else:
                super().__setattr__(name, value)

    class State:  # plain Python for debuggers and coverage
        """The arrays of a market as attributes (uncompiled form)."""

        __slots__ = FIELD_NAMES

        def __init__(self, *arrays: np.ndarray) -> None:
            for (name, _, _), array in zip(FIELDS, arrays, strict=True):
                setattr(self, name, array)

        def __setattr__(self, name: str, array: np.ndarray) -> None:
            """Replace an array; records become rows with attributes."""
            object.__setattr__(self, name, array.view(np.dtype((Row, array.dtype))) if array.dtype.names else array)

    STATE_TYPE: Any = None
    DECIDE: Any = None
    PUBLISH: Any = None
    REQUIREMENT: Any = None
    DECIDE_TYPE: Any = None
    PUBLISH_TYPE: Any = None
    REQUIREMENT_TYPE: Any = None
    PHASE_TYPE: Any = None
    EXCESS: Any = None
    CALL_OR_WAIT: Any = None
    WITH_EVALUATOR: Any = None
    IN_BREACH: Any = None
    COLLECT: Any = None
    CLEAR_ROUND: Any = None
    CLEAR_ROUND_OF: Any = None
    RUN_CLEARING: Any = None
    CLEAR_STEP: Any = None
    LIQUIDATE: Any = None
    RECORD_EVENT: Any = None
    PUSH: Any = None
    REFUSE: Any = None
    SELL_TO_BIDS: Any = None
    ADVANCE: Any = None
else:
    import numba
    from numba import types
    from numba.core import cgutils
    from numba.core.datamodel import models
    from numba.core.imputils import lower_getattr_generic, lower_setattr_generic
    from numba.core.typing.templates import AttributeTemplate, infer_getattr
    from numba.experimental import structref
    from numba.extending import NativeValue, intrinsic, register_model, unbox

    class StateType(types.StructRef):
        """Numba type of :class:`State`.

        Inside kernels a state is a bare pointer and its arrays are borrowed: no reference is counted, neither of the
        struct nor of an array that is read from it. (Numba's own struct counts both, with two atomic operations at each
        read and at each call: most of the time of an order.) The Python object that was passed in owns everything and
        outlives the kernel. So what the module docstring demands is not only a matter of stale values: an alias that is
        kept across a growth dangles, and no kernel may return a state or one of its arrays.
        """

        def preprocess_fields(self, fields: Any) -> Any:
            """Types of the fields, literals widened."""
            return tuple((name, types.unliteral(kind)) for name, kind in fields)

        @property
        def mangling_args(self) -> Any:
            """A short name in symbols."""
            # the default spells every record type into every symbol name
            return "State", ()

    class State(structref.StructRefProxy):  # type: ignore[no-redef]
        """The arrays of a market in one reference-counted compiled struct.

        Fields are listed with dtype and shape in ``FIELDS``; each is an attribute. Those that kernels may replace by
        larger arrays (``GROWING``) are read from the struct at each access, the others are kept beside it.
        """

        def __new__(cls, *arrays: np.ndarray) -> State:
            """Make the struct of arrays in the order of ``FIELDS``."""
            self: State = cls._numba_box_(STATE_TYPE, _make(tuple(arrays)))
            for name, array in zip(FIELD_NAMES, arrays, strict=True):
                if name not in GROWING:
                    self.__dict__[name] = array
            return self

        def __getattr__(self, name: str) -> np.ndarray:
            if name in GROWING:
                return _growing(self)[GROWING.index(name)]
            raise AttributeError(name)

    @register_model(StateType)
    class _StateModel(models.StructModel):
        def __init__(self, manager: Any, kind: Any) -> None:
            super().__init__(manager, kind, [("payload", types.voidptr)])

    @infer_getattr
    class _StateAttributes(AttributeTemplate):
        key = StateType

        def generic_resolve(self, kind: Any, name: str) -> Any:
            return kind.field_dict.get(name)

    def _fields(context: Any, builder: Any, kind: Any, pointer: Any) -> Any:
        """The struct of arrays at a raw pointer."""
        layout = context.data_model_manager[kind.get_data_type()].get_value_type()
        typed = builder.bitcast(pointer, layout.as_pointer())
        return cgutils.create_struct_proxy(kind.get_data_type())(context, builder, ref=typed)

    def _fields_of(context: Any, builder: Any, kind: Any, value: Any) -> Any:
        """The struct of arrays behind a state."""
        return _fields(context, builder, kind, cgutils.create_struct_proxy(kind)(context, builder, value=value).payload)

    @lower_getattr_generic(StateType)
    def _borrow(context: Any, builder: Any, kind: Any, value: Any, name: str) -> Any:
        field = kind.field_dict[name]
        owned = getattr(_fields_of(context, builder, kind, value), name)
        array = context.make_array(field)(context, builder, value=owned)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        array.parent = cgutils.get_null_value(array.parent.type)
        return array._getvalue()

    @lower_setattr_generic(StateType)
    def _put(context: Any, builder: Any, signature: Any, args: Any, name: str) -> None:
        kind, given = signature.args
        fields = _fields_of(context, builder, kind, args[0])
        array = context.cast(builder, args[1], given, kind.field_dict[name])
        old = getattr(fields, name)
        context.nrt.incref(builder, given, array)
        setattr(fields, name, array)
        context.nrt.decref(builder, given, old)

    @unbox(StateType)
    def _unbox(kind: Any, state: Any, c: Any) -> Any:
        memory_kind = types.MemInfoPointer(types.voidptr)
        holder = c.pyapi.object_getattr_string(state, "_meminfo")
        memory = c.unbox(memory_kind, holder).value
        native = cgutils.create_struct_proxy(kind)(c.context, c.builder)
        native.payload = c.context.nrt.meminfo_data(c.builder, memory)
        # the Python object keeps the memory for as long as the kernel runs
        c.context.nrt.decref(c.builder, memory_kind, memory)
        c.pyapi.decref(holder)
        return NativeValue(native._getvalue())

    def _array_type(dtype: Any, ndim: int) -> Any:
        return numba.typeof(np.zeros((1,) * ndim, dtype))

    _ARRAY_TYPES = tuple(_array_type(dtype, ndim) for _, dtype, ndim in FIELDS)
    STATE_TYPE = StateType(tuple(zip(FIELD_NAMES, _ARRAY_TYPES, strict=True)))

    @intrinsic
    def _new_state(typing_context: Any, arrays: Any) -> Any:
        """Allocate the struct and move a tuple of arrays into its fields (one cached compilation for all processes)."""
        from numba.experimental.jitclass.base import imp_dtor

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            layout = context.data_model_manager[STATE_TYPE.get_data_type()].get_value_type()
            memory = context.nrt.meminfo_alloc_dtor(
                builder,
                context.get_constant(types.uintp, context.get_abi_sizeof(layout)),
                imp_dtor(context, builder.module, STATE_TYPE),
            )
            pointer = context.nrt.meminfo_data(builder, memory)
            builder.store(cgutils.get_null_value(layout), builder.bitcast(pointer, layout.as_pointer()))
            fields = _fields(context, builder, STATE_TYPE, pointer)
            for position, name in enumerate(FIELD_NAMES):
                array = builder.extract_value(args[0], position)
                context.nrt.incref(builder, _ARRAY_TYPES[position], array)
                setattr(fields, name, array)
            return memory

        return types.MemInfoPointer(types.voidptr)(arrays), generate

    @intrinsic
    def _owned(typing_context: Any, state: Any) -> Any:
        """The arrays that grow, each with a reference of its own: for Python, which keeps them."""
        kinds = tuple(STATE_TYPE.field_dict[name] for name in GROWING)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            fields = _fields_of(context, builder, STATE_TYPE, args[0])
            arrays = [getattr(fields, name) for name in GROWING]
            for kind, array in zip(kinds, arrays, strict=True):
                context.nrt.incref(builder, kind, array)
            return context.make_tuple(builder, signature.return_type, arrays)

        return types.Tuple(kinds)(state), generate

    @kernel(types.MemInfoPointer(types.voidptr)(types.Tuple(_ARRAY_TYPES)))
    def _make(arrays):  # type: ignore[no-untyped-def]
        return _new_state(arrays)

    @kernel()
    def _growing(state):  # type: ignore[no-untyped-def]
        return _owned(state)

    # The sockets: signatures of functions that other rooms hand to the step.
    DECIDE = types.void(STATE_TYPE, types.int64)  # (state, population)
    PUBLISH = types.void(STATE_TYPE, types.int64)  # (state, publisher slot)
    REQUIREMENT = types.int64(STATE_TYPE, types.int64, types.int64, types.int64)  # (state, account, contract, which)
    DECIDE_TYPE = types.FunctionType(DECIDE)
    PUBLISH_TYPE = types.FunctionType(PUBLISH)
    REQUIREMENT_TYPE = types.FunctionType(REQUIREMENT)
    # Kernels that take an evaluator
    EXCESS = types.int64(STATE_TYPE, types.int64, REQUIREMENT_TYPE)
    WITH_EVALUATOR = types.void(STATE_TYPE, REQUIREMENT_TYPE)
    CALL_OR_WAIT = EXCESS
    # Functions that many others call with literals: one compiled form, not one for each combination of literals
    RECORD_EVENT = types.void(STATE_TYPE, *[types.int64] * 7)
    PUSH = types.void(STATE_TYPE, *[types.int64] * 12)
    REFUSE = types.void(STATE_TYPE, types.int64, types.int64)
    # Whole phases are handed over as values, so that the fused loop does not compile them a second time
    PHASE_TYPE = types.FunctionType(types.void(STATE_TYPE, REQUIREMENT_TYPE, types.UniTuple(types.int64, 4)))
    PHASES = types.UniTuple(PHASE_TYPE, 2)
    IN_BREACH = types.boolean(STATE_TYPE, types.int64, types.int64, REQUIREMENT_TYPE)
    COLLECT = types.int64(STATE_TYPE, types.int64, types.int64, types.int64, REQUIREMENT_TYPE)
    CLEAR_ROUND = types.int64(STATE_TYPE, REQUIREMENT_TYPE)
    CLEAR_ROUND_OF = types.int64(STATE_TYPE, REQUIREMENT_TYPE, types.int64, types.boolean)
    RUN_CLEARING = types.int64(STATE_TYPE, REQUIREMENT_TYPE, types.int64)
    CLEAR_STEP = types.void(STATE_TYPE, REQUIREMENT_TYPE, types.UniTuple(types.int64, 4))
    LIQUIDATE = types.int64(STATE_TYPE, types.int64, types.int64, types.boolean, REQUIREMENT_TYPE)
    SELL_TO_BIDS = types.int64(
        STATE_TYPE, types.int64, types.int64, types.int64, types.int64, types.int64, REQUIREMENT_TYPE
    )
    ADVANCE = types.int64(
        STATE_TYPE,
        types.int64,  # steps
        types.UniTuple(DECIDE_TYPE, POPULATIONS_MAX),
        types.UniTuple(PUBLISH_TYPE, PUBLISHERS_MAX),
        REQUIREMENT_TYPE,
        types.UniTuple(types.int64, 4),  # streams: arrival, liquidation, and two spare
        PHASES,
    )

INITIAL, MAINTENANCE = 0, 1


def allocate(
    *,
    traders: int,
    contracts: int,
    steps: int,
    currencies: int = 1,
    window: int = 8192,
    pool: int = 1 << 15,
    calendar: int = 8192,
    history: int = 4096,
    buckets: int = 2048,
    populations: int = 1,
    publishers: int = 1,
    notice: int = 1,
    scenarios: int = SCENARIOS_MAX,
    record_rows: int = 1,
    wake_rows: int = 1,
    wake_starts: int = 2,
    flows: int = 1,
    tape: int = 4096,
) -> State:
    """Make an empty market state with free lists and empty ladders.

    Args:
        traders: number of trader accounts; special accounts are added after them.
        contracts: number of contracts (books).
        steps: length of the exogenous paths; ``value`` gets ``steps + 1`` rows.
        currencies: number of settlement currencies.
        window: ticks per ladder, a power of two of at least 4096; grows when prices spread wider.
        pool: order slots, grows.
        calendar: length of the expiry calendar, a power of two.
        history: length of the ring of past mids and marks, a power of two.
        buckets: buckets per side of the bankruptcy-price index.
        populations: rows of population parameters.
        publishers: margin models evaluated per step.
        notice: steps of notice before risk parameters bind maintenance.
        scenarios: most risk scenarios.
        record_rows: rows of the step record.
        wake_rows: length of the wake table.
        wake_starts: length of its index.
        flows: scripted flows.
        tape: first length of tape and events, both grow.

    Returns:
        The state, every array zero except links and heads (-1) and the free list.
    """
    if window < 4096 or window & (window - 1):
        raise ValueError(f"window must be a power of two of at least 4096, not {window}")
    for name, value in (("calendar", calendar), ("history", history)):
        if value & (value - 1) or value < 2:
            raise ValueError(f"{name} must be a power of two, not {value}")
    accounts = traders + SPECIAL_ACCOUNTS
    ring = notice + 1
    shapes: dict[str, tuple[int, ...]] = {
        "meta": (META_SIZE,),
        "contracts": (contracts,),
        "quotes": (contracts,),
        "orders": (pool,),
        "levels": (contracts, window),
        "bits0": (contracts, window // 64),
        "bits1": (contracts, window // 4096),
        "expiry_heads": (calendar,),
        "messages": (1024,),
        "arrival": (1024,),
        "sort_keys": (1024,),
        "sort_ids": (1024,),
        "sort_counts": (1025,),
        "bids": (256,),
        "fills": (tape,),
        "events": (tape,),
        "accounts": (accounts,),
        "wallets": (accounts, currencies),
        "positions": (accounts, contracts),
        "bucket_heads": (contracts, 2, buckets),
        "bucket_scale": (contracts,),
        "rate_initial": (contracts,),
        "rate_maintenance": (ring, contracts),
        "scenario_pnl": (ring, contracts, scenarios),
        "scenario_weight": (scenarios,),
        "initial_factor": (1,),
        "model_params": (publishers, contracts, MODEL_PARAMS),
        "model_state": (publishers, contracts, MODEL_STATE),
        "model_rates": (publishers, contracts, 2),
        "model_rate_sum": (publishers, contracts),
        "model_scale": (publishers,),
        "history": (history, contracts),
        "mark_history": (history, contracts),
        "value": (steps + 1, contracts),
        "index_path": (steps + 1, contracts),
        "activity": (steps + 1,),
        "trader_floats": (accounts, TRADER_FLOATS),
        "trader_ints": (accounts, TRADER_INTS),
        "pop_params": (populations, POPULATION_PARAMS),
        "pop_state": (populations, POPULATION_STATE),
        "pop_ints": (populations, 16),
        "wake_rows": (wake_rows,),
        "wake_starts": (wake_starts,),
        "flows": (flows, 6),
        "record_contract": (record_rows, contracts, len(REC_CONTRACT)),
        "record_global": (record_rows, len(REC_GLOBAL)),
        "scratch_accounts": (accounts * contracts,),
        "scratch_contracts": (accounts * contracts,),
        "scratch_keys": (accounts * contracts,),
        "scratch_ids": (accounts * contracts,),
        "scratch_order": (accounts * contracts,),
        "scratch_counts": (accounts * contracts + 1,),
        "called": (accounts,),
        "py_requirement": (accounts, contracts + 1, 2),
        "multi_accounts": (accounts,),
        "multi_where": (accounts,),
    }
    arrays = {name: np.zeros(shapes[name], dtype) for name, dtype, _ in FIELDS}
    orders = arrays["orders"]
    orders["next"] = np.arange(1, pool + 1)
    orders["next"][-1] = -1
    orders["generation"] = 1  # so that no order has the id 0
    for link in ("prev", "own_next", "own_prev", "exp_next", "exp_prev"):
        orders[link] = -1
    arrays["levels"]["head"] = -1
    arrays["levels"]["tail"] = -1
    arrays["expiry_heads"][:] = -1
    arrays["bucket_heads"][:] = -1
    arrays["multi_where"][:] = -1
    arrays["multi_where"][-1] = 0  # the last cell counts the members
    quotes = arrays["quotes"]
    quotes["bid"] = NO_PRICE
    quotes["ask"] = NO_PRICE
    table = arrays["accounts"]
    for link in ("order_head", "call_step", "last_liquidation", "key_step"):
        table[link] = -1
    for link in ("bucket", "bucket_next", "bucket_prev"):
        arrays["positions"][link] = -1
    quotes["index_top"] = -1
    quotes["index_low"] = buckets
    table["population"] = -1
    arrays["model_scale"][:] = 1.0
    arrays["activity"][:] = 1.0
    meta = arrays["meta"]
    meta[M_TRADERS] = traders
    meta[M_ACCOUNTS] = accounts
    meta[M_CONTRACTS] = contracts
    meta[M_HISTORY] = history
    meta[M_NOTICE] = notice
    meta[M_RISK_SLOTS] = ring
    meta[M_PUBLISHERS] = publishers
    meta[M_RECORD_EVERY] = 1
    meta[M_LEDGER] = 1
    meta[M_LIQUIDATE] = 1
    return State(*(arrays[name] for name in FIELD_NAMES))


def arrays_of(state: State) -> dict[str, np.ndarray]:
    """Every array of the state by name (views, not copies)."""
    return {name: getattr(state, name) for name in FIELD_NAMES}


def raw(array: np.ndarray) -> np.ndarray:
    """A view whose copies keep every byte: NumPy copies records field by field and leaves padding to chance."""
    return array.view(np.dtype((np.void, array.dtype.itemsize))) if array.dtype.names else array


def copy_of(state: State) -> State:
    """An independent copy of the whole state, to the byte."""
    return State(*(raw(np.asarray(getattr(state, name))).copy().view(dtype) for name, dtype, _ in FIELDS))
