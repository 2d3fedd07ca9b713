from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments import reporting
from experiments.drawing import canvas
from sim.errors import OutputError

ROW = {
    "sale": 60, "gain": 0.5, "loop_gain": 0.5, "predicted": 2.0, "measured": 2.0, "relative_error": 0.0,
    "integer_bound": 0.01, "runaway": False, "exhausted": False, "branching_ratio": 0.5, "fall": 120,
    "liquidated": 7200, "rounds": 9, "cluster": 1000,
}  # fmt: skip
FLAT = {"command": "flat-book", "mark": "last", "policy": "full", "depth": 240, "accounts": 1000, "rows": [ROW]}


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_report_is_made_again_with_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas, "printed", True)
    kept = tmp_path / "flat-book.json"
    kept.write_text(json.dumps(FLAT))
    assert reporting.write(tmp_path) == tmp_path
    first = _files(tmp_path)
    assert {"paper.tex", "tables/flat-book.tex", "figures/column/flat-book.pdf", "figures/flat-book.png"} <= set(first)
    for line in first["paper.tex"].decode().splitlines():
        if line.startswith("\\input"):
            assert line.split("\\marginlabdir/")[1].rstrip("}") in first
    for name in first:
        if name != kept.name:
            (tmp_path / name).unlink()
    reporting.write(tmp_path)
    assert _files(tmp_path) == first


def test_every_command_has_makers_that_exist() -> None:
    for drawing, tabulating in reporting.REPORTS.values():
        for name in filter(None, (drawing, tabulating)):
            assert callable(reporting._function(name))


@pytest.mark.parametrize(
    ("manifest", "result", "command"),
    [
        ({"command": "run"}, {"regime": "static"}, "run"),
        ({"command": "compare"}, {"regimes": []}, "compare"),
        ({"command": "venues"}, {"study": "policies", "regimes": []}, "venues"),
        ({"command": "policies"}, {"study": "policies", "regimes": []}, "venues"),
        ({"command": "sweep", "study": {"command": "sensitivity"}}, {}, "sensitivity"),
        ({"command": "sweep", "study": {"scenario": "calm"}}, {}, "sweep"),
        (None, {"sheet": {}}, "stylized-facts"),
        (None, {"frontier": {}, "prices": {}}, "backtest"),
        (None, {"regimes": []}, "compare"),
        (None, {"command": "calibrate --recover"}, "calibrate --recover"),
        ({"command": "sowing"}, {"command": "x"}, "sowing"),
    ],
)
def test_which_command_made_a_folder(
    tmp_path: Path, manifest: dict[str, object] | None, result: dict[str, object], command: str
) -> None:
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert reporting.command_of(tmp_path, result) == command


def test_a_folder_without_a_result_or_of_another_command_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"has no summary\.json"):
        reporting.write(tmp_path)
    (tmp_path / "summary.json").write_text('{"command": "sowing"}')
    with pytest.raises(OutputError, match="'sowing'; allowed: run, compare"):
        reporting.write(tmp_path)
