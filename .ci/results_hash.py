"""Print the results hash of short runs. The same lines on every machine, every Python, every number of workers.

Each line is a command's arguments and the hash that it reported; two Pythons are compared by comparing their output.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

RUNS = (
    ("run", "calm", "--seed", "7", "--set", "market.steps=600", "--set", "market.burn_in=0"),
    ("run", "shock", "--seed", "7"),
    ("run", "crisis-2008", "--seed", "7"),
    ("compare", "shock", "--margin", "static,dynamic,portfolio,isolated", "--seeds", "2", "--jobs", "2"),
)


def results_hash(arguments: tuple[str, ...]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "experiments", *arguments, "--json", "--out", str(Path(folder) / "run")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}: exit code {done.returncode}\n{done.stderr}")
    return str(json.loads(done.stdout)["results_hash"])


if __name__ == "__main__":
    for run in RUNS:
        print(results_hash(run), *run, flush=True)
