"""Circuit breakers: what a venue does when the market moves too fast."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Breakers:
    """Each breaker is off at zero.

    Attributes:
        halt_move: a contract stops trading when its mark has moved by this fraction within ``halt_window_seconds``.
        halt_window_seconds: window of the move.
        halt_seconds: length of a halt.
        band: orders further than this fraction from the mark at the start of the window are refused.
        throttle: forced lots per step and contract, as a share of the lots resting within 5 % on the side they hit.
        stress_from: stress index (fast over slow volatility) from which margin rates are multiplied.
        stress_slope: added to the multiplier per unit of the index above ``stress_from``.
        stress_most: largest multiplier.
    """

    halt_move: float = 0.0
    halt_window_seconds: float = 300.0
    halt_seconds: float = 300.0
    band: float = 0.0
    throttle: float = 0.0
    stress_from: float = 2.0
    stress_slope: float = 0.0
    stress_most: float = 3.0
