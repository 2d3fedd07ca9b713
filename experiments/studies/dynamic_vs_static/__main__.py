"""``python -m experiments.studies.dynamic_vs_static``: carry out the study, print its tables, draw its figures."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments import build
from experiments.console import progress
from experiments.store import OutputFolder
from experiments.studies.dynamic_vs_static import design as designs
from experiments.studies.dynamic_vs_static.study import job, measure
from sim.errors import MarginLabError


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit status."""
    parser = argparse.ArgumentParser(prog="dynamic-vs-static", description=__doc__)
    parser.add_argument("--part", choices=designs.PARTS, action="append", help="only this part; may be repeated")
    parser.add_argument("--seeds", help="in place of the declared ones")
    parser.add_argument(
        "--pilot", help="seeds on which factors of equal margin are found, in place of the declared ones"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", help="folder; each part has its own in it, and is resumed there")
    parser.add_argument("--json", action="store_true", help="the whole result on standard output")
    given = parser.parse_args(arguments)
    results = {}
    try:
        parts = [designs.load(part).on(given.seeds, given.pilot) for part in given.part or designs.PARTS]
        for part in parts:
            folder = OutputFolder(Path(given.out) / part.part, job(part)) if given.out else None
            first = build.market(part.scenario, part.seeds[0], shadows=part.rules if part.fork_at else ())
            first.advance(1)  # compiled code is in the cache before workers look for it
            first.close()
            with progress(part.part) as on_done:
                results[part.part] = measure(
                    part,
                    workers=given.jobs,
                    folder=folder,
                    on_done=on_done,
                    said=lambda text: print(text, file=sys.stderr),
                )
    except MarginLabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if given.json:
        print(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
