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
# Initial rates that rise with open interest: minor units of value where the rise begins and where it ends
P_OPEN_LOWER, P_OPEN_UPPER = 46, 47

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
) = range(9)
