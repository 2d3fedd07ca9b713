"""``marginlab studies``: what studies come with the package."""

from __future__ import annotations

from experiments.cli.options import print_json
from experiments.console import print_listing
from experiments.sweep import study
from sim.errors import ConfigError
from sim.problems import one_of


def command(name: str | None, *, as_json: bool) -> None:
    """List the built-in studies with their titles, or print the file of one."""
    known = study.builtin()
    if name is None:
        print_listing({key: str(study.tables(key).get("study", {}).get("name", "")) for key in known}, as_json)
        return
    if name not in known:
        raise ConfigError.of("NAME", name, one_of(name, known))
    if as_json:
        print_json(study.tables(name))
    else:
        print(known[name].read_text(encoding="utf-8"), end="")
