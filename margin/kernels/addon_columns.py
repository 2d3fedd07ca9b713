"""Columns of what add-ons are made of: their parameters, their memory, and the integers that they publish.

Parameters (``addon_params``, float64[publishers, C, ADDON_PARAMS]) and memory (``addon_memory``) stand per contract;
what is common to all contracts is repeated in each row. Published coefficients (``addon_coefficients``,
int64[ring, C, 2, ADDON_COEFFICIENTS]) exist once for initial and once for maintenance margin.
"""

from __future__ import annotations

# Which requirement an add-on raises
ON_NOTHING, ON_INITIAL, ON_MAINTENANCE, ON_BOTH = 0, 1, 2, 3
# Features of an account
FEATURE_COUNT = 5  # of sim.kernels.codes.FEATURE_NAMES
F_UTILISATION, F_LIQUIDATIONS, F_TURNOVER, F_CONCENTRATION, F_SHARE = range(5)
F_TRADED = 5  # value traded since the last update, minor units

# The liquidation map: buckets of equal width from a price of nothing to twice the mark at which it was drawn
MAP_HALF = 1024  # buckets up to the mark
# Square-root rates are given for this many lots (Drift's premium), so that their integers keep nine digits
REFERENCE_LOTS = 1 << 30

(
    Q_TRACKED,  # 1: accounts are described by features
    Q_UPDATE,  # steps between updates of features and map
    Q_WEIGHT_NEW,  # weight of a new observation of a feature
    Q_DAYS,  # days between updates
    Q_CAP,  # largest total rate, units
    Q_ENTRY,  # maintenance over initial of the rate at which a position was accepted, units; 0: the published rate
    Q_SIGMA,  # volatility per square root of a day; 0: the regime's own forecast
    Q_VOLUME,  # smallest daily volume assumed, lots
    Q_LIQUIDITY_ON,
    Q_SPREAD,  # half the spread over the price; negative: measured
    Q_IMPACT,  # 2/3 Y of the square-root cost
    Q_CROWDING_ON,
    Q_CROWDING,  # Y
    Q_BAND,  # half width of the band, fraction of the price
    Q_DRIFT_ON,
    Q_DRIFT,  # imf x sqrt(units of REFERENCE_LOTS)
    Q_SKEW_ON,
    Q_SKEW,  # rate at the skew scale
    Q_SKEW_LOTS,  # the skew scale, lots
    Q_SKEW_SHARE,  # maintenance over initial
    Q_THRESHOLD_ON,
    Q_THRESHOLD,  # minor units of net value
    Q_BUCKET,  # contracts of one number net in the concentration ratio
    Q_BEHAVIOUR_ON,
    Q_BEHAVIOUR_CAP,  # units
) = range(25)
Q_WEIGHTS = 25  # weight of each feature, units
Q_FULL = 30  # value of each feature at which it counts in full
Q_FLOORS = 35  # value of each feature up to which it does not count

(
    N_STARTED,
    N_SPREAD,  # average half spread over the price
    N_MAP_MARK,  # mark at which the liquidation map was drawn, sub-ticks
    N_LAST,  # step of the last update
    N_SIGMA,  # volatility in use, per square root of a day
    N_VOLUME,  # daily volume in use, lots
) = range(6)

(
    A_ON,  # 1: at least one add-on raises this requirement
    A_SPREAD,  # half the spread, units
    A_IMPACT,  # cost of a position of one day's volume, units
    A_VOLUME,  # one day's volume, lots
    A_CROWDING,  # impact of a forced sale of one day's volume, units
    A_BAND,  # half width of the band, buckets
    A_MAP_MARK,  # sub-ticks
    A_DRIFT,  # units at REFERENCE_LOTS
    A_SKEW,  # units at the skew scale
    A_SKEW_LOTS,
    A_THRESHOLD,  # minor units, 0: none
    A_BUCKET,
    A_BEHAVIOUR,  # units that multiply the account's rate: 2**32 x scale of the regime, 0: off
    A_CAP,  # units
    A_ENTRY,  # units, 0: published rates
) = range(15)
