"""Every format, as its publisher writes it, by detection from the first lines."""

import bz2
import gzip
import lzma
import zipfile
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from experiments.data import bars, detect, load, taker_signs
from sim.errors import ConfigError

MESSAGES = """34200.017459617,5,0,1,2238200,-1
34200.18960767,1,11885113,21,2238100,1
34200.18960767,4,11885113,5,2238100,1
34200.375671205,4,3911376,20,2239500,-1
34201.5,7,0,0,-1,-1
"""
BOOK = """2239500,100,2231800,100,2239900,100,2230700,200
2239500,100,2238100,21,2239900,100,2231800,100
2239500,100,2238100,16,2239900,100,2231800,100
2239500,80,2238100,16,9999999999,0,-9999999999,0
2239500,80,2238100,16,9999999999,0,-9999999999,0
"""
STEM = "AMZN_2012-06-21_34200000_57600000_{}_2.csv"


@pytest.fixture
def lobster(tmp_path):
    messages = tmp_path / STEM.format("message")
    messages.write_text(MESSAGES)
    (tmp_path / STEM.format("orderbook")).write_text(BOOK)
    return messages


def test_lobster_gives_trades_with_the_takers_sign_and_the_book(lobster):
    series = load(lobster)
    assert detect(lobster) == "lobster" and series.instrument == "AMZN"
    assert series.trades["price"].tolist() == [223.82, 223.81, 223.95]
    assert series.trades["sign"].tolist() == [0, -1, 1]  # hidden; a bid was hit; an ask was lifted
    assert str(series.trades["time"].iloc[0]) == "2012-06-21 09:30:00.017459617"
    assert series.quotes["ask_size"].tolist() == [100, 100, 100, 80, 80]
    assert np.isnan(series.book["bid_2"].iloc[3]) and series.book["bid_2"].iloc[2] == 223.18
    assert len(series.messages) == 5 and series.messages["price"].iloc[4] == -1
    assert any("hidden" in note for note in series.notes) and any("halt" in note for note in series.notes)
    signs, sentence = taker_signs(series)
    assert signs.tolist()[1:] == [-1, 1] and "1 of 3" in sentence


def test_lobster_is_found_from_the_book_too_and_by_content_alone(lobster, tmp_path):
    assert load(tmp_path / STEM.format("orderbook")).rows == load(lobster).rows
    nameless, book = tmp_path / "a.csv", tmp_path / "b.csv"
    nameless.write_text(MESSAGES)
    book.write_text(BOOK)
    assert detect(nameless) == "lobster" and detect(book) == "lobster"
    series = load(nameless, book=book, date="2012-06-21")
    assert series.rows["book"] == 5
    assert any("no file of the book" in note for note in load(nameless).notes)
    with pytest.raises(ConfigError, match="message file"):
        load(book)


@pytest.mark.parametrize(
    ("line", "bad", "says"),
    [
        (3, "34200.2,9,1,1,100,1", "line 3, column type"),
        (2, "34200.2,1,1,1,abc,1", "line 2, column price"),
        (1, "34200.2,1,1,1,100,3", "line 1, column direction"),
        (4, "34200.2,1,1", "line 4 = '34200.2,1,1'; allowed: 6 fields"),
        (2, "99999999,1,1,1,100,1", "line 2, column time"),
    ],
)
def test_lobster_errors_name_file_line_and_column(lobster, line, bad, says):
    rows = MESSAGES.splitlines()
    rows[line - 1] = bad
    lobster.write_text("\n".join(rows))
    with pytest.raises(ConfigError, match=r"message_2\.csv") as error:
        load(lobster)
    assert says in str(error.value)


def test_lobster_files_must_be_of_one_length(lobster, tmp_path):
    (tmp_path / STEM.format("orderbook")).write_text("\n".join(BOOK.splitlines()[:4]))
    with pytest.raises(ConfigError, match="5, as many as in"):
        load(lobster)


