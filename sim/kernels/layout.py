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
(
    CAUSE_NONE,
    CAUSE_LIQUIDATION,
    CAUSE_FUND_UNWIND,
    CAUSE_LIQUIDATOR,
    CAUSE_SCRIPT,
    CAUSE_TAKEOVER,
    CAUSE_SEED,
    CAUSE_VAULT,  # a backstop vault unwinds what it took over
    CAUSE_HEDGE,  # the engine hedges an account before it closes its legs
    CAUSE_ADVERSARY,
    CAUSE_ADL,
    CAUSE_QUOTES,  # of moves of the mid: orders that came to rest, were cancelled or expired
    CAUSE_INDEX,  # of moves of the mark: the index
) = range(13)
CAUSE_NAMES = (
    "none", "liquidation", "fund_unwind", "liquidator", "script", "takeover", "seed", "vault", "hedge", "adversary",
    "auto_deleveraging", "quotes", "index",
)  # fmt: skip

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
MARK_LAST, MARK_MID, MARK_INDEX_MEDIAN, MARK_EMA, MARK_TWAP, MARK_HYPERLIQUID, MARK_DERIBIT, MARK_INDEX = range(8)
# Forced limits of liquidations
LIMIT_NONE, LIMIT_BANKRUPTCY, LIMIT_BAND, LIMIT_FILLABLE = 0, 1, 2, 3

# Liquidation policies (``state.policy``): how much is closed at a time
SIZE_FULL, SIZE_TARGET, SIZE_STEP, SIZE_CLOSE_FACTOR = 0, 1, 2, 3
# ... and where it goes
OUTLET_BIDS_THEN_BOOK, OUTLET_BOOK, OUTLET_LIQUIDATORS, OUTLET_AUCTION, OUTLET_BACKSTOP = 0, 1, 2, 3, 4
AUCTION_NONE, AUCTION_CLIP, AUCTION_SHARE = 0, 1, 2
(
    LP_SIZE,
    LP_OUTLET,
    LP_TARGET_RATIO,  # 2**-32, equity over maintenance
    LP_STEP_FRACTION,  # 2**-32
    LP_STEP_ABOVE,  # minor units of notional; smaller positions are closed whole
    LP_CLOSE_FRACTION,  # 2**-32
    LP_CLOSE_HEALTH,  # 2**-32, equity over maintenance at or below which all is closed
    LP_COOLDOWN,  # slots between two actions on one account, of which LP_ACTIONS make a step
    LP_FLOW,  # most liquidated lots per contract within a window, 0: no cap
    LP_BONUS,  # 2**-32, discount at which liquidators take over
    LP_BONUS_SLOPE,  # 2**-32 per unit of (1 - equity / maintenance)
    LP_BONUS_MOST,  # 2**-32
    LP_PROTOCOL_SHARE,  # 2**-32 of the bonus, to the fund
    LP_BACKSTOP_RATIO,  # 2**-32, equity over maintenance below which the backstop takes the account, 0: never
    LP_HEDGE_FIRST,
    LP_FUTURES_FIRST,
    LP_BANKRUPTCY_ADJUSTMENT,  # 2**-32, fillable price
    LP_SPREAD_TO_MAINTENANCE,  # 2**-32, fillable price
    LP_AUCTION,
    LP_AUCTION_START,  # 2**-32 of the mark (clip), of the account's value (share)
    LP_AUCTION_STEP,  # steps between two cuts of the price
    LP_AUCTION_CUT,  # 2**-32, factor of the price per cut
    LP_AUCTION_TAIL,  # steps until an auction must be reset
    LP_AUCTION_CUSP,  # 2**-32 of the start price, below which it must be reset
    LP_AUCTION_TIP,  # minor units to the keeper that starts it
    LP_AUCTION_CHIP,  # 2**-32 of the auctioned value to the keeper
    LP_AUCTION_FAST_END,  # 2**-32 (share): discount factor at the end of the fast leg
    LP_AUCTION_FAST,  # steps of the fast leg
    LP_AUCTION_SLOW,  # steps of the slow leg, at whose end the factor is zero
    LP_AUCTION_BUFFER,  # 2**-32 (share): part of the shortfall that a bid must restore beyond maintenance
    LP_AUCTION_INSOLVENT,  # steps over which the payment to the winner of an insolvent account grows
    LP_AUCTION_FEE,  # 2**-32 of the cash bid, to the fund
    LP_FLOW_WINDOW,  # steps
    LP_ACTIONS,  # actions on one account that a step holds, where the cooldown is shorter than a step
) = range(34)
POLICY_CELLS = 48
FLOW_CELLS = 64

