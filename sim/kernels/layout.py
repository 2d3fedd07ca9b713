"""What the state of a market is made of: codes, records, and the list of its arrays.

Units (see :mod:`sim.contracts`): prices are integer ticks, marks and indexes are integer sub-ticks (1/16 tick),
quantities are integer lots, cash is integer minor units of a currency, rates are integers in units of 2**-32 of value.

Kernels import these names from :mod:`sim.kernels.state`, together with the struct that holds the arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

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

# Contract kinds
(
    LINEAR_PERPETUAL,
    LINEAR_FUTURE,
    INVERSE_PERPETUAL,
    INVERSE_FUTURE,
    SPOT,
    LINEAR_OPTION,
    INVERSE_OPTION,
) = range(7)
CALL, PUT = 1, -1

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
    M_UNCOVERED,  # losses that nobody could bear (the fund's wallet went below zero), minor units
    M_PUBLISHED,  # step at which risk parameters were published last
    M_DEPTH_EVERY,  # steps between readings of depth within 5 % for the record
    M_TOTALS_EVERY,  # steps between sums of requirement and equity over accounts for the record
    M_ROUNDS,  # liquidation rounds of the last step
    M_SCRIPTED,  # scripted events that have happened
    M_LIQUIDATING,  # accounts whose liquidation carries over to the next step
) = range(64)
META_SIZE = 96

# Status codes (``M_STATUS``)
ST_OK, ST_LADDER, ST_MEMORY, ST_REQUIREMENT = 0, 1, 2, 3

# Sizes of generic columns
TRADER_FLOATS, TRADER_INTS = 16, 12
POPULATION_PARAMS, POPULATION_STATE = 48, 64
MODEL_PARAMS, MODEL_STATE = 48, 48
POPULATIONS_MAX, PUBLISHERS_MAX = 16, 10
SCENARIOS_MAX = 64
SCHEDULE_COLUMNS = 7

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
    ("tiers", np.int64, 3),  # [C, rows, 7] charge as a function of size (see sim.kernels.schedule); zeros: flat rates
)

# Which requirement is asked for
INITIAL, MAINTENANCE = 0, 1

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
