"""Historical worlds: reading price files, every way they can be bad, and the bridge between closes."""

import gzip
import math

import numpy as np
import pytest

from sim.contracts import Contract
from sim.errors import ConfigError
from sim.world import HistoricalWorld, VolatilityChange, build_world, read_prices, trading_days

LARGEST = 1 << 30
ONE = [Contract(name="SPX", max_price=LARGEST)]
TWO = [*ONE, Contract(name="NDX", initial_price=10_000, max_price=LARGEST)]
CRISIS = HistoricalWorld(dataset=["arch:sp500", "arch:nasdaq"], start="2007-01-01", end="2009-12-31")
PER_DAY = 78
DAYS = 755

GOOD = """Date,Open,High,Low,Close
2020-01-02,10,11,9.5,10.5
2020-01-03,10.5,12,10,11
2020-01-06,11,11.5,10.5,11.25
2020-01-07,11,11,10,10
"""


@pytest.fixture
def write(tmp_path):
    def save(text, name="prices.csv"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return save


@pytest.fixture(scope="module")
def crisis():
    return build_world(CRISIS, TWO, DAYS * PER_DAY, 300.0, PER_DAY, 1)


def problems_in(path, **options):
    with pytest.raises(ConfigError) as caught:
        read_prices(path, **options)
    return [(problem.file, problem.key, problem.value) for problem in caught.value.problems]


def test_reads_closes_and_ranges(write):
    (prices,) = read_prices(write(GOOD))
    assert prices.dates == ("2020-01-02", "2020-01-03", "2020-01-06", "2020-01-07")
    assert list(prices.close) == [10.5, 11.0, 11.25, 10.0]
    assert np.allclose(prices.span, [11 / 9.5, 1.2, 11.5 / 10.5, 1.1])


def test_reads_several_columns_gzip_windows_line_ends_and_other_dates(tmp_path):
    path = tmp_path / "two.csv.gz"
    text = "DATE,alpha,Beta\r\n31.12.2019,1,2\r\n\r\n02.01.2020,1.5,2.5\r\n"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + text.encode()))
    alpha, beta = read_prices(path, ["Alpha", "beta"], date_format="%d.%m.%Y")
    assert alpha.dates == beta.dates == ("2019-12-31", "2020-01-02")
    assert list(alpha.close) == [1.0, 1.5]
    assert list(beta.close) == [2.0, 2.5]
    assert not np.any(beta.span)


def test_reads_parquet_as_csv(write, tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(write(GOOD), parse_dates=["Date"])
    frame.to_parquet(tmp_path / "prices.parquet")
    (one,), (other,) = read_prices(tmp_path / "prices.csv"), read_prices(tmp_path / "prices.parquet")
    assert one.dates == other.dates
    assert np.array_equal(one.close, other.close)
    assert np.array_equal(one.span, other.span)
    frame.loc[1, "Close"] = None
    frame.to_parquet(tmp_path / "hole.parquet")
    assert [key for _, key, _ in problems_in(tmp_path / "hole.parquet")] == ["line 3, 2020-01-03, close"]


@pytest.mark.parametrize("cell", ["-11", "0", "nan", "NaN", "inf", "", "abc"])
def test_a_bad_price_names_file_line_date_and_value(write, cell):
    path = write(GOOD.replace("10,11\n", f"10,{cell}\n"))
    assert problems_in(path) == [(path, "line 3, 2020-01-03, close", cell)]


def test_all_bad_prices_are_reported_at_once_up_to_ten(write):
    path = write("date,close\n" + "".join(f"2020-01-{day:02},-1\n" for day in range(1, 21)))
    found = problems_in(path)
    assert len(found) == 11
    assert found[-1][1:] == ("further problems", 10)


@pytest.mark.parametrize(
    ("old", "new", "key", "value"),
    [
        ("2020-01-06", "2020-01-03", "line 4, date", "2020-01-03"),
        ("2020-01-06", "2020-01-01", "line 4, date", "2020-01-01"),
        ("2020-01-07", "2020-02-07", "line 5, date", "2020-02-07"),
        ("2020-01-06", "06/01/2020", "line 4, date", "06/01/2020"),
        ("2020-01-06", "", "line 4, date", ""),
        ("Close", "Last", "column", "close"),
        ("Date", "Day", "column", "date"),
        ("12,10,11", "9,10,11", "line 3, 2020-01-03, high and low", "9, 10"),
    ],
)
def test_bad_dates_columns_and_ranges(write, old, new, key, value):
    path = write(GOOD.replace(old, new, 1))
    assert (path, key, value) in problems_in(path)


def test_a_gap_outside_the_dates_used_does_not_matter(write):
    path = write(GOOD + "2020-03-02,1,1,1,1\n")
    assert len(read_prices(path, end="2020-01-31", max_gap_days=30)[0].dates) == 4
    assert problems_in(path)[0][1] == "line 6, date"


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"start": "2019-06-01"}, "world.start"),
        ({"end": "2020-06-01"}, "world.end"),
        ({"start": "2020-01-07"}, "rows"),
        ({"start": "2021-01-01"}, "rows"),
    ],
)
def test_dates_that_the_file_does_not_cover(write, options, key):
    assert [found[1] for found in problems_in(write(GOOD), **options)] == [key]


