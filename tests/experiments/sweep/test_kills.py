"""``marginlab sweep`` as a user runs it, killed with its workers ten times, and on a Dask cluster."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.experiments.conftest import SMALL
from tests.experiments.sweep.test_store import files

ROOT = Path(__file__).resolve().parents[3]
STUDY = """
[study]
name = "killed"
scenario = "small.toml"
seeds = 30
regimes = ["static", "fast"]

[[factors]]
key = "margin.params.initial"
values = [0.03, 0.05]
"""

pytestmark = pytest.mark.study


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "small.toml").write_text(SMALL, encoding="utf-8")
    (tmp_path / "killed.toml").write_text(STUDY, encoding="utf-8")
    return tmp_path / "killed.toml"


def begin(study: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "experiments", "sweep", str(study), "--out", str(out), *more]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def swept(study: Path, out: Path, *more: str) -> dict[str, Any]:
    child = begin(study, out, "--json", *more)
    printed, errors = child.communicate(timeout=600)
    assert child.returncode == 0, errors
    result: dict[str, Any] = json.loads(printed)
    return result


def finished(out: Path) -> int:
    """Units that the manifest says are done, read as anybody may while the sweep goes on."""
    path = out / "manifest.sqlite"
    if not path.is_file():
        return 0
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)
        (count,) = connection.execute("SELECT count(*) FROM units WHERE status = 'finished'").fetchone()
    except sqlite3.OperationalError:  # the tables are being made
        return 0
    connection.close()
    return int(count)


def test_ten_kills_and_every_engine_give_the_same(study: Path, tmp_path: Path) -> None:
    whole = swept(study, tmp_path / "whole", "--jobs", "1")
    chance = random.Random(10)
    for kill in range(10):
        child = begin(study, tmp_path / "killed", "--jobs", "2")
        before = finished(tmp_path / "killed")
        goal = before + chance.randint(0, 16)
        until = time.monotonic() + 300
        while finished(tmp_path / "killed") < goal and child.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.2))
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        assert finished(tmp_path / "killed") >= before, f"kill {kill} lost finished runs"
    again = swept(study, tmp_path / "killed", "--jobs", "2")
    assert again["results_hash"] == whole["results_hash"]
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    clustered = swept(study, tmp_path / "dask", "--dask", "local", "--jobs", "2")
    assert clustered["results_hash"] == whole["results_hash"]
    assert files(tmp_path / "dask") == files(tmp_path / "whole")
