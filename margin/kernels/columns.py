"""Columns of ``model_params`` and ``model_state``: what a compiled margin model knows and remembers, per contract.

Rates stand in units of 2**-32 of value as whole float64 numbers, intervals in steps, variances per sample. What is
common to all contracts (netting, scenario grid) is repeated in each row, so that a kernel may read any of them.
"""

from __future__ import annotations

# Where rates come from
FIXED, VOLATILITY = 0, 1
# What may offset what
BY_CONTRACT, BY_SCENARIO = 0, 1
# Which of the two rates the overlays change
ON_BOTH, ON_INITIAL, ON_MAINTENANCE = 0, 1, 2

# What a value of a window of returns is divided by: nothing, the volatility at its start, each sample's own
FILTER_NONE, FILTER_START, FILTER_DAYS = 0, 1, 2
# What is taken of a window, and of which tail
MEASURE_VAR, MEASURE_ES = 0, 1
TAIL_BOTH, TAIL_LOWER, TAIL_UPPER = 0, 1, 2

MOVES_MAX = 8

(
    P_RATES,  # FIXED or VOLATILITY
    P_INITIAL,  # FIXED: initial rate, units
    P_MAINTENANCE,  # FIXED: maintenance rate, units
    P_RATIO,  # VOLATILITY: maintenance over initial
    P_SAMPLE,  # steps between samples of the mark
    P_UPDATE,  # steps between updates of the rates
    P_FACTOR,  # quantile x sqrt(horizon / sample interval)
    P_OMEGA,  # variance = omega + alpha r^2 + beta variance; an EWMA has omega 0, alpha 1 - lambda, beta lambda
    P_ALPHA,
    P_BETA,
    P_VARIANCE,  # variance per sample at the start
    P_PRIOR,  # samples that the variance at the start counts for (EWMA only), 0: it decays like any other
    P_STRESS_WEIGHT,
    P_STRESS,  # rate of the stressed period, fraction
    P_BUFFER,  # size of the buffer, fraction of the calculated rate
    P_REBUILD,  # share of the gap to the calculated rate that the buffer's reference closes per update
    P_FLOOR,  # units
    P_GROWTH,  # largest factor between two updates, 0: none
    P_CAP,  # units
    P_OVERLAYS_ON,  # ON_BOTH, ON_INITIAL or ON_MAINTENANCE
    P_NETTING,  # BY_CONTRACT or BY_SCENARIO
    P_INITIAL_FACTOR,  # initial over maintenance of a scenario rule, units
    P_DIVERGENCE,  # size of divergence moves (1 - offset), units
    P_EXTREME,  # size of the extreme moves, units; 0: none
    P_EXTREME_WEIGHT,  # part of the extreme loss that counts, units
    P_MOVES,  # number of common moves per direction
) = range(26)
P_MOVE = 26  # first of MOVES_MAX sizes of common moves, units
(
    P_WINDOW,  # values in the window of past returns, 0: the rate is a multiple of the volatility
    P_OVERLAP,  # samples that one of its values spans
    P_FILTER,  # FILTER_NONE, FILTER_START or FILTER_DAYS
    P_MEASURE,  # MEASURE_VAR or MEASURE_ES
    P_TAILS,  # TAIL_BOTH, TAIL_LOWER or TAIL_UPPER
    P_TAIL_COUNT,  # order statistics at or below the quantile
    P_TAIL_PART,  # part of the way to the next one at which the quantile stands
    P_BUFFER_WHOLE,  # rate up to which the buffer is whole, fraction
    P_BUFFER_GONE,  # rate from which nothing of it is left, fraction; 0: it follows its reference instead
    P_GAMMA,  # forecast: added weight of a squared fall
    P_ANCHOR,  # forecast: decay of the slow variance to which the fast one returns
    P_MEAN,  # forecast: weight of the fast variance in the mean over the horizon, 0: rates follow the variance itself
    P_OPEN_LOWER,  # initial rates that rise with open interest: minor units of value where the rise begins
    P_OPEN_UPPER,  # and where it ends
    P_FACTOR_OF,  # grid: number of the common factor by which the contract moves
    P_LEADER,  # grid: contract whose rate says how far it moves; of options the one that prices their underlying
    P_FACTORS,  # grid: number of factors
    P_VOLATILITY_MOVE,  # grid: relative move of implied volatilities, 0 where no options are listed
    P_STILL,  # grid: 1 where prices that stand still are a scenario (options are listed)
) = range(P_MOVE + MOVES_MAX, P_MOVE + MOVES_MAX + 19)

(
    S_STARTED,  # 1 after the first publication
    S_INITIAL,  # initial rate before scaling, units
    S_MAINTENANCE,  # maintenance rate before scaling, units
    S_OVERLAID,  # rate after overlays, units
    S_LOG_MARK,  # log mark at the last sample
    S_VARIANCE,  # per sample
    S_SAMPLES,  # samples taken
    S_REFERENCE,  # slow reference of the calculated rate, which the buffer is measured from
    S_STEP,  # step of the last publication
    S_PLACE,  # where the next value of the window goes: the place of its oldest
    S_ANCHOR,  # forecast: slow variance per sample
) = range(11)
