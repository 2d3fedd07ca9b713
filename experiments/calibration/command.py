"""``marginlab calibrate`` once its options are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from experiments.calibration import bars as series
from experiments.calibration import moments, parameters
from experiments.calibration.study import Calibration, Method
from experiments.cli.options import print_json
from experiments.console import load_plugins, progress, say_where
from experiments.store import OutputFolder
from sim.errors import ConfigError


@dataclass(frozen=True)
class Options:
    """The options of the command, read but not checked against each other; see ``marginlab calibrate --help``."""

    scenario: str
    data: str | None
    free: tuple[str, ...]
    moments: str
    seeds: tuple[int, ...]
    budget: int
    bars: int | None
    bar_seconds: float | None
    price: str
    contract: str | None
    column: str | None
    date_format: str | None
    form: str
    start: str | None
    end: str | None
    weighting: str
    block: int | None
    replications: int
    global_method: str
    local_method: str
    step: float
    slices: int
    error_seeds: int
    recover: int | None
    data_seeds: int
    assignments: tuple[str, ...]
    plugins: tuple[str, ...]

    @property
    def method(self) -> Method:
        """Weights, search and derivatives."""
        return Method(self.weighting, self.block, self.replications, self.budget, self.global_method,
                      self.local_method, self.step, self.slices, self.error_seeds)  # fmt: skip

    def said(self) -> dict[str, Any]:
        """The options as the command line that makes the result again needs them: those that differ from the usual."""
        usual = {"moments": "volatility", "budget": 200, "price": "last", "form": "auto", "weighting": "full",
                 "replications": 1000, "global_method": "sobol", "local_method": "nelder-mead", "step": 0.05,
                 "slices": 9, "error_seeds": 0, "data_seeds": 1000}  # fmt: skip
        names = {"form": "format", "global_method": "global", "local_method": "local", "bar_seconds": "bar"}
        found: list[str] = []
        for key, value in self.__dict__.items():
            if key in ("scenario", "data", "free", "seeds", "assignments", "plugins"):
                continue
            if value is not None and value != usual.get(key):
                shown = f"{value:g}" if isinstance(value, float) else str(value)
                found += ["--" + names.get(key, key).replace("_", "-"), shown]
        found += ["--seeds", _seeds(self.seeds)]
        for text in self.assignments:
            found += ["--set", text]
        for text in self.plugins:
            found += ["--plugin", text]
        return {"scenario": self.scenario, "data": self.data, "free": list(self.free), "options": found}


def calibrate(options: Options, *, jobs: int, out: str | None, as_json: bool) -> None:
    """Fit, keep, print.

    Raises:
        ConfigError: an option does not fit; nothing was run.
        OutputError: the folder holds something else.
    """
    load_plugins(options.plugins)
    free = parameters.parse(options.free)
    chosen = moments.parse(options.moments)
    if options.recover is not None:
        if options.data is not None:
            raise ConfigError.of("--recover", options.recover, "left out with --data: it simulates the data itself")
        from experiments.calibration import recovery

        recovery.command(options, free, chosen, jobs=jobs, out=out, as_json=as_json)
        return
    if options.data is None:
        raise ConfigError.of("--data", None, "a file of bars, trades or quotes, arch:sp500 or arch:nasdaq")
    found = series.read(
        options.data, column=options.column, date_format=options.date_format, form=options.form, start=options.start,
        end=options.end, bar_seconds=options.bar_seconds,
    )  # fmt: skip
    study = Calibration(
        options.scenario, free, chosen, options.seeds, found, options.assignments, options.method, options.bars,
        options.price, options.contract, options.plugins,
    ).prepared()  # fmt: skip
    folder = OutputFolder(out, study.job()) if out is not None else None
    from experiments.calibration.study import calibrate as carry_out

    with progress(f"calibrate {study.ready[0].name}") as on_done:
        result = carry_out(study, workers=jobs, folder=folder, on_done=on_done, asked=options.said())
    if folder is not None:
        from experiments import reporting

        reporting.write(folder.path)
    if as_json:
        print_json(result)
        return
    from experiments.calibration.lines import lines

    for line in lines(result):
        print(line)
    say_where(out)


def _seeds(seeds: tuple[int, ...]) -> str:
    consecutive = list(seeds) == list(range(seeds[0], seeds[0] + len(seeds)))
    if consecutive:
        return str(len(seeds)) if seeds[0] == 0 else f"{seeds[0]}:{seeds[-1] + 1}"
    return ",".join(map(str, seeds)) if len(seeds) > 1 else f"{seeds[0]}:{seeds[0] + 1}"