BINANCE = {
    "trades": (
        "id,price,qty,quote_qty,time,is_buyer_maker",
        ["28457,4.5,12.0,48.0,{t0},true", "28458,4.6,1.0,4.6,{t1},false"],
    ),
    "aggTrades": (
        "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
        ["1,4.5,12.0,1,1,{t0},true", "2,4.6,1.0,2,4,{t1},false"],
    ),
    "klines": (
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore",
        ["{t0},4.1,4.2,4.0,4.15,539.2,{c0},2240,13,401.8,1669,0", "{t1},4.15,4.3,4.1,4.2,10,{c1},42,2,4,16,0"],
    ),
    "bookTicker": (
        "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time",
        ["1,4.5,3,4.6,7,{t0},{t0}", "2,4.5,2,4.7,5,{t1},{t1}"],
    ),
}


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("unit", [1, 1000])
@pytest.mark.parametrize("kind", BINANCE)
def test_binance_with_and_without_header_in_both_units(tmp_path, kind, header, unit):
    title, rows = BINANCE[kind]
    t0, t1 = 1_735_689_600_000 * unit, 1_735_689_660_000 * unit
    text = "\n".join(rows).format(t0=t0, t1=t1, c0=t1 - 1, c1=t1 + 60_000 * unit - 1)
    path = tmp_path / f"BTCUSDT-{'1m' if kind == 'klines' else kind}-2025-01.csv"
    path.write_text(f"{title}\n{text}\n" if header else f"{text}\n")
    series = load(path)
    assert series.format == f"binance-{kind}" and series.instrument == "BTCUSDT"
    frame = next(f for f in (series.trades, series.bars, series.quotes) if f is not None)
    assert frame["time"].tolist() == [pd.Timestamp("2025-01-01 00:00"), pd.Timestamp("2025-01-01 00:01")]
    if series.trades is not None:
        assert frame["sign"].tolist() == [-1, 1]  # the buyer rested: the taker sold
    if kind == "klines":
        assert series.bar_seconds == 60 and frame["buy_volume"].tolist() == [401.8, 4]


def test_binance_spot_files_have_a_further_flag_and_come_zipped(tmp_path):
    path = tmp_path / "BNBUSDT-aggTrades-2024-12.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.csv", "0,0.2,50,0,0,1608872400000,False,True\n1,0.3,1,1,1,1608872400001,True,True\n")
    assert load(path).trades["sign"].tolist() == [1, -1]
    both = tmp_path / "BNBUSDT-trades-2020.csv"
    both.write_text("5,17.8,5.6,101,1583709433583,True,True\n6,17.8,5.6,101,1583709433583000,1,0\n")
    assert load(both).trades["time"].diff().iloc[1] == pd.Timedelta(0)  # one file, both units


def test_binance_months_are_whole_days(tmp_path):
    path = tmp_path / "BTCUSDT-1mo-2024-01.csv"
    days = [0, 31 * 86_400_000, 60 * 86_400_000]  # January, February
    start = 1_704_067_200_000
    rows = [f"{start + a},1,1,1,{n},5,{start + b - 1},5,1,1,1,0" for n, (a, b) in enumerate(pairwise(days), 1)]
    path.write_text("\n".join(rows) + "\n")
    series = load(path)
    assert series.bar_seconds == 30 * 86_400 and bars(series, series.bar_seconds)["close"].tolist() == [1, 2]


