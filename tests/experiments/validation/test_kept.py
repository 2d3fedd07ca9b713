from __future__ import annotations

from pathlib import Path

from experiments import jobs
from experiments.engines import InProcess
from experiments.jobs import Unit, UnitResult
from experiments.validation.kept import KeptFolder

JOB = {"scenario": {"a": 1}, "seeds": [0, 1], "options": {}, "code": "x"}
ran: list[int] = []


def unit(task: int) -> UnitResult:
    ran.append(task)
    return UnitResult([{"seed": task}])


def study(path: Path, job: dict[str, object], finish: bool = True) -> list[int]:
    """Seeds of the units that had to be run."""
    ran.clear()
    folder = KeptFolder(path, job)
    units = [Unit(f"seed-{seed}", seed) for seed in (0, 1)]
    assert jobs.perform(units, unit, InProcess(), folder) == [{"seed": 0}, {"seed": 1}]
    if finish:
        jobs.finish(folder, units, {}, "hash")
    return list(ran)


def test_a_finished_study_is_read_again(tmp_path: Path) -> None:
    assert study(tmp_path / "part", JOB) == [0, 1]
    assert study(tmp_path / "part", JOB) == []


def test_an_unfinished_study_goes_on(tmp_path: Path) -> None:
    assert study(tmp_path / "part", JOB, finish=False) == [0, 1]
    (tmp_path / "part/runs/seed-1.json").unlink()
    assert study(tmp_path / "part", JOB) == [1]


def test_another_study_of_the_same_name_is_dropped(tmp_path: Path) -> None:
    study(tmp_path / "part", JOB)
    assert study(tmp_path / "part", JOB | {"seeds": [5, 6]}) == [0, 1]
    study(tmp_path / "part", JOB, finish=False)
    assert study(tmp_path / "part", JOB | {"code": "y"}) == [0, 1]


def test_a_folder_without_a_manifest_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part/left.partial").write_text("half")
    assert study(tmp_path / "part", JOB) == [0, 1]
    assert not (tmp_path / "part/left.partial").exists()
