"""The zero-intelligence model on the order book."""

import json

import numpy as np
import pytest

from experiments.cli import main
from experiments.replications.zero_intelligence import ZeroIntelligence, exponent, history, measure, spread_fit
from sim.errors import ConfigError
from tests.experiments.replications.slow_books import zero_intelligence

SPREADS = {0.02: 0.491, 0.05: 0.549, 0.1: 0.629, 0.2: 0.763, 0.4: 1.007}


@pytest.mark.parametrize(("cancel", "market", "seed"), [(0.3, 1.0, 0), (2.0, 1.5, 1), (4.0, 0.5, 2)])
def test_histories_are_those_of_a_plain_python_book(cancel, market, seed):
    study = ZeroIntelligence(1.0, market, (cancel,), 0.25, 1_000.0, 2.0, 4.0)
    object.__setattr__(study, "duration", 12.0 * market / cancel)  # shorter than a study may be
    found = history(study, cancel, seed)
    mids, spreads, mean = zero_intelligence(0.25, market, cancel, 16, seed, 2 / cancel, 0.01 / cancel, 1_200)
    assert found.mids.tolist() == [mid - 0.0 for mid in mids]
    np.testing.assert_array_equal(found.spreads, spreads)
    two_sided = np.isfinite(spreads).mean()
    assert found.two_sided == pytest.approx(two_sided, abs=0.05)
    assert found.spread * found.two_sided == pytest.approx(mean, rel=1e-9)


def test_t18_spread_at_two_rates():
    result = measure(ZeroIntelligence(cancel=(0.1, 0.4), duration=20_000, seeds=(0, 1)))
    for row in result["rows"]:
        assert row["spread"]["mean"] == pytest.approx(SPREADS[row["cancel"]], rel=0.03)
        assert row["two_sided"] > 0.999


@pytest.mark.study
def test_t18_spreads_their_exponent_and_diffusion():
    result = measure(ZeroIntelligence(seeds=tuple(range(1000, 1008))))
    for row in result["rows"]:
        assert row["spread"]["mean"] == pytest.approx(SPREADS[row["cancel"]], rel=0.03)
        assert row["depth"][-1] == pytest.approx(row["asymptotic_depth"], rel=0.1)
        diffusion = row["diffusion"]
        assert diffusion[-1] < diffusion[0]  # moves revert between the two regimes
    assert result["spread_fit"]["c"] == pytest.approx(0.75, abs=0.05)
    assert result["diffusion"]["short"]["exponent"] < result["diffusion"]["long"]["exponent"]


def test_units_of_price_and_time_are_only_units():
    """Prices in m / alpha, times in 1 / m: the same book in other units."""
    plain = history(ZeroIntelligence(duration=3_000, cancel=(0.2,)), 0.2, 3)
    scaled = history(ZeroIntelligence(limit=5.0, market=10.0, cancel=(2.0,), tick=0.01, duration=3_000), 2.0, 3)
    assert scaled.spread * 0.01 == pytest.approx(2.0 * plain.spread * 0.005, rel=1e-9)
    assert scaled.events == plain.events


def test_far_orders_do_not_move_the_spread():
    near = history(ZeroIntelligence(duration=20_000, cancel=(0.2,)), 0.2, 1)
    far = history(ZeroIntelligence(duration=20_000, cancel=(0.2,), window=20.0), 0.2, 2)
    assert near.spread == pytest.approx(far.spread, rel=0.05)


def test_fit_and_exponent_find_known_curves():
    rates = np.array([0.02, 0.05, 0.1, 0.2, 0.4])
    noise = np.random.default_rng(0).normal(0, 1e-4, (5, 6))
    rows = [
        {
            "cancel": r, "spread_by_seed": (0.4 + 1.1 * r**0.7 + noise[k]).tolist(), "lags": [0.01, 20.0],
            "diffusion_by_seed": [[3 * r**0.5, 2 * r**1.5]] * 4,
        }
        for k, r in enumerate(rates)
    ]  # fmt: skip
    fit = spread_fit(rows)
    for name, value in (("a", 0.4), ("b", 1.1), ("c", 0.7)):
        assert abs(fit[name] - value) < 4 * fit["standard_error"][name] < 0.05
    assert exponent(rows, 0.01)["exponent"] == pytest.approx(0.5)
    assert exponent(rows, 20.0)["exponent"] == pytest.approx(1.5)
    assert exponent(rows, 5.0) is None and spread_fit(rows[:2]) is None


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (["--cancel", "0"], "--cancel"),
        (["--cancel", "0.1,0.1"], "--cancel"),
        (["--tick", "0"], "--tick"),
        (["--tick", "10"], "--tick"),
        (["--duration", "5"], "--duration"),
        (["--market", "much"], "--market"),
        (["--burn-in", "0"], "--burn-in"),
        (["--window", "-1"], "--window"),
        (["--cancel", "1e-6"], "--"),
    ],
)
def test_bad_options_are_one_line(capsys, changed, says):
    with pytest.raises(SystemExit) as end:
        main(["zero-intelligence", *changed])
    error = capsys.readouterr().err
    assert end.value.code == 2 and says in error and error.count("\n") == 1


def test_too_many_orders_are_refused():
    with pytest.raises(ConfigError, match="--cancel"):
        ZeroIntelligence(limit=1e6, market=1e6, cancel=(1.0,), tick=1e-3, duration=1e9, window=10.0)


def test_the_command_as_a_user_runs_it(tmp_path, capsys):
    options = ["zero-intelligence", "--cancel", "0.1,0.2,0.4", "--tick", "0.02", "--duration", "1000", "--seeds", "2"]
    with pytest.raises(SystemExit) as end:
        main([*options, "--out", str(tmp_path / "out"), "--json"])
    result = json.loads(capsys.readouterr().out)
    assert end.value.code == 0 and len(result["rows"]) == 3
    assert (tmp_path / "out" / "figures" / "zero-intelligence.png").stat().st_size > 10_000
    assert len((tmp_path / "out" / "tables" / "zero-intelligence.csv").read_text().splitlines()) == 4
    with pytest.raises(SystemExit):
        main(options)
    assert f"Results hash: {result['results_hash']}" in capsys.readouterr().out
