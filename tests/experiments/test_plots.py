from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.drawing.canvas import envelope
from experiments.drawing.palette import lightness, regime_styles
from experiments.drawing.timeaxis import TimeAxis, shown_rows
from experiments.plots import FigureFile, figures, most_and_least
from tests.experiments.synthetic import REGIMES, comparison, events, steps


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[FigureFile]:
    tables = {regime: steps(regime) for regime in REGIMES}
    happened = {regime: events(regime) for regime in REGIMES}
    return figures(tmp_path_factory.mktemp("figures"), comparison(12), tables, happened)


def test_every_figure_is_there_as_png_and_svg(drawn: list[FigureFile]) -> None:
    assert [f.name for f in drawn] == ["differences", "price-spx", "requirements", "leverage", "calls-and-fund"]
    for figure in drawn:
        with Image.open(figure.png) as image:
            assert image.size[0] == 1260
            assert np.asarray(image.convert("L")).std() > 5.0
        assert figure.svg.read_text().startswith("<?xml")


def test_titles_say_findings_with_numbers_from_the_data(drawn: list[FigureFile]) -> None:
    titles = {f.name: f.title for f in drawn}
    assert re.match(r"Drawdown \d\.\d+.pp deeper under dynamic", titles["differences"])
    assert re.fullmatch(
        r"SPX: the mark falls \d+\.\d % under dynamic, \d+\.\d % under portfolio \(seed 0\)", titles["price-spx"]
    )
    assert "dynamic moves between 4.0 and 9.0 %, static, portfolio and isolated stay at 4.0 %" in titles["requirements"]
    assert "58 under dynamic, 23 under portfolio" in titles["calls-and-fund"]
    assert "none under static and portfolio" in titles["calls-and-fund"]


def test_every_figure_has_words_for_those_who_cannot_see_it(drawn: list[FigureFile]) -> None:
    for figure in drawn:
        assert len(figure.alt) > 80
        assert all(regime in figure.alt for regime in ("dynamic", "portfolio", "isolated"))
        assert "nan" not in (figure.alt + figure.title).lower().replace("financ", "")
    assert "of 9 accounts" in drawn[1].alt


def test_files_are_the_same_bytes_each_time(drawn: list[FigureFile], tmp_path: Path) -> None:
    tables = {regime: steps(regime) for regime in REGIMES}
    again = figures(tmp_path, comparison(12), tables, {regime: events(regime) for regime in REGIMES})
    for first, second in zip(drawn, again, strict=True):
        assert first.png.read_bytes() == second.png.read_bytes()
        assert first.svg.read_bytes() == second.svg.read_bytes()
        assert "<metadata>" not in first.svg.read_text()
        assert not re.search(r"20\d\d-\d\d-\d\d", first.svg.read_text())


def test_one_run_and_quiet_markets_are_drawn(tmp_path: Path) -> None:
    table = steps("static", contracts=("A", "B"), n=60, event=20)
    for column in ("liquidated", "calls", "bad_debt"):
        table[column] = 0
    made = figures(tmp_path, {"regime": "static", "seed": 7}, {"static": table}, {})
    assert [f.name for f in made] == ["price-a", "price-b", "requirements", "leverage", "calls-and-fund"]
    assert made[0].title.endswith("0 lots liquidated (seed 7)")
    assert made[-1].title == "Margin calls: 0; no bad debt (seed 7)"


def test_without_rows_only_differences_are_drawn(tmp_path: Path) -> None:
    assert [f.name for f in figures(tmp_path, comparison(4), {}, None)] == ["differences"]


def test_a_regime_looks_the_same_in_any_company() -> None:
    alone = regime_styles(["dynamic"])["dynamic"]
    assert regime_styles(REGIMES)["dynamic"] == alone
    assert regime_styles(["mine", "dynamic"])["dynamic"] == alone
    many = regime_styles([*REGIMES, *(f"rule{i}" for i in range(9))])
    looks = [(style.color, style.dashes) for style in many.values()]
    assert len(set(looks)) == len(looks)


def test_regimes_are_told_apart_in_grey_and_on_dark_pages() -> None:
    styles = regime_styles(REGIMES)
    for a, b in itertools.combinations(styles.values(), 2):
        assert abs(lightness(a.color) - lightness(b.color)) > 12.0
        assert a.dashes != b.dashes or a.width != b.width
        assert a.marker != b.marker
    assert all(lightness(style.dark) > 55.0 for style in styles.values())
    assert lightness("#ffffff") == pytest.approx(100.0, abs=0.01)
    assert lightness("#000000") == 0.0


def test_thinning_keeps_ends_and_extremes() -> None:
    y = np.sin(np.arange(20_000) / 900.0)
    y[7_777], y[9_999], y[100:200] = 5.0, -5.0, np.nan
    x, thin = envelope(np.arange(20_000), y)
    assert len(thin) <= 902
    assert {0, 7_777, 9_999, 19_999} <= set(x)
    short = np.arange(10.0)
    assert envelope(short, short)[1] is short


def test_forked_results_are_shown_around_the_event() -> None:
    table = steps("static", n=1000, event=800)
    cut = shown_rows(table, {"event_step": 800, "reading": "forked at sale"})
    assert cut["step"].min() == 700
    assert len(shown_rows(table, {"event_step": 800, "reading": "whole-run"})) == len(table)


def test_time_is_in_a_unit_that_fits_or_in_dates() -> None:
    table = steps("static", n=600)
    axis = TimeAxis.of(table, {"event_step": 240, "event_name": "sale"})
    assert axis.label == "time from sale, hours"
    assert axis.position(table)[0] == pytest.approx(-4.0)
    assert TimeAxis.of(steps("static", n=90), {}).label == "time, minutes"
    daily = steps("static", n=6, dt=43_200.0, event=2)
    dates = TimeAxis.of(daily, {"dates": ["2008-09-12", "2008-09-15", "2008-09-16", "2008-09-17"]})
    first = np.datetime64("2008-09-12").astype(float)
    assert dates.position(daily)[:4].tolist() == [first, first + 0.5, first + 3.0, first + 3.5]


def test_most_and_least() -> None:
    def text(value: float) -> str:
        return f"{value:g} lots"

    assert most_and_least({"a": 5.0, "b": 2.0}, text) == "5 lots under a, 2 lots under b"
    assert most_and_least({"a": 5.0, "b": 4.9}, text, close=0.2) == "about 5 lots under every regime"
    assert most_and_least({"a": 5.0}, text) == "5 lots"
    assert most_and_least({"a": 0.0, "b": 0.0}, text) == "0 lots under every regime"