# Default waterfall (``state.waterfall``)
LAYER_NONE, LAYER_FUND, LAYER_VAULT, LAYER_ADL, LAYER_SOCIALISE = 0, 1, 2, 3, 4
LAYER_NAMES = ("none", "fund", "vault", "adl", "socialise")
RANK_BITMEX, RANK_BINANCE, RANK_HYPERLIQUID, RANK_PRO_RATA, RANK_RISK_PRO_RATA, RANK_WATER_FILLING = range(6)
ADL_AT_BANKRUPTCY, ADL_AT_PREVIOUS_MARK = 0, 1
TRIGGER_EXHAUSTED, TRIGGER_NEGATIVE_EQUITY, TRIGGER_FUND_DRAWDOWN = 0, 1, 2
(
    W_LAYER,  # the first of four cells: layers in order, LAYER_NONE ends them
    W_LAYER_2,
    W_LAYER_3,
    W_LAYER_4,
    W_RANKING,
    W_ADL_PRICE,
    W_TRIGGER,
    W_DRAWDOWN,  # 2**-32 of the fund's peak
    W_DRAWDOWN_STEPS,
    W_VAULT,  # account of the backstop vault, -1: none
    W_FUND_PEAK,  # state: highest equity of the fund in the window
    W_FUND_PEAK_STEP,  # state
    W_VAULT_PAID,  # state: negative equity that the vault took over with positions, minor units
    W_ADL_PAID,  # state: negative equity that counterparties bore in auto-deleveraging, minor units
    W_FUND_DEBT,  # state: what the fund still owes of losses that nobody could bear, minor units
    W_PEAKS_FIRST,  # state: first row of ``fund_peaks``
    W_PEAKS,  # state: rows of ``fund_peaks`` in use
) = range(17)
WATERFALL_CELLS = 32

# Circuit breakers (``state.breakers``): parameters, then state per contract in ``breaker_state``
(
    CB_HALT_MOVE,  # 2**-32, 0: none
    CB_HALT_WINDOW,  # steps
    CB_HALT_STEPS,
    CB_THROTTLE,  # 2**-32: forced lots per step and contract as a share of the depth within 5 %, 0: none
    CB_STRESS_FROM,  # 2**-32: stress index (fast over slow volatility) from which margin is multiplied
    CB_STRESS_SLOPE,  # 2**-32 per unit of the index
    CB_STRESS_MOST,  # 2**-32: largest multiplier, 0: none
    CB_BAND,  # 2**-32: band around the reference price of the window, 0: only the contract's own band
) = range(8)
BREAKER_CELLS = 16
(
    BS_UNTIL,  # first step at which a halted contract trades again
    BS_SELL_ROOM,  # lots that forced sells may still take from the bids in this step
    BS_BUY_ROOM,  # lots that forced buys may still take from the asks
    BS_MULTIPLIER,  # 2**-32, margin multiplier of the last announcement
) = range(4)
# Marks (``state.marking``): parameters of the rules, then averages at the end of the previous step, per contract
(
    MK_WINDOW,  # steps of the time-weighted average
    MK_BASIS_WINDOW,  # steps of the moving average of the basis, 0: exponential
    MK_PREMIUM_RATE,  # steps over time constant: mid less oracle (hyperliquid)
    MK_TRADE_RATE,  # ... median of bid, ask and last (hyperliquid)
    MK_INDEX_RATE,  # ... mid less index (deribit)
    MK_LIMIT_LOW,  # lowest mark over index (deribit)
    MK_LIMIT_HIGH,
    MK_COLLATERAL_INDEX,  # 1: currencies are valued at the index of their spot contract, 0: at its mark
    MK_PREMIUM,  # numerator and denominator of each exponential average, and the step of its last sample
    MK_PREMIUM_WEIGHT,
    MK_PREMIUM_STEP,
    MK_TRADE,
    MK_TRADE_WEIGHT,
    MK_TRADE_STEP,
    MK_INDEX,
    MK_INDEX_WEIGHT,
    MK_INDEX_STEP,
    MK_SUM,  # sum over the window before this step, the step it holds for, its window
    MK_SUM_STEP,
    MK_SUM_WINDOW,
    MK_BASIS_SUM,
    MK_BASIS_SUM_STEP,
    MK_BASIS_SUM_WINDOW,
) = range(23)
MARKING_CELLS = 24
PRICE_MID, PRICE_INDEX = 0, 1  # columns of ``price_history``

