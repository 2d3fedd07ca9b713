from __future__ import annotations

import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from experiments.report import command_line, incidence_tables, seed_ranges, write_report, write_run_report
from experiments.vocabulary import Money
from tests.experiments.synthetic import REGIMES, comparison, events, steps, values

VOID = {"meta", "link", "br", "img", "hr", "input", "path", "use", "rect", "line", "circle"}


class Page(HTMLParser):
    """Collects what a page is made of, and whether its elements are closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open, f"</{tag}> closes nothing"
            assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "title", "desc"):
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("report")
    manifest = {
        "environment": {"python": "3.11.9", "platform": "Linux", "versions": {"numpy": "2.4.6"}, "commit": "c0ffee"}
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    tables = {regime: steps(regime) for regime in REGIMES}
    path = write_report(folder, comparison(30), tables, {regime: events(regime) for regime in REGIMES})
    assert path == folder / "report.html"
    assert (folder / "figures" / "price-spx.png").is_file()
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def test_the_page_is_whole(page: Page, source: str) -> None:
    assert source.startswith("<!DOCTYPE html>")
    assert page.open == []
    assert page.all("html")[0]["lang"] == "en"
    identifiers = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(identifiers) == len(set(identifiers))
    assert "None" not in page.words
    assert "nan" not in page.words.split()


def test_the_page_loads_nothing(page: Page, source: str) -> None:
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", source)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object", "embed"})
    for _, attrs in page.tags:
        for key in ("href", "src", "xlink:href"):
            assert (attrs.get(key) or "#").startswith("#")
    policy = next(m for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert (policy["content"] or "").startswith("default-src 'none'")


def test_links_and_references_inside_the_page_lead_somewhere(page: Page, source: str) -> None:
    identifiers = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    targets = {attrs["href"][1:] for _, attrs in page.tags if attrs.get("href")}  # type: ignore[index]
    targets |= set(re.findall(r"url\(#([^)]+)\)", source))
    for key in ("aria-labelledby", "aria-describedby"):
        targets |= {attrs[key] or "" for _, attrs in page.tags if key in attrs}
    assert targets <= identifiers


def test_figures_have_alternative_texts_and_follow_the_page(page: Page, source: str) -> None:
    drawings = page.all("svg")
    assert len(drawings) == 5
    for attrs in drawings:
        assert attrs["role"] == "img"
        assert attrs["aria-describedby"]
    descriptions = re.findall(r"<desc[^>]*>(.*?)</desc>", source, re.DOTALL)
    assert len(descriptions) == 5
    assert all(len(text) > 80 for text in descriptions)
    body = source[source.index("<svg") :]
    assert "var(--regime-1)" in body
    assert "#bb5566" not in body
    assert "prefers-color-scheme: dark" in source


def test_tables_have_captions_and_header_cells(page: Page, source: str) -> None:
    tables = len(page.all("table"))
    assert tables == len(page.all("caption"))
    assert all(attrs.get("scope") for attrs in page.all("th"))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_the_page_says_what_differs_and_what_does_not(page: Page) -> None:
    words = page.words
    assert "Different from static: dynamic on" in words
    assert re.search(r"dynamic differs from static: drawdown 1\.\d\d pp deeper \[1\.\d\d, 1\.\d\d\]", words)
    assert "no difference detectable between portfolio and static: interval" in words
    assert "bad debt" in words
    assert "Placebo (static against itself): exactly zero on all 10 measures, on every seed" in words
    assert "Forked at sale: every arm has the same history" in words
    assert "R0 at the event 1.1" in words
    assert "leveraged" in words
    assert "0.873 on average (0.810 to 0.940 over seeds)" in words


def test_the_page_says_how_to_make_it_again(page: Page) -> None:
    words = page.words
    assert "marginlab compare shock --margin static,dynamic,portfolio,isolated --fork-at sale --seeds 30" in words
    assert "0-29 (30 seeds)" in words
    assert "3f9a" * 16 in words
    assert "c0ffee" in words
    assert "python 3.11.9" in words


def test_every_measure_is_defined(page: Page) -> None:
    for name in values(2)["static"]:
        assert f" {name} " in page.words


def test_a_failed_placebo_is_loud(tmp_path: Path) -> None:
    result = comparison(4)
    result["placebo"]["drawdown"] = 0.25
    source = write_report(tmp_path, result, {}, None).read_text(encoding="utf-8")
    assert 'class="box bad"' in source
    assert "FAILED: drawdown up to 0.25" in Page(source).words
    assert "Only 4 seeds were run" in Page(source).words


def test_one_regime_one_seed_and_no_extras_make_a_page(tmp_path: Path) -> None:
    result = comparison(1, regimes=("static",))
    for key in ("incidence", "scales", "money", "command", "versions", "results_hash", "event_step", "parameters"):
        del result[key]
    page = Page(write_report(tmp_path, result, {}, None).read_text(encoding="utf-8"))
    assert page.open == []
    assert "Only static was run" in page.words


def test_names_from_outside_are_escaped(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    result = comparison(3, regimes=("static", hostile), scenario=hostile)
    tables = {regime: steps("static", contracts=("A&B",), n=30, event=9) for regime in ("static", hostile)}
    source = write_report(tmp_path, result, tables, None).read_text(encoding="utf-8")
    assert "<script" not in source
    assert Page(source).open == []


def test_a_run_has_a_page_too(tmp_path: Path) -> None:
    result = {
        "scenario": "shock", "regime": "static", "seed": 7, "results_hash": "ab" * 32,
        "measures": {name: float(sample[0]) for name, sample in values(3)["static"].items()},
        "incidence": {"leveraged": {"pnl": -1e8, "liquidated": 400.0, "share": 0.1}},
    }  # fmt: skip
    source = write_run_report(tmp_path, result, steps("static"), events("static")).read_text(encoding="utf-8")
    page = Page(source)
    assert page.open == []
    assert len(page.all("svg")) == 4
    assert "shock under static, seed 7" in page.words
    assert "marginlab run shock --seed 7" in page.words
    assert "without an interval" in page.words


def test_commands_and_seeds() -> None:
    result = {"scenario": "shock", "baseline": "static", "regimes": ["static", "dynamic"], "reading": "whole-run"}
    assert command_line({**result, "seeds": [5, 6, 7]}) == "marginlab compare shock --margin static,dynamic --seeds 5:8"
    assert seed_ranges([3]) == "3 (1 seed)"


def test_incidence_takes_numbers_and_estimates() -> None:
    tables = incidence_tables({"a": {"makers": {"pnl": 5.0}}, "b": {"makers": {"pnl": None}}}, ["a", "b"], Money())
    assert tables[0].title == "Profit and loss, minor units"
    assert tables[0].rows[0].cells[1] is None