@pytest.mark.parametrize(
    ("text", "name"), [("", "a.csv"), ("x", "a.txt"), ("not parquet", "a.parquet"), ("x", "a.csv.gz")]
)
def test_files_that_are_no_tables(write, text, name):
    assert len(problems_in(write(text, name))) >= 1


def test_a_file_that_does_not_exist(tmp_path):
    path = str(tmp_path / "none.csv")
    assert problems_in(path) == [("", "world.path", path)]
    assert problems_in(tmp_path)[0][1] == "world.path"


def test_every_problem_is_one_line(write):
    with pytest.raises(ConfigError) as caught:
        read_prices(write(GOOD.replace("11.25", '"a\nb"')))
    assert len(str(caught.value).split("\n")) == len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("parameters", "key"),
    [
        ({"dataset": "arch:sp500"}, "world.dataset"),
        ({"dataset": ["arch:sp500", "arch:moon"]}, "world.dataset"),
        ({"path": "x.csv"}, "world.columns"),
        ({"path": ["x.csv"]}, "world.path"),
        ({"dataset": ["arch:sp500", "arch:nasdaq"], "columns": ["close"] * 3}, "world.columns"),
    ],
)
def test_sources_that_do_not_fit_the_contracts(parameters, key):
    with pytest.raises(ConfigError) as caught:
        build_world(HistoricalWorld(**parameters), TWO, 10, 300.0, PER_DAY, 1)
    assert caught.value.problems[0].key == key


def test_a_run_longer_than_the_series_is_refused():
    with pytest.raises(ConfigError, match=r"market\.steps = 58891; allowed: at most 58890: 755 trading days of 78"):
        build_world(CRISIS, TWO, DAYS * PER_DAY + 1, 300.0, PER_DAY, 1)


def test_series_with_different_holidays_meet_on_common_dates(write):
    paths = [write(GOOD, "a.csv"), write(GOOD.replace("2020-01-06,11,11.5,10.5,11.25\n", ""), "b.csv")]
    config = HistoricalWorld(path=paths)
    assert trading_days(config, ["A", "B"]) == ("2020-01-03", "2020-01-07")
    world = build_world(config, TWO, 20, 60.0, 10, 1)
    assert world.dates == ("2020-01-03", "2020-01-07")
    assert np.allclose(world.value[::10, 0] / 5000, np.array([10.5, 11.0, 10.0]) / 10.5, rtol=1e-15)
    holed = [
        write(GOOD.replace("2020-01-03,10.5,12,10,11\n", ""), "c.csv"),
        write(GOOD.replace("2020-01-06,11,11.5,10.5,11.25\n", ""), "d.csv"),
    ]
    with pytest.raises(ConfigError, match=r"d\.csv: common dates = '2020-01-07'; allowed: at most 4 calendar days"):
        trading_days(HistoricalWorld(path=holed, max_gap_days=4), ["A", "B"])


def test_one_file_with_a_column_for_each_contract(write):
    path = write("date,x,y\n2020-01-02,1,20\n2020-01-03,2,10\n")
    world = build_world(HistoricalWorld(path=path, columns=["x", "y"]), TWO, 10, 60.0, 10, 1)
    assert list(world.value[-1]) == [10_000.0, 5_000.0]
    assert [source.column for source in world.sources] == ["x", "y"]


def test_prices_in_ticks_of_the_contract(write):
    config = HistoricalWorld(path=write(GOOD), scaling="tick_size")
    contract = Contract(name="A", tick_size=0.25, initial_price=42)
    assert list(build_world(config, [contract], 30, 60.0, 10, 1).value[::10, 0]) == [42.0, 44.0, 45.0, 40.0]
    with pytest.raises(ConfigError, match=r"contracts\.A\.initial_price = 5000; allowed: 42, the first close"):
        build_world(config, [Contract(name="A", tick_size=0.25)], 30, 60.0, 10, 1)


def test_the_data_sets_are_those_of_arch():
    nasdaq, sp500 = pytest.importorskip("arch.data.nasdaq"), pytest.importorskip("arch.data.sp500")
    for contract, module in enumerate((sp500, nasdaq)):
        frame = module.load().loc["2007-01-01":"2009-12-31"]
        world = build_world(CRISIS, TWO, DAYS * 2, 300.0, 2, 1)
        assert world.dates == tuple(frame.index.strftime("%Y-%m-%d")[1:])
        closes = frame["Close"].to_numpy()
        assert np.array_equal(world.closes(2)[:, contract], closes / closes[0] * TWO[contract].initial_price)


