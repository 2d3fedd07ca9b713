from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.store import OutputFolder
from experiments.validation.run import Validation, validate
from sim.errors import ConfigError, OutputError
from tests.experiments.conftest import ROOT
from tests.experiments.validation import fakes


def start(out: Path, log: Path, *arguments: str, pause: float = 0.0) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), fakes.LOG: str(log), fakes.PAUSE: str(pause)}
    command = [sys.executable, "-m", "tests.experiments.validation.fakes", str(out), *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(log: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not log.is_file() or len(log.read_text().splitlines()) < count:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_every_verdict_is_told_and_a_failed_check_leaves_the_others_alone(tmp_path: Path) -> None:
    asked = Validation((fakes.NUMBERS, fakes.BROKEN, fakes.LAST))
    folder = OutputFolder(tmp_path / "out", asked.job())
    result = validate(asked, folder=folder)
    verdicts = {row["id"]: row["verdict"] for row in result["rows"]}
    assert verdicts == {
        "inside": "pass", "outside": "miss", "astride": "unclear", "slow": "pass", "none": "error", "sum": "pass",
        "unseen": "unclear",
    }  # fmt: skip
    assert result["verdicts"] == {"error": 1, "miss": 1, "unclear": 2, "pass": 3, "reported": 0}
    assert result["errors"] == {"broken": "ZeroDivisionError: nothing to divide by"}
    assert next(row["note"] for row in result["rows"] if row["id"] == "none") == result["errors"]["broken"]
    assert "Traceback" in (tmp_path / "out/checks/broken.error.txt").read_text()
    assert json.loads((tmp_path / "out/manifest.json").read_text())["status"] == "failed"
    assert json.loads(json.dumps(result, allow_nan=False)) == result  # plain data


def test_a_failed_check_is_tried_again_and_the_others_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fakes.LOG, str(tmp_path / "log"))
    asked = Validation((fakes.NUMBERS, fakes.BROKEN))
    validate(asked, folder=OutputFolder(tmp_path / "out", asked.job()))
    monkeypatch.setattr(fakes, "_values", lambda context, name: [1.0])
    mended = Validation((fakes.NUMBERS, fakes.Registered("broken", fakes.last, fakes.BROKEN.bands)))
    result = validate(mended, folder=OutputFolder(tmp_path / "out", mended.job()))
    assert result["errors"] == {}
    assert next(row for row in result["rows"] if row["id"] == "none")["note"] == (
        "the check gave no measurement of this band"
    )
    assert len((tmp_path / "log").read_text().splitlines()) == 6


def test_kill_at_any_moment_loses_at_most_the_runs_in_flight(tmp_path: Path) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    seen = 0
    for more in (2, 3, 4):  # within the first check, at its end, within the second
        process = start(out, log, pause=0.1)
        wait_for(log, seen + more, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        seen = len(log.read_text().splitlines())
    other = start(out, log, "1", "1000")  # other seeds: another validation
    assert "unfinished run with other seeds" in other.communicate()[1]
    last = start(out, log)
    resumed, problem = last.communicate()
    assert last.returncode == 0, problem
    ran = log.read_text().splitlines()
    assert set(ran) == {f"{name} {seed}" for name in ("numbers", "last") for seed in range(6)}
    assert len(ran) <= 12 + 3  # one run in flight at each kill
    fresh, _ = start(tmp_path / "fresh", tmp_path / "log2").communicate()
    assert resumed == fresh
    again = start(out, log)
    assert "finished run" in again.communicate()[1]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    process = start(tmp_path / "out", tmp_path / "log", "2", pause=0.3)
    wait_for(tmp_path / "log", 1, process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) >= 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20
    while any(_alive(child) for child in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [child for child in children if _alive(child)]


def _alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_same_result_for_any_number_of_jobs(tmp_path: Path) -> None:
    first, _ = start(tmp_path / "one", tmp_path / "log1").communicate()
    second, _ = start(tmp_path / "two", tmp_path / "log2", "2").communicate()
    assert first.strip()
    assert first == second
    assert len((tmp_path / "log2").read_text().splitlines()) == 12


def test_quick_leaves_out_bands_without_quick_seeds() -> None:
    result = validate(Validation(fakes.CHECKS, quick=True))
    assert {row["id"]: row["seeds"] for row in result["rows"]} == {
        "inside": 2, "outside": 2, "astride": 2, "sum": 2, "unseen": 0,
    }  # fmt: skip


def test_seeds_shift() -> None:
    results = [validate(Validation((fakes.LAST,), first_seed=first))["rows"][0]["value"] for first in (0, 1, 50_000)]
    assert len(set(results)) == 3


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("sum",), ["sum"]),
        (("others",), ["sum", "unseen"]),
        (("numbers",), ["inside", "outside", "astride", "slow"]),
        (("unseen", "inside"), ["inside", "unseen"]),
    ],
)
def test_bands_are_chosen_by_id_group_or_check(names: tuple[str, ...], found: list[str]) -> None:
    selected = Validation(fakes.CHECKS, bands=names).selected()
    assert [band.id for bands in selected.values() for band in bands] == found


def test_only_the_units_of_wanted_bands_are_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fakes.LOG, str(tmp_path / "log"))
    validate(Validation(fakes.CHECKS, bands=("sum",)))
    assert {line.split()[0] for line in (tmp_path / "log").read_text().splitlines()} == {"last"}


def test_what_cannot_be_validated_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--bands = 'sun'; allowed: .*did you mean .sum"):
        Validation(fakes.CHECKS, bands=("sun",)).validate()
    with pytest.raises(ConfigError, match="--bands = 'slow'; allowed: bands that this run can measure"):
        Validation(fakes.CHECKS, bands=("slow",), quick=True).validate()
    own = fakes.Registered("numbers", fakes.numbers, (fakes.band("inside", 0.0, 1.0, market="shock"),))
    with pytest.raises(ConfigError, match="seed_open_interest"):
        Validation((own,), shock="calm").validate()
    with pytest.raises(ConfigError, match="no-such-scenario"):
        Validation((own,), shock="no-such-scenario").validate()


def test_a_user_with_one_scenario_is_given_its_bands() -> None:
    calm = fakes.band("of-calm", 0.0, 1.0, market="calm")
    shock = fakes.band("of-shock", 0.0, 1.0, market="shock")
    neither = fakes.band("of-neither", 0.0, 1.0, market="")
    checks = (fakes.Registered("numbers", fakes.numbers, (calm, shock, neither)),)

    def bands(**markets: str) -> list[str]:
        return [band.id for found in Validation(checks, **markets).selected().values() for band in found]

    assert bands() == ["of-calm", "of-shock", "of-neither"]
    assert bands(calm="x.toml") == ["of-calm"]
    assert bands(shock="x.toml") == ["of-shock"]
    assert bands(calm="x.toml", shock="y.toml") == ["of-calm", "of-shock"]


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError):
        OutputFolder(tmp_path, Validation(fakes.CHECKS).job())
