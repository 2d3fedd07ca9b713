"""A root of a noisy function of one variable, asked for point by point, so that several searches can share a pool."""

from __future__ import annotations

import math


class Search:
    """Bracket a root by steps along the slope, then close in by the Illinois rule, halving where that is slow.

    Points are asked for and answers told, so whoever evaluates the function may do it for many searches at once. The
    function need not be monotone nor continuous: a bracket is any pair of points at which its signs differ.

    Dowell, M. & Jarratt, P. (1971). A modified regula falsi method for computing the root of an equation. BIT 11,
    168-174 (the Illinois rule).

    Args:
        start: first point.
        low: smallest point allowed.
        high: largest point allowed.
        tolerance: absolute value of the function that counts as zero.
        most: points evaluated at most.
        slope: guess of the derivative, for the direction and the size of the first step.

    Attributes:
        best: the point nearest to zero so far, with its value.
        bracketed: whether the signs at two points differ.
    """

    WIDEST = math.log(3.0)  # a first guess of the slope may be far off
    NARROWEST = 1e-5

    def __init__(self, start: float, low: float, high: float, tolerance: float, most: int, slope: float) -> None:
        """Begin at the start."""
        self._low, self._high, self._tolerance, self._most, self._slope = low, high, tolerance, most, slope
        self._points: list[tuple[float, float]] = []
        self._ends: list[list[float]] = []  # [point, value as weighted, value]
        self._next: float | None = min(max(start, low), high)
        self._side = 0
        self.best = (self._next, math.inf)

    @property
    def reached(self) -> bool:
        """Whether the best point counts as a root."""
        return abs(self.best[1]) <= self._tolerance

    @property
    def bracketed(self) -> bool:
        """Whether there are two points with values of different signs."""
        return bool(self._ends)

    @property
    def flat(self) -> bool:
        """Whether the function has had one value at all points, and more than one was tried."""
        values = [value for _, value in self._points]
        return len(values) > 1 and max(values) - min(values) <= 1e-9 * max(1.0, abs(values[0]))

    def ask(self) -> float | None:
        """The next point, None when the search is over."""
        return self._next

    def tell(self, value: float) -> None:
        """The function's value at the point that was asked for."""
        point = self._next
        if point is None:
            raise ValueError("the search is over")
        if math.isnan(value):
            value = math.inf
        self._points.append((point, value))
        if abs(value) < abs(self.best[1]):
            self.best = (point, value)
        self._next = None if self.reached or len(self._points) >= self._most else self._following(point, value)

    def _following(self, point: float, value: float) -> float | None:
        if not self._ends:
            opposite = [p for p in self._points if (p[1] > 0.0) != (value > 0.0)]
            if not opposite:
                return self._further(point, value)
            near = min(opposite, key=lambda p: abs(p[0] - point))
            self._ends = [[near[0], near[1], near[1]], [point, value, value]]
            self._side = 0
        else:
            self._replace(point, value)
        (a, fa, _), (b, fb, _) = self._ends
        if abs(b - a) < self.NARROWEST:
            return None
        if not (math.isfinite(fa) and math.isfinite(fb)):
            return (a + b) / 2.0
        middle = (a * fb - b * fa) / (fb - fa)
        inside = 0.02 * abs(b - a)  # a step that stays at one end would not narrow the bracket
        return min(max(middle, min(a, b) + inside), max(a, b) - inside)

    def _further(self, point: float, value: float) -> float | None:
        """A step outwards; None at the end of the range, or where nothing moves."""
        if self.flat and len(self._points) > 5:
            return None
        slope = self._slope
        if len(self._points) > 1:
            (x0, f0), (x1, f1) = self._points[-2:]
            secant = (f1 - f0) / (x1 - x0) if x1 != x0 and math.isfinite(f1 - f0) else 0.0
            if secant * slope > 0.0:  # against the known direction it is noise
                slope = secant
        size = 1.25 * abs(value / slope) if math.isfinite(value) else self.WIDEST
        size = self.WIDEST if self.flat else min(max(size, 0.01), self.WIDEST * len(self._points))
        following = min(max(point - math.copysign(size, value / slope), self._low), self._high)
        return None if following == point else following

    def _replace(self, point: float, value: float) -> None:
        """Keep the two ends between which the sign changes, and halve the weight of an end that stays twice."""
        for side in (0, 1):
            if (self._ends[side][2] > 0.0) == (value > 0.0):
                other = 1 - side
                if self._side == side + 1:
                    self._ends[other][1] /= 2.0
                self._ends[side] = [point, value, value]
                self._side = side + 1
                return
