"""What the state of a market is made of: the records, and the list of its arrays.

Kernels import these names, and the codes of :mod:`sim.kernels.codes`, from :mod:`sim.kernels.state`, together with the
struct that holds the arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.kernels.codes import *  # noqa: F403  (the codes are had from here too)

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
        ("priced_on", "i4"),  # PRICED_ON_*: price of the underlying at which options are valued and settle
        ("chain", "i4"),  # row of `surface`, -1: no chain
        ("listing", "i8"),  # step after which it trades; 0: from the start
        ("settle_window", "i8"),  # steps up to expiry over which the final price is averaged, at least 1
        ("band_least", "i8"),  # least half-width of the price band, sub-ticks
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
        ("final_sum", "i8"),  # prices of the underlying in the settlement window so far, sub-ticks
        ("final_count", "i8"),
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
    ("held", np.uint64, 2),  # [A, C / 64] bits of the contracts in which an account may have something
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
    ("scratch_losses", np.int64, 1),  # [SCENARIOS_MAX] losses of the account that a grid is asked for
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
    # Marks and oracles (sim/kernels/mark_rules.py, sim/kernels/oracle.py)
    ("price_history", np.int64, 3),  # [ring, C, 2]: mid and index by step, sub-ticks
    ("oracle", np.float64, 2),  # [C, ORACLE_CELLS] OR_*
    ("oracle_path", np.float64, 3),  # [steps + 1, C, OP_SOURCE + sources] exogenous; one row where nothing needs it
    ("adl_heaps", RANKED, 3),  # [C, 2, traders]: longs, shorts that auto-deleveraging may close; one until it is needed
    ("adl_state", np.int64, 3),  # [C, 2, 5]: of which step, round, mark and ranking that is, and how many they are
    ("fund_peaks", np.int64, 2),  # [rows, 2]: steps and falling equities of the fund in the window, a ring
    ("surface", np.float64, 2),  # [chains, SURFACE_CELLS, then SURFACE_RECORD a recorded step] volatility surfaces
    ("noted", np.int64, 2),  # [C, 4]: last, mid and index as the tape of moves noted them last; the newest move
)

FIELD_NAMES = tuple(name for name, _, _ in FIELDS)
# Arrays that kernels may replace by larger ones
GROWING = (
    "orders", "levels", "bits0", "bits1", "messages", "arrival", "sort_keys", "sort_ids", "sort_counts", "bids",
    "fills", "events", "auctions", "moves", "readings", "causes", "adl_heaps", "fund_peaks",
)  # fmt: skip
