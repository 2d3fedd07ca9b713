from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from experiments.validation.bands import Context, judge
from experiments.validation.checks import registered
from experiments.validation.run import Validation, validate

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


def test_every_other_check_measures_its_bands_on_one_seed(small: Path) -> None:
    """A market of two days: the numbers mean little, but every band of the quick run is measured and none fails."""
    checks = tuple(
        replace(check, bands=tuple(replace(band, quick_seeds=min(band.quick_seeds, 1)) for band in check.bands))
        for check in registered()
        if check.name not in NAMES
    )
    assert {check.name for check in checks} == {"facts", "impact", "controls", "queue_models", "published"}
    short = ("market.steps=3380", "market.burn_in=500")
    markets = Validation(checks, "perpetual", str(small), quick=True, first_seed=3, assignments=short)
    result = validate(markets)
    models = validate(Validation(checks, quick=True, first_seed=3, bands=("queue_models", "published")))
    rows = [*result["rows"], *models["rows"]]
    assert result["errors"] == models["errors"] == {}
    assert {row["id"] for row in rows} == {band.id for check in checks for band in check.bands if band.quick_seeds}
    long = {"facts-hill", "facts-kurtosis"}  # two days hold too few ten minutes and hours
    assert {row["id"] for row in rows if row["value"] is None} == long
    assert {row["seeds"] for row in result["rows"] if row["value"] is not None} == {1}
