from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from experiments.drawing.validation import accepted, position, summary_figure
from experiments.validation import page
from experiments.validation.run import Validation, validate
from experiments.validation.table import crosses, figures, lines, listing, measured
from sim.errors import ConfigError
from tests.experiments.validation import fakes

FAILING = (fakes.NUMBERS, fakes.BROKEN, fakes.LAST)


@pytest.fixture(scope="module")
def results() -> dict[str, dict[str, Any]]:
    return {name: validate(Validation(FAILING, first_seed=seed)) for name, seed in (("tuning", 0), ("fresh", 50_000))}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"), (1.0, "1.00"), (-0.0323, "-0.0323"), (12.34, "12.3"), (99.96, "100"), (999.4, "999"),
        (1234.5, "1,234"), (9.999, "10.0"), (1e-7, "1e-07"), (math.nan, "-"), (math.inf, "inf"), (None, "-"),
    ],
)  # fmt: skip
def test_three_figures(value: float | None, shown: str) -> None:
    assert figures(value) == shown


def test_what_was_measured_in_words() -> None:
    row = {"value": 18.81, "low": 16.8, "high": 20.44, "unit": "bp"}
    assert measured(row) == "18.8 bp [16.8, 20.4]"
    assert measured({**row, "low": None}) == "18.8 bp"
    assert measured({**row, "value": None}) == "not measured"


def test_the_terminal_says_misses_first_and_last(results: dict[str, dict[str, Any]]) -> None:
    text = lines(results["tuning"])
    assert max(len(line) for line in text) <= 120
    rows = [line.split()[1] for line in text if line.startswith(("  MISS", "  ERROR", "  unclear", "  pass"))]
    assert rows == ["none", "outside", "astride", "inside", "slow", "unseen", "sum"]  # by group, the worst on top
    ending = "\n".join(text[-6:])
    assert "MISS   outside" in ending
    assert "ERROR  none: ZeroDivisionError" in ending
    assert "7 bands: 3 pass, 1 miss, 2 unclear, 1 error" in ending


def test_the_listing_names_every_band_with_its_seeds() -> None:
    bands = [band for check in fakes.CHECKS for band in check.bands]
    text = "\n".join(listing(bands, quick=False))
    for band in bands:
        assert re.search(rf"^  {band.id} .*6 seeds", text, re.M)


def test_the_page_shows_misses_of_either_run_before_all_else(results: dict[str, dict[str, Any]]) -> None:
    text = page.page(results, "bands.png")
    missed, _, rest = text.partition("## What is missed")[2].partition("## What is unclear")
    assert re.search(r"- `outside`: .*tuning seeds: .* bp .*fresh seeds: .*bp", missed)
    assert "`none`" in missed
    assert "ZeroDivisionError" in missed
    assert "`inside`" not in missed
    unclear = rest.partition("## All bands")[0]
    assert "`astride`" in unclear
    assert "`unseen`" in unclear
    table = rest.partition("## Fakes")[2].partition("## Others")[0]
    order = re.findall(r"^\| `(\w+)`", table, re.M)
    assert order == ["none", "outside", "astride", "inside", "slow"]
    row = next(line for line in table.splitlines() if line.startswith("| `outside`"))
    assert row.count("**MISS**") == 2
    assert "Negative control: " in rest


def test_a_row_is_as_bad_as_its_worse_run(results: dict[str, dict[str, Any]]) -> None:
    changed = json.loads(json.dumps(results))
    row = next(row for row in changed["fresh"]["rows"] if row["id"] == "inside")
    row["verdict"] = "miss"
    text = page.page(changed)
    missed = text.partition("## What is missed")[2].partition("## What is unclear")[0]
    line = next(line for line in missed.splitlines() if line.startswith("- `inside`"))
    assert "It passes on tuning seeds." in line


def test_bands_of_one_run_only_have_an_empty_cell(results: dict[str, dict[str, Any]]) -> None:
    changed = json.loads(json.dumps(results))
    changed["fresh"]["rows"] = [row for row in changed["fresh"]["rows"] if row["id"] != "inside"]
    row = next(line for line in page.page(changed).splitlines() if line.startswith("| `inside`"))
    assert row.endswith("| pass |  |  |  |")


def test_a_pass_with_an_interval_across_an_edge_is_marked() -> None:
    row = {"verdict": "pass", "low": 0.5, "high": 1.5, "band_low": 0.0, "band_high": 1.0}
    assert crosses(row)
    assert not crosses({**row, "high": 1.0})
    assert not crosses({**row, "band_high": None})
    assert not crosses({**row, "verdict": "unclear"})
    assert not crosses({**row, "low": None})


@pytest.mark.parametrize(
    ("value", "low", "high", "at"),
    [
        (0.45, 0.45, 0.7, 0.0), (0.7, 0.45, 0.7, 1.0), (1.3, 1.3, None, 0.0), (2.6, 1.3, None, 1.0),
        (20.0, None, 20.0, 1.0), (0.0, None, 20.0, 0.0), (0.0, 0.0, 0.0, 0.5), (-3.0, None, -1.0, -1.0),
    ],
)  # fmt: skip
def test_the_common_axis(value: float, low: float | None, high: float | None, at: float) -> None:
    assert position(value, low, high) == pytest.approx(at)
    left, right = accepted(low, high)
    inside = (low is None or low <= value) and (high is None or value <= high)
    assert (left <= position(value, low, high) <= right) == inside


def test_the_figure_names_what_is_missed(results: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    drawn = summary_figure(results, tmp_path)
    assert drawn.title == "3 of 7 bands are met on tuning seeds; 3 of 7 bands are met on fresh seeds"
    assert "Missed: outside, none." in drawn.alt
    assert drawn.png.stat().st_size > 10_000
    first = drawn.svg.read_bytes()
    assert summary_figure(results, tmp_path).svg.read_bytes() == first


def test_results_are_stored_and_the_page_written_again_from_them(
    results: dict[str, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    docs, given = tmp_path / "docs", {}
    docs.mkdir()
    for name, result in results.items():
        given[name] = tmp_path / f"{name}-summary.json"
        given[name].write_text(json.dumps(result))
    assert page.main(["--docs", str(docs), "--tuning", str(given["tuning"]), "--fresh", str(given["fresh"])]) == 0
    text = (docs / "validation.md").read_text()
    assert (docs / "validation/bands.png").is_file()
    assert "marginlab validate --seeds-from 50000 --out DIR" in text
    assert page.main(["--docs", str(docs)]) == 0
    assert (docs / "validation.md").read_text() == text
    assert "seconds" not in json.loads((docs / "validation/tuning.json").read_text())
    capsys.readouterr()


def test_pages_of_nothing_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert page.main(["--docs", str(tmp_path)]) == 2
    assert "summary.json" in capsys.readouterr().err
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"summary\.json of a validation"):
        page.publish(tmp_path, {"fresh": tmp_path / "x.json"})


def test_the_page_of_the_documentation_is_that_of_the_stored_results(project_root: Path) -> None:
    home = project_root / "docs/validation"
    stored = {name: json.loads(path.read_text()) for name in page.NAMES if (path := home / f"{name}.json").is_file()}
    if not stored:
        pytest.skip("no results are stored")
    assert (project_root / "docs/validation.md").read_text() == page.page(stored, "validation/bands.png")
