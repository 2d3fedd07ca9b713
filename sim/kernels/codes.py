"""The codes of the exchange: kinds, reasons, events, and the columns of its parameter arrays.

Units (see :mod:`sim.contracts`): prices are integer ticks, marks and indexes are integer sub-ticks (1/16 tick),
quantities are integer lots, cash is integer minor units of a currency, rates are integers in units of 2**-32 of value.
"""

from __future__ import annotations

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
    W_PENDING,  # state: losses of this round that are to be shared at its end, minor units
) = range(18)
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
    R_UNLISTED,  # the contract is not listed yet
) = range(15)
REASON_NAMES = (
    "accepted", "initial_margin", "price_band", "lot_size", "position_limit", "account_closed", "unknown_order",
    "post_only_would_cross", "reduce_only_would_increase", "fill_or_kill", "halted", "bad_message",
    "contract_expired", "not_covered", "not_listed",
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
SURFACE_CELLS = 64
FEW = 16  # contracts: an account's sums look at every one of so few
SURFACE_RECORD = 7  # recorded: spot and long variance, rho, realised variance, flow, tilt, log price of the underlying
SCHEDULE_COLUMNS = 7

# What the price of an option's or dated future's underlying is (``contracts.priced_on``)
PRICED_ON_INDEX, PRICED_ON_MARK = range(2)

# Which requirement is asked for
INITIAL, MAINTENANCE = 0, 1

# Integers of a population (``state.pop_ints``)
PI_KIND, PI_FIRST, PI_COUNT, PI_CONTRACT, PI_PERIOD, PI_WAKE_ROWS, PI_WAKE_STARTS, PI_STREAM = range(8)
# Integers of a scripted flow (``state.flows``)
SF_CONTRACT, SF_SIDE, SF_LOTS, SF_START, SF_STEPS, SF_NUMBER = range(6)
# Where the rate of a currency comes from (``state.exchange``): price x XR_TIMES / XR_OVER, or XR_TIMES / (price x
# XR_OVER) with XR_MODE -1; the price is the mark of a spot contract, the index of any other
XR_CONTRACT, XR_TIMES, XR_OVER, XR_MODE = range(4)