def test_the_bridge_passes_exactly_through_each_close(crisis):
    plain = build_world(CRISIS, TWO, DAYS, 86_400.0, 1, 1)
    assert np.array_equal(crisis.closes(PER_DAY), plain.value)
    assert len(crisis.dates) == DAYS
    assert crisis.dates[0] == "2007-01-04"
    assert crisis.sources[1].source == "arch:nasdaq"
    assert (crisis.sources[0].first, crisis.sources[0].last) == ("2007-01-03", "2009-12-31")


def test_intraday_variance_is_that_of_the_closes(crisis):
    for contract in range(2):
        intraday = np.sum(np.diff(np.log(crisis.value[:, contract])) ** 2)
        daily = np.sum(np.diff(np.log(crisis.closes(PER_DAY)[:, contract])) ** 2)
        assert intraday == pytest.approx(daily, rel=0.05)


def test_intraday_variance_follows_the_day(crisis):
    """October 2008 was several times as volatile as the first half of 2007, within days too."""
    r = np.diff(np.log(crisis.value[:, 0])).reshape(DAYS, PER_DAY)
    realised = np.sqrt(np.sum(r**2, axis=1))
    month = np.array([day[:7] for day in crisis.dates])
    assert realised[month == "2008-10"].mean() > 4 * realised[month <= "2007-06"].mean()
    assert realised.min() > 0.001


def test_bridges_of_two_contracts_are_correlated_like_their_days(crisis):
    r = np.diff(np.log(crisis.value), axis=0)
    daily = np.diff(np.log(crisis.closes(PER_DAY)), axis=0)
    assert np.corrcoef(r.T)[0, 1] == pytest.approx(np.corrcoef(daily.T)[0, 1], abs=0.02)
    given = build_world(CRISIS.model_copy(update={"correlation": 0.2}), TWO, DAYS * PER_DAY, 300.0, PER_DAY, 1)
    assert np.corrcoef(np.diff(np.log(given.value), axis=0).T)[0, 1] < 0.35


def test_bridge_has_the_variance_of_a_brownian_bridge():
    config = CRISIS.model_copy(update={"intraday_volatility": 0.02})
    n = 10
    world = build_world(config, TWO, DAYS * n, 300.0, n, 1)
    logs = np.log(world.value[:, 0])
    closes = logs[::n]
    for k in range(1, n):
        share = k / n
        deviation = logs[k::n] - (closes[:-1] + share * np.diff(closes))
        expected = 0.02 * math.sqrt(share * (1 - share))
        assert deviation.std() == pytest.approx(expected, rel=5 / math.sqrt(2 * DAYS))
        assert abs(deviation.mean()) < 5 * expected / math.sqrt(DAYS)


def test_scale_zero_draws_straight_lines(write):
    config = HistoricalWorld(path=write(GOOD), intraday_scale=0.0)
    logs = np.log(build_world(config, ONE, 30, 60.0, 10, 1).value[:, 0])
    assert np.allclose(np.diff(logs).reshape(3, 10), np.diff(logs[::10])[:, None] / 10, atol=1e-12)


def test_a_volatility_change_moves_nothing_before_it_and_no_close(crisis):
    start = 400 * PER_DAY + 30
    events = [VolatilityChange(start, 20, 4.0)]
    wild = build_world(CRISIS, TWO, DAYS * PER_DAY, 300.0, PER_DAY, 1, events)
    assert np.array_equal(wild.value[:start], crisis.value[:start])
    assert np.array_equal(wild.closes(PER_DAY), crisis.closes(PER_DAY))
    window = slice(start - 1, start + 19)
    quiet, loud = (np.diff(np.log(world.value[:, 0]))[window].std() for world in (crisis, wild))
    assert loud > 2 * quiet
    assert np.array_equal(wild.value[401 * PER_DAY :], crisis.value[401 * PER_DAY :])


def test_closes_do_not_depend_on_the_seed_and_the_path_between_does(crisis):
    other = build_world(CRISIS, TWO, DAYS * PER_DAY, 300.0, PER_DAY, 2)
    assert np.array_equal(other.closes(PER_DAY), crisis.closes(PER_DAY))
    assert not np.array_equal(other.value, crisis.value)


def test_identical_series_can_stand_side_by_side(write):
    path = write(GOOD)
    world = build_world(HistoricalWorld(path=[path, path]), TWO, 30, 60.0, 10, 1)
    assert np.allclose(world.value[:, 1] / world.value[:, 0], 2.0, rtol=1e-3)


def test_a_series_that_never_moves_gives_a_constant(write):
    path = write("date,close\n2020-01-02,5\n2020-01-03,5\n2020-01-06,5\n")
    assert np.all(build_world(HistoricalWorld(path=path), ONE, 20, 60.0, 10, 1).value == 5000.0)
