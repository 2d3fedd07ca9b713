from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.store import FINISHED, INTERRUPTED, OutputFolder, combined_hash, plain, table_hash
from sim.errors import OutputError

JOB = {"command": "run", "scenario": {"a": 1}, "seeds": (0, 1), "regimes": {"static": {}}, "reading": "whole-run"}


def test_nothing_is_written_before_the_job_begins(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path / "new", JOB)
    assert not folder.path.exists()
    folder.begin()
    assert json.loads((folder.path / "manifest.json").read_text(encoding="utf-8"))["status"] == "running"


def test_an_unfinished_job_is_resumed_and_half_files_go(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path, JOB)
    folder.begin()
    (tmp_path / "steps.parquet.partial").write_bytes(b"half")
    folder.write_manifest(INTERRUPTED)
    again = OutputFolder(tmp_path, JOB)
    assert again.resumed
    again.begin()
    assert not (tmp_path / "steps.parquet.partial").exists()


@pytest.mark.parametrize("changed", [{"seeds": (0, 1, 2)}, {"scenario": {"a": 2}}, {"regimes": {"dynamic": {}}}])
def test_another_job_is_refused(tmp_path: Path, changed: dict[str, object]) -> None:
    OutputFolder(tmp_path, JOB).begin()
    with pytest.raises(OutputError, match=next(iter(changed))):
        OutputFolder(tmp_path, JOB | changed)


def test_a_finished_job_and_strange_folders_are_refused(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path / "a", JOB)
    folder.begin()
    folder.write_manifest(FINISHED)
    with pytest.raises(OutputError, match="finished"):
        OutputFolder(tmp_path / "a", JOB)
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match="not a folder"):
        OutputFolder(tmp_path / "file", JOB)
    with pytest.raises(OutputError, match="not empty"):
        OutputFolder(tmp_path, JOB)


def test_a_file_that_fails_half_way_leaves_the_old_one(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path, JOB)
    folder.begin()
    folder.write_json("summary.json", {"x": 1})
    with pytest.raises(TypeError), folder.replacing("summary.json") as path:
        path.write_text(None)  # type: ignore[arg-type]
    assert folder.read_json("summary.json") == {"x": 1}


def test_plain_values() -> None:
    given = {"a": np.float64(1.5), "b": np.arange(2), "c": float("nan"), "d": (np.int64(3), None), 4: True}
    assert plain(given) == {"a": 1.5, "b": [0, 1], "c": None, "d": [3, None], "4": True}


def test_the_hash_of_tables_sees_content_and_nothing_else() -> None:
    table = pd.DataFrame({"a": [1, 2], "b": [0.5, np.nan], "c": ["x", "yz"]})
    reference = table_hash({"t": table})
    assert table_hash({"t": table[["c", "a", "b"]].astype({"a": "int32"})}) == reference
    assert table_hash({"t": table.assign(c=["xy", "z"])}) != reference
    assert table_hash({"t": table.assign(b=[np.nextafter(0.5, 1), np.nan])}) != reference
    assert table_hash({"u": table}) != reference


def test_combined_hashes_do_not_depend_on_order() -> None:
    assert combined_hash([("a", "1"), ("b", "2")]) == combined_hash([("b", "2"), ("a", "1")])
    assert combined_hash([("a", "2"), ("b", "1")]) != combined_hash([("a", "1"), ("b", "2")])
