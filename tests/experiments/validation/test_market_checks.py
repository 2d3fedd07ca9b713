from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from experiments.validation.bands import Context, judge

NAMES = ("cascades", "leverage_tails", "pairing", "margins", "scaling", "convergence")


def test_bands_are_stated_once() -> None:
    bands = [band for name in NAMES for band in import_module(f"experiments.validation.checks.{name}").BANDS]
    assert len({band.id for band in bands}) == len(bands)
    for name in NAMES:
        module = import_module(f"experiments.validation.checks.{name}")
        assert {band.check for band in module.BANDS} == {name}
        assert module.QUICK_SECONDS < module.FULL_SECONDS


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("cascades", ("cascade-near", "cascade-ema")),
        ("leverage_tails", ("tails-near",)),
        ("pairing", ("pairing-60", "pairing-state")),
        ("margins", ("margin-drawdown-fast", "margin-placebo")),
        ("scaling", ("crossover-position", "crossover-width-finer")),
        ("convergence", ("rounds-multiplier",)),
    ],
)
def test_a_check_measures_what_is_asked_of_any_scenario(
    name: str, wanted: tuple[str, ...], small: Path, tmp_path: Path
) -> None:
    module = import_module(f"experiments.validation.checks.{name}")
    bands = tuple(replace(band, quick_seeds=3) for band in module.BANDS if band.id in wanted)
    context = Context(str(small), str(small), bands, quick=True, first_seed=5, path=tmp_path / "kept")
    found = module.check(context)
    assert set(found) == set(wanted)
    for band in bands:
        judge(band, found[band.id])
        assert found[band.id].seeds == 3
    again = module.check(context)  # read from the folder
    assert str(again) == str(found)
