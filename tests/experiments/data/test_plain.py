"""Plain tables: names of columns, forms of dates, missing values, Parquet."""

import numpy as np
import pandas as pd
import pytest

from experiments.data import bars, load
from sim.errors import ConfigError


def written(tmp_path, text, name="x.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_usual_bars(tmp_path):
    series = load(
        written(
            tmp_path,
            "Date,Open,High,Low,Close,Adj Close,Volume\n2020-01-02,1,3,1,2,1.9,100\n2020-01-03,2,2,2,2,1.9,0\n",
        )
    )
    assert series.format == "plain-bars" and series.bar_seconds == 86_400
    assert series.bars["close"].tolist() == [2, 2] and series.bars["volume"].tolist() == [100, 0]
    assert load(tmp_path / "x.csv", column="adj close").bars["close"].tolist() == [1.9, 1.9]
    with pytest.raises(ConfigError, match="one of Date, Open"):
        load(tmp_path / "x.csv", column="mid")


def test_a_lone_price_column_of_any_name_and_its_holidays(tmp_path):
    series = load(written(tmp_path, "observation_date,SP500\n2020-01-01,.\n2020-01-02,3257.85\n2020-01-03,3234.85\n"))
    assert series.bars["close"].tolist() == [3257.85, 3234.85] and "1 rows without a price" in series.notes[0]
    with pytest.raises(ConfigError, match="--column"):
        load(written(tmp_path, "date,a,b\n2020-01-01,1,2\n"))


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        (("2020-01-02 09:30", "2020-01-02 09:31"), "2020-01-02 09:30"),
        (("2020-01-02T09:30:00Z", "2020-01-02T09:31:00Z"), "2020-01-02 09:30"),
        (("2020-01-02T09:30:00-05:00", "2020-01-02T09:31:00-05:00"), "2020-01-02 14:30"),
        (("20200102", "20200103"), "2020-01-02"),
        (("1577957400", "1577957460"), "2020-01-02 09:30"),
        (("1577957400.5", "1577957460.5"), "2020-01-02 09:30:00.5"),
        (("1577957400000", "1577957460000"), "2020-01-02 09:30"),
        (("1577957400000000000", "1577957460000000000"), "2020-01-02 09:30"),
        (("13/01/2020", "14/01/2020"), "2020-01-13"),
        (("1/13/2020 9:30", "1/14/2020 9:30"), "2020-01-13 09:30"),
        (("02-Jan-2020", "03-Jan-2020"), "2020-01-02"),
    ],
)
def test_forms_of_dates(tmp_path, texts, first):
    series = load(written(tmp_path, "time;price\n" + "".join(f"{t};{p}\n" for t, p in zip(texts, (1, 2), strict=True))))
    assert series.bars["time"].iloc[0] == pd.Timestamp(first)


def test_ambiguous_and_wrong_dates(tmp_path):
    path = written(tmp_path, "date,close\n03/04/2020,1\n04/04/2020,2\n")
    with pytest.raises(ConfigError, match="--date-format"):
        load(path)
    assert load(path, date_format="%d/%m/%Y").bars["time"].iloc[0] == pd.Timestamp("2020-04-03")
    with pytest.raises(ConfigError, match=r"x.csv: line 3, column date = '2020-13-01'"):
        load(written(tmp_path, "date,close\n2020-01-01,1\n2020-13-01,2\n"))
    with pytest.raises(ConfigError, match="each time once"):
        load(written(tmp_path, "date,close\n2020-01-01,1\n2020-01-01,2\n"))


def test_date_and_time_in_two_columns_and_decimal_commas(tmp_path):
    series = load(written(tmp_path, "Date;Time;Close;Volume\n2020-01-02;09:30:00;3,5;10\n2020-01-02;09:31:00;4,5;20\n"))
    assert series.bars["close"].tolist() == [3.5, 4.5] and series.bar_seconds == 60


def test_wrong_prices_name_the_line(tmp_path):
    with pytest.raises(ConfigError, match=r"line 3, column close = '-2'; allowed: a price above 0"):
        load(written(tmp_path, "date,close\n2020-01-01,1\n2020-01-02,-2\n"))
    with pytest.raises(ConfigError, match=r"line 2, column close = 'abc'"):
        load(written(tmp_path, "date,close\n2020-01-01,abc\n"))
    with pytest.raises(ConfigError, match=r"line 3"):
        load(written(tmp_path, "date,close\n2020-01-01,1\n2020-01-02,1,7\n"))


def test_plain_trades_and_quotes(tmp_path):
    trades = load(written(tmp_path, "time,price,qty,side\n2020-01-01T00:00:01,5,2,BUY\n2020-01-01T00:00:02,6,1,sell\n"))
    assert trades.trades["sign"].tolist() == [1, -1] and trades.trades["size"].tolist() == [2, 1]
    quotes = load(written(tmp_path, "timestamp,bid,ask\n1577957400,5,6\n1577957401,5,7\n"))
    assert quotes.quotes["ask"].tolist() == [6, 7]
    assert bars(quotes, 1)["close"].tolist() == [5.5, 6.0]


@pytest.mark.parametrize("indexed", [True, False])
def test_parquet(tmp_path, indexed):
    times = pd.date_range("2021-03-01", periods=4, freq="min", tz="UTC")
    frame = pd.DataFrame({"date": times, "close": [1.0, 2, np.nan, 4], "volume": [1, 2, 3, 4]})
    path = tmp_path / "x.parquet"
    (frame.set_index("date") if indexed else frame).to_parquet(path)
    series = load(path)
    assert series.bars["close"].tolist() == [1, 2, 4] and series.bar_seconds == 60
    frame.assign(close=[1.0, -1, 1, 1]).to_parquet(path)
    with pytest.raises(ConfigError, match="row 2, column close"):
        load(path)


def test_irregular_prices_are_observations_and_months_stay_months(tmp_path):
    ticks = load(written(tmp_path, "time,price\n" + "".join(f"{1577957400 + t},{5 + t}\n" for t in (0, 1, 7, 61, 130))))
    assert ticks.bar_seconds is None and "irregularly" in ticks.notes[0]
    assert bars(ticks, 60)["close"].tolist() == [12, 66, 135]
    months = load(written(tmp_path, "date,close\n" + "".join(f"2020-{m:02d}-01,{m}\n" for m in range(1, 13))))
    assert months.bar_seconds == 31 * 86_400
    assert bars(months, months.bar_seconds)["close"].tolist() == list(range(1, 13))


def test_bars_named_by_their_end_stay_as_they_are(tmp_path):
    late = load(written(tmp_path, "time,close\n" + "".join(f"2020-01-02 09:{m:02d}:59,{m + 1}\n" for m in (0, 1, 3))))
    assert bars(late, 60)["close"].tolist() == [1, 2, 2, 4]
