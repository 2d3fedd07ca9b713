"""The project as a whole: what it ships, what it imports, what it must not contain."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

PACKAGES = ("sim", "agents", "margin", "experiments")
HEAVY = ("arch", "matplotlib", "mesa", "numba", "pandas", "pyarrow", "scipy", "statsmodels")


def test_help_imports_nothing_heavy(project_root: Path) -> None:
    script = (
        "import sys\n"
        "from experiments.cli import main\n"
        "sys.argv = ['marginlab', '--help']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=project_root, check=False)
    assert run.returncode == 0, run.stderr
    assert "Usage" in run.stdout
    assert run.stdout.rstrip().endswith("LOADED []"), run.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel_names(project_root: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    pytest.importorskip("hatchling", reason="the build tool comes with the dev extra")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=project_root, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = folder.glob("marginlab-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_holds_every_source_and_data_file(project_root: Path, wheel_names: set[str]) -> None:
    expected = {
        path.relative_to(project_root).as_posix()
        for package in PACKAGES
        for path in (project_root / package).rglob("*")
        if path.suffix in {".py", ".toml", ".html", ".css", ".json", ".csv"} and "__pycache__" not in path.parts
    }
    assert any(name.startswith("experiments/scenarios/") and name.endswith(".toml") for name in expected)
    assert expected <= wheel_names, sorted(expected - wheel_names)


def test_wheel_holds_nothing_else(wheel_names: set[str]) -> None:
    tops = {name.split("/")[0] for name in wheel_names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)
    assert not [name for name in wheel_names if "test" in Path(name).parts[0] or name.endswith(".pyc")]
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel_names)
    assert any(name.endswith(".dist-info/entry_points.txt") for name in wheel_names)


def tracked_texts(root: Path) -> list[Path]:
    places = [*PACKAGES, "tests", "docs", ".ci"]
    files = [path for place in places for path in (root / place).rglob("*") if path.is_file()]
    files += [path for path in root.iterdir() if path.is_file() and path.name not in {"LICENSE", "bench.json"}]
    skipped = {".pyc", ".png", ".parquet", ".svg"}
    return [path for path in files if path.suffix not in skipped and path.name != Path(__file__).name]


def test_no_loose_ends_and_no_paths_of_a_machine(project_root: Path) -> None:
    loose = re.compile(r"\b(TODO|FIXME|XXX|HACK|lorem ipsum|not yet implemented|coming soon|placeholder)\b", re.I)
    machine = re.compile(r"(?<![\w.$}])/(work|tmp|root|home|Users)/\w")
    found = []
    for path in tracked_texts(project_root):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if loose.search(line) or machine.search(line):
                found.append(f"{path.relative_to(project_root)}:{number}: {line.strip()}")
    assert not found, "\n".join(found)


def test_version_is_told_once(project_root: Path) -> None:
    project = tomllib.loads((project_root / "pyproject.toml").read_text())["project"]
    citation = (project_root / "CITATION.cff").read_text()
    assert f"version: {project['version']}" in citation
    assert f"## [{project['version']}]" in (project_root / "CHANGELOG.md").read_text()


def test_public_modules_say_what_they_are(project_root: Path) -> None:
    silent = []
    for package in PACKAGES:
        for path in (project_root / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8").lstrip()
            if text and not text.startswith(('"""', 'r"""')):
                silent.append(str(path.relative_to(project_root)))
    assert not silent, silent