# Oracles (``state.oracle``): parameters, then what is reported, per contract
MEDIAN, WEIGHTED_MEDIAN, WEIGHTED_MEAN = 0, 1, 2
STALE_HOLD, STALE_PAUSE, STALE_MID = 0, 1, 2
SOURCES_MAX = 16
(
    OR_OWN,  # the market's own spot contract among the sources, -1: none
    OR_OWN_WEIGHT,
    OR_OWN_LATENCY,  # steps
    OR_OWN_TICKS,  # ticks of this contract per tick of the own spot contract
    OR_SOURCES,  # external sources, columns OP_SOURCE.. of ``oracle_path``
    OR_AGGREGATION,
    OR_LATENCY,  # steps from observation to publication
    OR_INTERVAL,  # steps between reports
    OR_DEVIATION,  # fraction that makes a report due at once, 0: never
    OR_STALE_STEPS,  # age beyond which a report is stale, 0: never
    OR_STALE_POLICY,
    OR_REPORT,  # state: last report, ticks
    OR_REPORT_STEP,  # state: step of its observation
    OR_OWN_HELD,  # state: last observation of the own spot contract, ticks of this contract
    OR_STALE,  # state: 1 while the report is stale
    OR_PAUSED,  # state (row 0): contracts whose stale oracle pauses liquidations
    OR_WEIGHT,  # the first of SOURCES_MAX cells
) = range(17)
ORACLE_CELLS = OR_WEIGHT + SOURCES_MAX
# Columns of ``oracle_path``; a factor multiplies an observation, zero stands for a source that does not answer
OP_PERP, OP_STALE, OP_FACTOR, OP_OWN_FACTOR, OP_SOURCE = range(5)
ORDER_RANDOM, ORDER_PRIORITY_FEE = 0, 1

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
    EV_SETTLED,  # a: settlement price (ticks), b: gross variation margin; reason 1: for good, at expiry
    EV_EXPIRED,  # resting order expired; a: order id
    EV_SCRIPT,  # scripted event; reason: its number
    EV_STP,  # self-trade prevented; a: resting order id, b: lots
    EV_CLOSED,  # account closed
    EV_CONVERTED,  # fund takes a: minor units of currency `reason` (negative: gives them) for b: account currency
    EV_ADL,  # counterparty `reason` gives up a: lots (signed, as it held them), b: price (sub-ticks), c: value
    # an auction opens (reason 0), is reset (1), is bid (2), closes (3); a: lots; b: price in sub-ticks, of share
    # auctions the value or cash in minor units; c: the bidder of a share
    EV_AUCTION,
    EV_HALT,  # a contract stops trading until step a; b: the move that stopped it, 2**-32, c: mark (sub-ticks)
    EV_BACKSTOP,  # the vault (reason: its account) takes a: lots (signed), b: value, c: mark (sub-ticks)
    EV_HEDGE,  # the engine hedges an account: a: lots ordered (signed), b: lots filled, c: limit price; reason: round
) = range(21)
EVENT_NAMES = (
    "refused", "margin_call", "call_met", "liquidation", "takeover", "bid_taken", "bankrupt", "fund_paid",
    "socialised_loss", "funding", "settlement", "order_expired", "scripted", "self_trade_prevented", "account_closed",
    "collateral_converted", "auto_deleveraging", "auction", "halt", "backstop", "hedge",
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
    R_EXPIRED,
    R_UNCOVERED,  # spot: not enough cash to buy, or coins to sell
) = range(14)
REASON_NAMES = (
    "accepted", "initial_margin", "price_band", "lot_size", "position_limit", "account_closed", "unknown_order",
    "post_only_would_cross", "reduce_only_would_increase", "fill_or_kill", "halted", "bad_message",
    "contract_expired", "not_covered",
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
    M_RISK_SLOTS,  # length of the ring of risk parameters (notice + 2)
    M_ROUNDS_MAX,
    M_GRACE,  # steps between a margin call and liquidation
    M_FORCED_LIMIT,
    M_SURPLUS_TO_FUND,  # 1: what is left at a full liquidation goes to the fund
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
    M_REFUSALS,
    M_EVENT_SEQ,  # number of the next liquidation, used as cause reference of forced orders
    M_STATUS,  # 0, or the code of an error found inside a kernel
    M_STATUS_A,
    M_STATUS_B,
    M_HALTED,  # contracts that are halted; BS_UNTIL says which
    M_MAKERS_WITHDRAWN_UNTIL,  # step until which market makers stay out (scripted)
    M_STEPS_PER_DAY,
    M_FLOW,  # matched lots ever, all contracts (tape side)
    M_LEDGER_FLOW,  # matched lots ever, all contracts (ledger side)
    M_HISTORY,  # length of the ring of past mids, a power of two
    M_PUBLISHERS,  # margin models evaluated each step: 0 is active, the others run in shadow
    M_BIDS,  # liquidation bids in the buffer
    M_CALLED_NOW,  # accounts under a margin call now
    M_FUND_UNWIND,  # most lots per step and contract that the fund sells of what it took over
    M_UNCOVERED,  # losses that nobody could bear (the fund's wallet went below zero), minor units
    M_PUBLISHED,  # step at which risk parameters were published last
    M_DEPTH_EVERY,  # steps between readings of depth within 5 % for the record
    M_TOTALS_EVERY,  # steps between sums of requirement and equity over accounts for the record
    M_ROUNDS,  # liquidation rounds of the last step
    M_SCRIPTED,  # scripted events that have happened
    M_LIQUIDATING,  # accounts whose liquidation carries over to the next step
    M_RECORD_CAUSES,  # 1: keep what moved each mark and what brought each account into liquidation
    M_MOVES,  # rows of the tape of moves
    M_READINGS,  # readings of the marks on their tape; each has one row per contract
    M_CAUSES,  # rows of the tape of causes of liquidations
    M_AUCTIONS,  # live auctions
    M_ORDERING,  # ORDER_RANDOM or ORDER_PRIORITY_FEE
    M_ADL_LOTS,  # lots closed by auto-deleveraging since the start
    M_BACKSTOP_LOTS,  # lots that the vault took over since the start
    M_ROW_BACK,  # 1 while a requirement is asked for at the maintenance parameters of the step before
    M_HEDGED,  # 1 + maintenance of an account with its hedge, as a NumPy rule answered; 0: ask the evaluator
    M_STORED,  # 1: requirements are those that a rule in NumPy gave last, at the marks of that moment
) = range(72)
META_SIZE = 128

