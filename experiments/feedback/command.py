"""What ``marginlab feedback`` does once its options are read."""

from __future__ import annotations

import json
from collections.abc import Sequence

from experiments.cli.options import print_json
from experiments.console import load, say_where
from experiments.feedback.study import Feedback, lines, measure
from experiments.store import new_folder

RESULT = "summary.json"
TABLE = "map.csv"


def command(
    source: str, *, seed: int, at_step: int | None, at_event: str | None, contract: str | None,
    populations: tuple[str, ...] | None, width: float, step: int | None, smooth: float, margin: str | None,
    assignments: Sequence[str], plugins: Sequence[str], out: str | None, as_json: bool,
) -> None:  # fmt: skip
    """``marginlab feedback``."""
    loaded = load(source, assignments, plugins)
    if margin is not None:
        from experiments import regimes

        regimes.make(loaded, margin)  # said before the run what is wrong with it
    asked = Feedback(loaded, seed, at_step, at_event, contract, populations, width, step, smooth, margin)
    folder = new_folder(out) if out is not None else None
    result = measure(asked)
    if folder is not None:
        import pandas as pd

        from experiments import reporting

        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        (folder / RESULT).write_text(text, encoding="utf-8")
        pd.DataFrame(result["bands"]).to_csv(folder / TABLE, index=False, lineterminator="\n")
        reporting.write(folder)
    if as_json:
        print_json(result)
        return
    for line in lines(result):
        print(line)
    say_where(out)
