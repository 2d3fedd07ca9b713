"""Stops on a flat book amplify a fall by 1 / (1 - g), as liquidations do: real stops, orders and prices."""

from __future__ import annotations

import json

import pytest

from experiments.studies import flat_stops


@pytest.mark.parametrize("trigger", ["mark", "last"])
@pytest.mark.parametrize("gain", [0.2, 0.5, 0.8])
def test_stops_amplify_as_the_law_says(gain: float, trigger: str) -> None:
    found = flat_stops.measure(gain, trigger=trigger)
    assert found["measured"] == pytest.approx(1 / (1 - gain), rel=0.02)
    assert found["off"] < found["stops"]


@pytest.mark.parametrize("gain", [1.0, 1.2])
def test_from_a_gain_of_one_on_every_stop_goes_off(gain: float) -> None:
    found = flat_stops.measure(gain, depth=7, sale=60)
    assert found["off"] == found["stops"] == round(gain * 7 * 300)
    assert found["fall"] == pytest.approx(60 + gain * 300, rel=0.02)


def test_the_command_shows_a_row_per_gain(capsys: pytest.CaptureFixture[str]) -> None:
    assert flat_stops.main(["--gain", "0.25,0.4", "--sale", "40"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 4 and shown[2].startswith("| 0.25 | 1.333 | ")
    assert flat_stops.main(["--gain", "0.25", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["predicted"] == pytest.approx(4 / 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--gain", "0.001"], "--gain = 0.001; allowed: a number from 0.01 to 10"),
        (["--gain", "0.5", "--depth", "0"], "--depth = 0"),
        (["--gain", "0.9999", "--sale", "1000"], "1 to 200000 lots of stops"),
        (["--gain", "x"], "--gain"),
    ],
)
def test_what_cannot_be_laid_out_is_said(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert flat_stops.main(arguments) == 1
    assert words in capsys.readouterr().err