# Status codes (``M_STATUS``)
ST_OK, ST_LADDER, ST_MEMORY, ST_REQUIREMENT = 0, 1, 2, 3

# Sizes of generic columns
TRADER_FLOATS, TRADER_INTS = 16, 12
POPULATION_PARAMS, POPULATION_STATE = 48, 64
MODEL_PARAMS, MODEL_STATE = 64, 48
POPULATIONS_MAX, PUBLISHERS_MAX = 16, 10
ADDON_PARAMS, ADDON_MEMORY, ADDON_COEFFICIENTS = 40, 8, 16
FEATURE_COLUMNS, MAP_BUCKETS = 6, 2048
FEATURE_NAMES = ("utilisation", "liquidations", "turnover", "concentration", "open_interest_share")
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
        ("flags", "u1"),  # and the cause above them
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
        ("fee", "i8"),  # priority fee, minor units
        ("own_next", "i4"),  # next message of the same account in this step
        ("pad", "i4"),
    ],
    align=True,
)
BID = np.dtype(
    [
        ("account", "i4"),
        ("contract", "i2"),
        ("side", "i1"),
        ("used", "i1"),
        ("lots", "i8"),
        ("discount", "i8"),  # 2**-32, the least that is asked for
        ("fee", "i8"),  # priority fee, minor units
        ("gas", "i8"),  # cost of a take-over, minor units
        ("latency", "i4"),  # steps that an account must have been in liquidation
        ("racing", "i4"),  # in the race for one account: 0 not in it, 1 racing, 2 has had its turn
        ("share", "i8"),  # 2**-32 of the profit bid as priority fee, at most `fee`; 0: `fee` whatever the profit
        ("least", "i8"),  # least profit for which it races, minor units
        ("revert", "i8"),  # cost of a race that it loses, minor units
        ("bid_fee", "i8"),  # priority fee in the present race, minor units
        ("key", "u8"),  # drawn for the present race: the order among equal fees
    ],
    align=True,
)  # a liquidator's standing offer: takes positions of `side` (1 long) at mark less `discount` (2**-32)

