"""The queue model of Cont, Stoikov and Talreja: solved, and simulated on the order book."""

import json

import numpy as np
import pytest
from scipy import integrate, linalg

from experiments.cli import main
from experiments.replications.queue_model import CANCEL, LIMIT, Rates, bid_filled, mean_time, mid_up, spread_made
from experiments.replications.queue_paths import QueueModel, measure, paths
from sim.errors import ConfigError
from tests.experiments.replications.slow_books import race

TABLE = np.array(
    [
        [0.500, 0.335, 0.259, 0.216, 0.188],
        [0.665, 0.500, 0.407, 0.348, 0.307],
        [0.741, 0.593, 0.500, 0.437, 0.391],
        [0.784, 0.652, 0.563, 0.500, 0.452],
        [0.812, 0.693, 0.609, 0.548, 0.500],
    ]
)
LOPSIDED = Rates(LIMIT, CANCEL, 0.94, (1.2, 1.4, 1.0, 0.9, 0.5), (0.9, 0.5, 0.6, 0.6, 0.4), 1.3)


def test_t17_solved_table_of_the_first_move():
    answer = mid_up(Rates(), 1, 5, 5)
    np.testing.assert_allclose(answer.values, TABLE, atol=0.001)
    assert answer.error < 1e-9


def test_t17_paths_on_the_order_book_agree_with_the_table():
    result = measure(QueueModel(Rates(), bids=2, asks=3, paths=20_000, questions=("move",)))
    entry = result["questions"]["move"]
    np.testing.assert_allclose(entry["simulated"], TABLE[:2, :3], atol=0.0142)  # four standard errors
    np.testing.assert_allclose(result["mean_time"]["simulated"], result["mean_time"]["exact"], rtol=0.05)


@pytest.mark.study
@pytest.mark.parametrize(("rates", "spread"), [(Rates(), 1), (Rates(), 2), (Rates(), 3), (LOPSIDED, 1), (LOPSIDED, 3)])
def test_t17_every_cell_and_question_within_a_hundredth(rates, spread):
    result = measure(QueueModel(rates, spread, paths=50_000))
    for entry in result["questions"].values():
        assert entry["largest_difference"] < 0.01
    np.testing.assert_allclose(result["mean_time"]["simulated"], result["mean_time"]["exact"], rtol=0.03)


@pytest.mark.parametrize("spread", [1, 2, 3])
@pytest.mark.parametrize("question", ["move", "bid", "both"])
def test_paths_are_those_of_a_plain_python_book(spread, question):
    outcome, duration = paths(LOPSIDED, spread, 2, 3, question, 7, 25)
    limit, cancel, market = LOPSIDED.arrays()
    watch = ["move", "bid", "both"].index(question)
    stretch = (watch + 3 * (3 + 100 * (2 + 100 * spread))) << 32
    slow = [race(limit, cancel, market, spread, 2, 3, watch, 7, stretch + k) for k in range(25)]
    assert outcome.tolist() == [o for o, _ in slow]
    np.testing.assert_allclose(duration, [t for _, t in slow], rtol=1e-12)


@pytest.mark.parametrize("spread", [1, 2, 4])
def test_sides_mirror_each_other(spread):
    mirrored = Rates(*LOPSIDED.asks, LOPSIDED.limit, LOPSIDED.cancel, LOPSIDED.market)
    there, back = mid_up(LOPSIDED, spread, 4, 6), mid_up(mirrored, spread, 6, 4)
    np.testing.assert_allclose(there.values, 1 - back.values.T, atol=1e-9)
    both = spread_made(LOPSIDED, spread, 4, 6).values
    np.testing.assert_allclose(both, spread_made(mirrored, spread, 6, 4).values.T, atol=1e-9)


