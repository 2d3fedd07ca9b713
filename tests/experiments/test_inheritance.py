"""``extends``: a scenario that states its changes to another."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments import scenario
from sim.errors import ConfigError


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_that_changes_nothing_is_its_base(tmp_path: Path) -> None:
    child = scenario.load(write(tmp_path, "child", 'extends = "shock"\n'))
    assert child.as_run() == scenario.load("shock").as_run()
    assert child.name == "child"


def test_tables_merge_by_key_and_entries_by_name(tmp_path: Path) -> None:
    child = scenario.load(
        write(
            tmp_path,
            "child",
            """
            extends = "shock"
            [market]
            steps = 8000
            [margin.params]
            initial = 0.05
            [[populations]]
            name = "leveraged"
            count = 7
            [[populations]]
            name = "makers"
            drop = true
            [[populations]]
            kind = "hedgers"
            name = "more-hedgers"
            [[events]]
            name = "sale"
            lots = 300
            """,
        )
    ).as_run()
    base = scenario.load("shock").as_run()
    assert child["market"] == base["market"] | {"steps": 8000}
    assert child["margin"]["params"] == base["margin"]["params"] | {"initial": 0.05}
    assert [p["name"] for p in child["populations"]] == [
        *(p["name"] for p in base["populations"] if p["name"] != "makers"), "more-hedgers",
    ]  # fmt: skip
    before = {p["name"]: p for p in base["populations"]}["leveraged"]
    assert {p["name"]: p for p in child["populations"]}["leveraged"] == before | {"count": 7}
    assert [event["lots"] for event in child["events"] if event["name"] == "sale"] == [300]


def test_another_kind_and_another_regime_start_anew(tmp_path: Path) -> None:
    child = scenario.load(
        write(
            tmp_path,
            "child",
            """
            extends = "shock"
            [world]
            kind = "constant"
            [margin]
            regime = "isolated"
            [margin.params]
            initial = 0.1
            maintenance = 0.05
            [[populations]]
            name = "hedgers"
            kind = "fundamentalists"
            """,
        )
    ).as_run()
    assert child["world"]["kind"] == "constant" and "volatility" not in child["world"]
    assert child["margin"]["params"] == {"initial": 0.1, "maintenance": 0.05}
    assert child["margin"]["regimes"] == scenario.load("shock").as_run()["margin"]["regimes"]
    assert {p["name"]: p["kind"] for p in child["populations"]}["hedgers"] == "fundamentalists"


def test_a_chain_of_files_and_set_on_top(tmp_path: Path) -> None:
    write(tmp_path, "middle", 'extends = "calm"\n[market]\nsteps = 100\nburn_in = 10\n')
    leaf = write(tmp_path, "leaf", 'extends = "middle.toml"\n[market]\nsteps = 200\n')
    found = scenario.load(leaf, ["market.burn_in=20"])
    assert (found.steps, found.market.burn_in) == (200, 20)


def test_relative_paths_of_a_base_stay_its_own(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    rows = "\n".join(f"2020-01-{day:02d},{100 + day}" for day in range(1, 20))
    (data / "prices.csv").write_text(f"date,close\n{rows}\n", encoding="utf-8")
    (data / "base.toml").write_text(
        (scenario.FOLDER / "calm.toml")
        .read_text(encoding="utf-8")
        .replace('kind = "gbm"', 'kind = "historical"\npath = "prices.csv"')
        .replace("volatility = 0.03 ", "# ")
        .replace("steps = 8640", "", 1),
        encoding="utf-8",
    )
    child = write(tmp_path, "child", 'extends = "data/base.toml"\n')
    dates = scenario.load(child).dates
    assert dates is not None and dates[0] == "2020-01-02"  # the first date is the start


@pytest.mark.parametrize("given", ['"nothing"', "3", '""', '"self.toml"'])
def test_what_cannot_be_extended_is_named(tmp_path: Path, given: str) -> None:
    path = write(tmp_path, "self", f"extends = {given}\n")
    with pytest.raises(ConfigError, match="extends"):
        scenario.load(path)


def test_a_circle_of_two_is_named(tmp_path: Path) -> None:
    write(tmp_path, "one", 'extends = "two.toml"\n')
    with pytest.raises(ConfigError, match="does not extend this one"):
        scenario.load(write(tmp_path, "two", 'extends = "one.toml"\n'))
