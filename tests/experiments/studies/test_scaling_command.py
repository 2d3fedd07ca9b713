from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]


def test_the_command_measures_draws_and_resumes(small: Path, marginlab: Command, tmp_path: Path) -> None:
    arguments = (
        "scaling", str(small), "--seeds", "3", "--factors", "1,2", "--ways", "finer", "--r0", "0.5,2",
        "--out", "kept", "--json",
    )  # fmt: skip
    done = marginlab(*arguments)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [(size["way"], size["factor"]) for size in result["sizes"]] == [("finer", 1), ("finer", 2)]
    assert (tmp_path / "kept" / "figures" / "finite-size.png").stat().st_size > 1000
    assert "| finer x2 |" in (tmp_path / "kept" / "tables" / "probability.md").read_text(encoding="utf-8")
    assert (tmp_path / "kept" / "summary.json").is_file()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--factors", "4,16", "1 among them"),
        ("--ways", "wider", "finer, whole"),
        ("--r0", "1", "two different"),
        ("--most", "0", "above 0"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(
    option: str, value: str, said: str, small: Path, marginlab: Command
) -> None:
    done = marginlab("scaling", str(small), option, value)
    assert done.returncode == 2
    assert option in done.stderr
    assert said in done.stderr