def test_closed_forms():
    # no arrivals and no cancels: each queue is a count of takers, the race a negative binomial
    takers = Rates((0.0,), (0.0,), 1.0, None, None, 3.0)
    assert mid_up(takers, 1, 1, 1).values[0, 0] == pytest.approx(0.75)
    assert mid_up(takers, 1, 2, 1).values[1, 0] == pytest.approx(1 - 0.25**2)
    assert bid_filled(takers, 1, 2, 1).values[1, 0] == pytest.approx(0.25**2)
    assert spread_made(takers, 1, 1, 1).values[0, 0] == pytest.approx(0.0)  # nobody stands behind the first one filled
    assert mean_time(takers, 1, 1, 1).values[0, 0] == pytest.approx(1 / 4)
    # orders inside the spread compete with the queues
    inside = Rates((2.0, 0.0), (0.0, 0.0), 1.0, (4.0, 0.0), (0.0, 0.0), 3.0)
    assert mid_up(inside, 2, 1, 1).values[0, 0] == pytest.approx((3 + 2) / (3 + 2 + 1 + 4))


def test_the_solution_is_the_integral_over_the_two_first_passage_times():
    """P(up) = integral of the density of the ask queue's end times the survival of the bid queue."""
    rates, spread, n = LOPSIDED, 2, 40
    race_of = rates.at(spread)
    times = np.linspace(0.0, 14.0, 2801)

    def survival(birth, cancel, market, start):
        deaths = market + cancel * np.arange(1, n + 1)
        generator = np.diag(-(deaths + birth)) + np.diag(deaths[1:], -1) + np.diag(np.full(n - 1, birth), 1)
        generator[-1, -1] += birth
        step = linalg.expm(generator * (times[1] - times[0]))
        rows = [np.eye(n)[start - 1]]
        for _ in times[1:]:
            rows.append(rows[-1] @ step)
        table = np.array(rows)
        return table.sum(1), table[:, 0] * deaths[0]

    alive_bid, _ = survival(*race_of.bids, 3)
    alive_ask, ends_ask = survival(*race_of.asks, 2)
    quiet = np.exp(-(race_of.inside + race_of.ask_inside) * times)
    density = quiet * alive_bid * (ends_ask + race_of.inside * alive_ask)
    assert mid_up(rates, spread, 3, 2).values[2, 1] == pytest.approx(integrate.simpson(density, x=times), abs=1e-5)


def test_queues_that_need_longer_cuts_and_those_without_end():
    answer = mid_up(Rates((3.0,), (0.02,), 3.0), 1, 2, 2)
    assert answer.longest >= 128 and answer.error <= 1e-9
    assert answer.values[0, 1] + answer.values[1, 0] == pytest.approx(1)
    for endless in (Rates((3.0,), (0.0,), 1.0), Rates((6.0,), (0.1,), 1.0)):  # grow; stay near 50 for ages
        with pytest.raises(ConfigError, match="stay below"):
            mid_up(endless, 1, 1, 1)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (["--limit", "1,x"], "--limit = 'x'"),
        (["--limit", "1,2"], "--cancel"),
        (["--market", "-1"], "--market"),
        (["--spread", "6"], "--spread"),
        (["--questions", "why"], "--questions"),
        (["--bids", "65"], "--bids"),
        (["--paths", "-1"], "--paths"),
        (["--market", "0"], "--market"),
    ],
)
def test_bad_options_are_one_line(capsys, changed, says):
    with pytest.raises(SystemExit) as end:
        main(["queue-model", *changed])
    error = capsys.readouterr().err
    assert end.value.code == 2 and says in error and error.count("\n") == 1


def test_the_command_as_a_user_runs_it(tmp_path, capsys):
    options = ["queue-model", "--paths", "200", "--bids", "2", "--asks", "2", "--spread", "2", "--seeds", "2"]
    with pytest.raises(SystemExit) as end:
        main([*options, "--out", str(tmp_path / "out"), "--json"])
    result = json.loads(capsys.readouterr().out)
    assert end.value.code == 0 and result["paths_a_cell"] == 400
    assert (tmp_path / "out" / "figures" / "queue-model.png").stat().st_size > 10_000
    assert "|    2 | simulated |" in (tmp_path / "out" / "tables" / "queue-move.md").read_text()
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["results_hash"] == result["results_hash"]
    with pytest.raises(SystemExit):
        main([*options, "--paths", "0"])
    told = capsys.readouterr().out
    assert "P(the next move of the mid is up)" in told and "paths a cell" not in told
