"""One look for each regime, in every figure and table.

Colours are Paul Tol's high-contrast scheme (black, blue, red, yellow: told apart by all common forms of colour
blindness, and ordered in lightness so that they survive grey print), followed by hues of his medium-contrast scheme,
lightened further for dark pages. Lines also differ in style and points in shape, so colour is never alone.

Reference:
    Tol, P. (2021). Colour schemes. SRON technical note SRON/EPS/TN/09-002, issue 3.2, sections 2 and 3.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

INK = "#16181d"
"""Text and axes."""
MUTED = "#5b6270"
"""Secondary text, reference lines, exogenous series."""
GRID = "#dfe2e8"
"""Grid lines."""
PAPER = "#fefefe"
"""Background of a figure; not pure white, so that a page can tell it from other whites and restyle it."""

Dashes = str | tuple[int, tuple[float, ...]]


@dataclass(frozen=True)
class RegimeStyle:
    """How a regime is drawn: colour on light and dark paper, line style, line width, marker."""

    color: str
    dark: str
    dashes: Dashes
    width: float
    marker: str

    def line(self) -> dict[str, Any]:
        """Keyword arguments for a Matplotlib line."""
        return {"color": self.color, "linestyle": self.dashes, "linewidth": self.width}


_SLOTS = (
    RegimeStyle("#1f2329", "#eceff4", "-", 1.9, "o"),
    RegimeStyle("#bb5566", "#f08a9b", "-", 1.35, "D"),
    RegimeStyle("#004488", "#5f9fe8", (0, (5.0, 1.6)), 1.5, "s"),
    RegimeStyle("#ddaa33", "#f2cf6b", (0, (1.4, 1.1)), 1.9, "^"),
    RegimeStyle("#6699cc", "#a8c8ea", (0, (6.0, 1.4, 1.2, 1.4)), 1.5, "v"),
    RegimeStyle("#994455", "#d9798a", (0, (3.0, 1.0, 1.0, 1.0, 1.0, 1.0)), 1.5, "P"),
    RegimeStyle("#997700", "#cfae45", (0, (8.0, 2.0)), 1.5, "X"),
    RegimeStyle("#ee99aa", "#fbc3cd", (0, (2.6, 1.2)), 1.5, "<"),
)
_FIXED = {"static": 0, "dynamic": 1, "portfolio": 2, "isolated": 3, "cross": 4, "dynamic_initial": 5}


def regime_styles(regimes: Iterable[str]) -> dict[str, RegimeStyle]:
    """Give each regime its style: built-in ones always the same, others the free styles in alphabetical order.

    With more regimes than styles, colours repeat with another line style.
    """
    names = list(dict.fromkeys(regimes))
    chosen = {name: _SLOTS[_FIXED[name]] for name in names if name in _FIXED}
    taken = set(chosen.values())
    free = [style for style in _SLOTS if style not in taken]
    for i, name in enumerate(sorted(n for n in names if n not in _FIXED)):
        if i < len(free):
            chosen[name] = free[i]
        else:
            base = _SLOTS[i % len(_SLOTS)]
            chosen[name] = RegimeStyle(base.color, base.dark, (0, (2.0 + i, 1.5)), base.width, base.marker)
    return {name: chosen[name] for name in names}


def lightness(color: str) -> float:
    """CIE lightness L* (0 black, 100 white) of an sRGB colour ``#rrggbb``: what is left of it in grey print."""
    channels = [int(color[i : i + 2], 16) / 255.0 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    y = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return float(116.0 * y ** (1.0 / 3.0) - 16.0 if y > 216.0 / 24389.0 else y * 24389.0 / 27.0)