AUCTION = np.dtype(
    [
        ("account", "i4"),
        ("contract", "i4"),  # the contract on sale; -1: the whole account (share, cross)
        ("start", "i4"),  # step of the last (re)start
        ("opened", "i4"),
        ("price", "i8"),  # mark at the (re)start in sub-ticks (clip); value at the (re)start (share), minor units
        ("paid", "i8"),  # cash that bids have brought the account so far (share), minor units
        ("reference", "i8"),  # number of the liquidation
    ],
    align=True,
)
# The tape of what moved marks, in order of time: a row per forced order; of other causes, one per run of moves
MOVE = np.dtype(
    [
        ("reading", "i4"),  # the reading of marks in which the move first shows
        ("contract", "i2"),
        ("cause", "i2"),
        ("reference", "i4"),  # liquidation number of forced orders, else -1
        ("account", "i4"),
        ("last", "i4"),  # change of the last price, ticks
        ("mid", "i4"),  # change of the mid, sub-ticks; cause index: change of the index
        ("lots", "i8"),  # signed, as traded by the taker
    ],
    align=True,
)
READING = np.dtype(
    [
        ("step", "i4"),
        ("round", "i2"),  # -1: the first reading of the step, before any round
        ("contract", "i2"),
        ("rule", "i4"),  # of the mark
        ("pad", "i4"),
        ("mark", "i8"),  # sub-ticks
        ("index", "i8"),
        ("mid", "i8"),
        ("last", "i8"),  # ticks
        ("rate", "i8"),  # maintenance rate in force, 2**-32
    ],
    align=True,
)
# One row per liquidation begun, and one for each further contract whose mark had a part in it
CAUSE = np.dtype(
    [
        ("reference", "i4"),  # liquidation number
        ("account", "i4"),
        ("contract", "i4"),  # -1: the whole account
        ("step", "i4"),
        ("round", "i4"),
        ("reading", "i4"),  # at which it was found in breach
        ("safe", "i4"),  # last reading at which it was not
        ("priced", "i4"),  # contract whose mark the price part is about, -1: none; further rows hold a price part only
        ("shortfall", "i8"),  # maintenance less equity, minor units of the account currency
        ("price", "i8"),  # loss of excess since it was last safe that this mark explains
        ("margin", "i8"),  # ... that risen margin rates explain
        ("funding", "i8"),  # ... that funding explains
        ("own", "i8"),  # what is lacking without these: its own trades, fees, withdrawals, shares of losses
        ("lots", "i8"),  # of the position, or of the largest one by value
        ("notional", "i8"),  # value at mark of what is being liquidated
    ],
    align=True,
)