def test_binance_errors_name_the_line(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(
        "id,price,qty,quote_qty,time,is_buyer_maker\n1,4,1,4,1499865549590,true\n\n2,4,1,4,14998655495x,true\n"
    )
    with pytest.raises(ConfigError, match="line 4, column time = '14998655495x'"):
        load(path)
    path.write_text("1,4,1,4,1499865549590,true\n2,-4,1,4,1499865549590,true\n")
    with pytest.raises(ConfigError, match="line 2, column price = '-4'; allowed: a price above 0"):
        load(path)
    path.write_text("1,4,1,4,1499865549590,true\n2,4,1,4,1499865549590,perhaps\n")
    with pytest.raises(ConfigError, match="line 2, column buyer_maker"):
        load(path)


def test_rows_out_of_order_are_put_in_order_and_said(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("1,4,1,4,1499865549592,true\n2,5,1,4,1499865549590,true\n")
    series = load(path)
    assert series.trades["price"].tolist() == [5, 4] and "1 rows" in series.notes[0]


LEAD = "exchange,symbol,timestamp,local_timestamp"


def test_tardis_trades_quotes_and_snapshots(tmp_path):
    trades = tmp_path / "trades.csv.gz"
    rows = "deribit,BTC-PERPETUAL,1585699200245000,1585699200250281,{},{},6425.5,{}\n"
    trades.write_bytes(gzip.compress(
        (f"{LEAD},id,side,price,amount\n" + rows.format("a", "buy", 10) + rows.format("b", "sell", 5)
         + rows.format("c", "unknown", 1)).encode()
    ))  # fmt: skip
    series = load(trades)
    assert series.format == "tardis-trades" and series.instrument == "BTC-PERPETUAL"
    assert series.trades["sign"].tolist() == [1, -1, 0]
    assert series.trades["time"].iloc[0] == pd.Timestamp("2020-04-01 00:00:00.245")

    quotes = tmp_path / "quotes.csv.bz2"
    quotes.write_bytes(bz2.compress(
        f"{LEAD},ask_amount,ask_price,bid_price,bid_amount\nb,X,1585699200245000,1,10,5.2,5.1,7\n"
        "b,X,1585699200245001,1,,,5.1,7\n".encode()
    ))  # fmt: skip
    found = load(quotes).quotes
    assert found["ask"].iloc[0] == 5.2 and np.isnan(found["ask"].iloc[1])

    book = tmp_path / "book.csv.xz"
    names = ",".join(f"asks[{n}].price,asks[{n}].amount,bids[{n}].price,bids[{n}].amount" for n in range(5))
    values = ",".join(f"{10 + n},1,{9 - n},{n + 1}" for n in range(5))
    book.write_bytes(lzma.compress(f"{LEAD},{names}\nb,X,1585699200245000,1585699200245001,{values}\n".encode()))
    series = load(book)
    assert series.format == "tardis-book_snapshot"
    assert series.book.iloc[0].filter(like="bid_size").tolist() == [1, 2, 3, 4, 5]
    assert series.quotes["ask"].iloc[0] == 10 and series.quotes["bid"].iloc[0] == 9


def test_tardis_book_is_rebuilt_from_changes(tmp_path):
    updates = [  # local time, snapshot, side, price, amount
        (1, "false", "bid", 1, 9),  # before the first snapshot: passed over
        (2, "true", "bid", 99, 5), (2, "true", "bid", 98, 4), (2, "true", "ask", 101, 3),
        (3, "false", "ask", 100, 2),
        (4, "false", "ask", 100, 0), (4, "false", "bid", 99, 1),
        (5, "false", "bid", 90, 1),  # below the levels kept: no row
        (6, "true", "bid", 50, 1), (6, "true", "ask", 51, 1),
    ]  # fmt: skip
    path = tmp_path / "l2.csv"
    body = "".join(f"b,X,{1585699200000000 + t},{1585699200000000 + t},{s},{d},{p},{a}\n" for t, s, d, p, a in updates)
    path.write_text(f"{LEAD},is_snapshot,side,price,amount\n{body}")
    series = load(path, levels=2)
    book = series.book
    assert book["ask_1"].tolist() == [101, 100, 101, 51]
    assert book["bid_size_1"].tolist() == [5, 5, 1, 1]
    assert book["bid_2"].iloc[:3].tolist() == [98, 98, 98] and np.isnan(book["bid_2"].iloc[3])
    assert "1 updates before" in series.notes[0]


def test_tardis_errors(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(f"{LEAD},id,side,price,amount\nb,X,1585699200245000,1,a,bought,1,1\n")
    with pytest.raises(ConfigError, match="line 2, column side = 'bought'; allowed: buy or sell or unknown"):
        load(path)
    path.write_text(
        f"{LEAD},id,side,price,amount\nb,X,1585699200245000,1,a,buy,1,1\nb,Y,1585699200245000,1,a,buy,1,1\n"
    )
    with pytest.raises(ConfigError, match="one instrument"):
        load(path)


def test_what_is_no_known_format_is_refused(tmp_path):
    path = tmp_path / "x.csv"
    for text, says in [("", "not empty"), ("1,2\n3,4\n", "known format"), ("hello\n", "known format")]:
        path.write_text(text)
        with pytest.raises(ConfigError, match=says):
            load(path)
    path.write_bytes(b"\xff\xfe\x00\x01binary")
    with pytest.raises(ConfigError, match="text file"):
        load(path)
    with pytest.raises(ConfigError, match="existing"):
        load(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="format"):
        load(path, format="bloomberg")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"date,close\n2020-01-01,1\n" * 500)[:60])
    with pytest.raises(ConfigError, match="damaged"):
        load(tmp_path / "cut.csv.gz")
