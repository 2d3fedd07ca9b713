"""Checks: each module measures the bands that it lists. See :mod:`experiments.validation.bands` for what it holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec

from experiments.validation.bands import CALM, SHOCK, Band, Check

ORDER = {
    "facts": CALM, "leverage_tails": SHOCK, "impact": CALM, "cascades": SHOCK, "margins": SHOCK, "pairing": SHOCK,
    "controls": CALM, "convergence": SHOCK, "scaling": SHOCK, "queue_models": "", "published": "",
}  # fmt: skip
"""The checks, in the order in which they are run and shown, and the market of those bands that do not name one."""


@dataclass(frozen=True)
class Registered:
    """A check and what is known of it before it is run.

    Attributes:
        name: of its module.
        run: the function that measures.
        bands: what it measures.
        quick_seconds: about how long the quick run takes on two cores.
        full_seconds: about how long the full one does.
    """

    name: str
    run: Check
    bands: tuple[Band, ...]
    quick_seconds: float = 30.0
    full_seconds: float = 300.0

    def seconds(self, quick: bool) -> float:
        """About how long a run takes on two cores."""
        return self.quick_seconds if quick else self.full_seconds


def registered() -> tuple[Registered, ...]:
    """All checks of this installation, in their order."""
    found = []
    for name, market in ORDER.items():
        if find_spec(f"{__name__}.{name}") is None:
            continue
        module = import_module(f"{__name__}.{name}")
        bands = tuple(b if b.market is not None else replace(b, market=market) for b in module.BANDS)
        for band in bands:
            if band.check != name:
                raise ValueError(f"band {band.id} names the check {band.check}, and stands in {name}")
        found.append(Registered(name, module.check, bands, module.QUICK_SECONDS, module.FULL_SECONDS))
    return tuple(found)