# A counterparty in the order of auto-deleveraging
RANKED = np.dtype(
    [
        ("score", "f8"),  # higher goes first
        ("equity", "f8"),  # behind the position, minor units
        ("taken", "i8"),  # lots allotted in the present call
        ("account", "i4"),
        ("pad", "i4"),
    ],
    align=True,
)

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
        ("base_currency", "i4"),  # spot: the currency that is bought
        ("option", "i4"),  # CALL, PUT, 0: none
        ("base_lot", "i8"),  # spot: minor units of the base currency per lot
        ("reference", "i8"),  # contract whose index is the price of the underlying
        ("expiry", "i8"),  # step at whose end the contract settles for good, 0: never
        ("strike", "i8"),  # options: sub-ticks of the reference contract
        ("payoff", "i8"),  # options: pay-off = lots x payoff x (S - K) / divisor, inverse: / (divisor x S)
        ("divisor", "i8"),
        ("years_per_step", "f8"),
        ("volatility", "f8"),  # options: implied volatility at which they are marked
        ("premium_scale", "f8"),  # options: sub-ticks per sub-tick of the reference; inverse: per coin
        ("interest_rate", "f8"),  # per year
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
        ("liquidated", "i8"),  # lots, ever
        ("fees", "i8"),  # paid, minor units
        ("outside", "i8"),  # cash outside the exchange that can meet calls, minor units
        ("booked_lots", "i8"),  # audit: sum of all lots traded, must equal the sum of positions
        ("priority_fee", "i8"),  # of the messages that it sends now, minor units
        ("wait_until", "i4"),  # first slot at which its liquidation goes on; LP_ACTIONS slots are a step
        ("rounds", "i4"),  # actions of its present liquidation so far
        ("reference", "i4"),  # number of its present liquidation, -1
        ("safe_reading", "i4"),  # last reading before the open margin call, -1
        ("auction", "i4"),  # its live auction, -1
        (
            "traded",
            "i4",
        ),  # reading in which its last trade, transfer or withdrawal first shows, when causes are recorded
        (
            "funding",
            "i8",
        ),  # paid at the last funding (all since its margin call), when causes are recorded; minor units
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
        ("wait_until", "i4"),  # as of accounts, of an isolated position; 0: nothing of it was closed yet
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
    "topups", "rounds", "uncovered", "adl_lots", "backstop_lots", "auctions", "halted",
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
    ("booked", np.int64, 2),  # [A, K] audit: sum of all entries, must equal wallet + pockets - costs
    ("deposits", np.int64, 2),  # [A, K] deposits less withdrawals, minor units
    ("net_deposits", np.int64, 1),  # [K] the same, of all accounts
    ("conversion", np.int64, 1),  # [K] minor units of currency 0 per minor unit, 2**-32; recomputed at every mark
    ("haircut", np.int64, 1),  # [K] 2**-32 of the value of a currency that does not count as collateral
    ("exchange", np.int64, 2),  # [K, 4]: where the conversion comes from, see XR_*
    ("tiers", np.int64, 3),  # [C, rows, 7] charge as a function of size (see sim.kernels.schedule); zeros: flat rates
    ("model_window", np.float64, 3),  # [publishers, C, cells]: windows of past returns, see margin.kernels.historical
    # Add-ons (columns: margin/kernels/addon_columns.py); one row where no margin model has any
    ("addon_params", np.float64, 3),  # [publishers, C, ADDON_PARAMS]
    ("addon_memory", np.float64, 3),  # [publishers, C, ADDON_MEMORY]
    ("addon_coefficients", np.int64, 4),  # [ring, C, 2, COEFFICIENTS], in force with the same row of rate_maintenance
    ("features", np.float64, 3),  # [publishers, A, FEATURE_COLUMNS]
    ("behaviour_rate", np.int64, 2),  # [publishers, A], 2**-32
    ("entry_rate", np.int64, 3),  # [publishers, A, C]: initial rate at which the position was accepted
    ("seen_lots", np.int64, 3),  # [publishers, A, C]: positions at the last publication
    ("liquidation_map", np.int64, 3),  # [C, 2, MAP_BUCKETS + 1]: lots of longs, shorts liquidated below each bucket
    ("map_own", np.int64, 3),  # [A, C, 2]: bucket + 1 and signed lots that the account has on the map
    # The venue's design (sim/venue.py)
    ("policy", np.int64, 1),  # [POLICY_CELLS] LP_*
    ("flow", np.int64, 2),  # [C, FLOW_CELLS] liquidated lots: step of the last, sum in the window, ring by step
    ("waterfall", np.int64, 1),  # [WATERFALL_CELLS] W_*
    ("breakers", np.int64, 1),  # [BREAKER_CELLS] CB_*
    ("breaker_state", np.int64, 2),  # [C, 8]
    ("marking", np.float64, 2),  # [C, MARKING_CELLS] parameters and averages of the mark rule
    ("mark_before", np.int64, 1),  # [C] mark at the previous reading, sub-ticks
    ("auctions", AUCTION, 1),  # live ones first
    ("moves", MOVE, 1),
    ("readings", READING, 1),
    ("causes", CAUSE, 1),
    ("noted", np.int64, 2),  # [C, 4]: last, mid and index as the tape of moves noted them last; the newest move
    # Marks and oracles (sim/kernels/mark_rules.py, sim/kernels/oracle.py)
    ("price_history", np.int64, 3),  # [ring, C, 2]: mid and index by step, sub-ticks
    ("oracle", np.float64, 2),  # [C, ORACLE_CELLS] OR_*
    ("oracle_path", np.float64, 3),  # [steps + 1, C, OP_SOURCE + sources] exogenous; one row where nothing needs it
    ("adl_heaps", RANKED, 3),  # [C, 2, traders]: longs, shorts that auto-deleveraging may close; one until it is needed
    ("adl_state", np.int64, 3),  # [C, 2, 5]: of which step, round, mark and ranking that is, and how many they are
    ("fund_peaks", np.int64, 2),  # [rows, 2]: steps and falling equities of the fund in the window, a ring
)

# Which requirement is asked for
INITIAL, MAINTENANCE = 0, 1

# Integers of a population (``state.pop_ints``)
PI_KIND, PI_FIRST, PI_COUNT, PI_CONTRACT, PI_PERIOD, PI_WAKE_ROWS, PI_WAKE_STARTS, PI_STREAM = range(8)
# Integers of a scripted flow (``state.flows``)
SF_CONTRACT, SF_SIDE, SF_LOTS, SF_START, SF_STEPS, SF_NUMBER = range(6)
# Where the rate of a currency comes from (``state.exchange``): price x XR_TIMES / XR_OVER, or XR_TIMES / (price x
# XR_OVER) with XR_MODE -1; the price is the mark of a spot contract, the index of any other
XR_CONTRACT, XR_TIMES, XR_OVER, XR_MODE = range(4)

FIELD_NAMES = tuple(name for name, _, _ in FIELDS)
# Arrays that kernels may replace by larger ones
GROWING = (
    "orders", "levels", "bits0", "bits1", "messages", "arrival", "sort_keys", "sort_ids", "sort_counts", "bids",
    "fills", "events", "auctions", "moves", "readings", "causes", "adl_heaps", "fund_peaks",
)  # fmt: skip
