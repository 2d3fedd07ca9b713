"""A made sweep as a process of its own, to be killed: ``python -m tests.experiments.sweep.killed FOLDER JOBS MARKER``.

It prints a line for every unit done, and the hash at the end.
"""

from __future__ import annotations

import sys

from experiments.engines import engine
from experiments.sweep.perform import perform
from experiments.sweep.store import SweepStore
from tests.experiments.sweep import made

SEEDS = 25  # 150 units, three chunks


def main(folder: str, jobs: int, marker: str) -> None:
    units = made.units(SEEDS, {4: "raise"}, seconds=0.004, keep=True, marker=marker)
    store = SweepStore(folder, made.IDENTITY)
    store.begin(made.POINTS, units)
    perform(units, made.make, engine(jobs), store, lambda done, total: print(done, flush=True))
    store.finish({"units": len(units)}, store.results_hash())
    store.close()
    print("finished", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
