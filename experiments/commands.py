"""What the commands do once their options are read: load, run with a progress bar, keep, report, print."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments import scenario
from experiments.cli.options import print_json
from experiments.console import load, load_plugins, print_listing, progress, say_where
from experiments.store import OutputFolder, new_folder
from sim.errors import ConfigError
from sim.problems import one_of


def run(
    source: str, seeds: Sequence[int], *, margin: str | None, assignments: Sequence[str], plugins: Sequence[str],
    check: bool, jobs: int, out: str | None, as_json: bool,
) -> None:  # fmt: skip
    """``marginlab run``."""
    from experiments.studies.compare import Comparison

    loaded = load(source, assignments, plugins)
    regime = margin or loaded.margin.regime
    comparison = Comparison(
        loaded, (regime,), tuple(seeds), plugins=tuple(plugins), check=check, placebo=False, command="run"
    )
    result = _compare(comparison, jobs, out, as_json)
    _print_run(result, out, as_json)


def compare(
    source: str, seeds: Sequence[int], *, margin: str | None, baseline: str | None = None, fork_at: str | None,
    assignments: Sequence[str], plugins: Sequence[str], check: bool, jobs: int, out: str | None, as_json: bool,
    equal_cost: str | None = None, pilot: Sequence[int] | None = None,
) -> None:  # fmt: skip
    """``marginlab compare``."""
    from experiments.studies.compare import DEFAULT_REGIMES, Comparison

    loaded = load(source, assignments, plugins)
    regimes = tuple(part.strip() for part in margin.split(",")) if margin is not None else DEFAULT_REGIMES
    comparison = Comparison(loaded, regimes, tuple(seeds), fork_at, tuple(plugins), check, base=baseline or "")
    if equal_cost is not None:
        comparison = _at_equal_cost(comparison, equal_cost, pilot, jobs)
    elif pilot is not None:
        raise ConfigError.of("--pilot", len(pilot), "given together with --equal-cost, whose factors it finds")
    result = _compare(comparison, jobs, out, as_json)
    if as_json:
        print_json(result)
        return
    from experiments.terminal import comparison_lines

    for line in comparison_lines(result):
        print(line)
    say_where(out)


def flat_book(
    *, gain: Sequence[float], gamma_gain: Sequence[float], accounts: int, depth: int, sale: Sequence[int], mark: str,
    policy: str, out: str | None, as_json: bool,
) -> None:  # fmt: skip
    """``marginlab flat-book``."""
    from experiments.studies.flat_book import FlatBooks, lines, study

    asked = FlatBooks(tuple(gain), tuple(sale), accounts, depth, mark, policy, tuple(gamma_gain))
    asked.books()  # every combination is checked before anything runs or is written
    folder = new_folder(out) if out is not None else None
    result = study(asked)
    if folder is not None:
        from experiments import reporting

        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        (folder / "flat-book.json").write_text(text, encoding="utf-8")
        reporting.write(folder)
    if as_json:
        print_json(result)
        return
    for line in lines(result):
        print(line)
    say_where(out)


def cascade(
    source: str, seeds: Sequence[int], *, targets: tuple[float, ...], event: str | None, shocks: tuple[float, ...],
    leverages: tuple[Any, ...], bracket: tuple[float, float] | None, resamples: int, assignments: Sequence[str],
    plugins: Sequence[str], check: bool, jobs: int, out: str | None, as_json: bool,
) -> None:  # fmt: skip
    """``marginlab cascade``."""
    from experiments.cascades.tables import lines
    from experiments.studies.cascades import Cascades, measure

    loaded = load(source, assignments, plugins)
    study = Cascades(loaded, targets, tuple(seeds), event, tuple(plugins), check, shocks, leverages, bracket, resamples)
    study.tasks()  # every combination is checked before anything runs or is written
    folder = OutputFolder(out, study.job()) if out is not None else None
    with progress(f"cascade {loaded.name}") as on_done:
        result = measure(study, workers=jobs, folder=folder, on_done=on_done)
    if folder is not None:
        from experiments.reporting import write

        write(folder.path)
    if as_json:
        print_json(result)
        return
    for line in lines(result):
        print(line)
    say_where(out)


def venues(
    source: str, seeds: Sequence[int], *, policies: str | None, marks: str | None, arms: Sequence[str],
    event: str | None, lead: int, assignments: Sequence[str], plugins: Sequence[str], check: bool, jobs: int,
    out: str | None, as_json: bool,
) -> None:  # fmt: skip
    """``marginlab venues``."""
    from experiments.studies.arms import grid, parse
    from experiments.studies.policies import Policies
    from experiments.studies.policies import compare as carry_out

    loaded = load(source, assignments, plugins)
    own = [parse(text) for text in arms]
    crossed = [] if own and policies is None and marks is None else grid(loaded, _words(policies), _words(marks))
    study = Policies(loaded, (*crossed, *own), tuple(seeds), event, lead, tuple(plugins), check)
    folder = OutputFolder(out, study.job()) if out is not None else None
    with progress(f"venues {loaded.name}") as on_done:
        result = carry_out(study, workers=jobs, folder=folder, on_done=on_done)
    if folder is not None:
        from experiments.reporting import write

        write(folder.path)
    if as_json:
        print_json(result)
        return
    from experiments.policies_report import lines

    for line in lines(result):
        print(line)
    say_where(out)


def _words(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(part.strip() for part in text.split(","))


def replicate(
    name: str, seeds: Sequence[int] | None, *, assignments: Sequence[str], check: bool, jobs: int, out: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """``marginlab replicate``."""
    from experiments.replications import REPLICATIONS, october_2025

    if name not in REPLICATIONS:
        raise ConfigError.of("NAME", name, one_of(name, REPLICATIONS))
    loaded = load(name, assignments, ())
    study = october_2025.Replication(loaded, tuple(seeds if seeds is not None else october_2025.SEEDS), check)
    study.validate()
    folder = OutputFolder(out, study.job()) if out is not None else None
    with progress(f"replicate {name}") as on_done:
        result = october_2025.replicate(study, workers=jobs, folder=folder, on_done=on_done)
    if folder is not None:
        from experiments import reporting

        reporting.write(folder.path)
    if as_json:
        print_json(result)
        return
    for line in october_2025.lines(result):
        print(line)
    if out is not None:
        print(f"Results: {out}")


def scenarios(name: str | None, *, as_json: bool) -> None:
    """``marginlab scenarios``."""
    known = scenario.builtin()
    if name is not None:
        if name not in known:
            raise ConfigError.of("NAME", name, one_of(name, known))
        if as_json:
            print_json(scenario.tables(name))
        else:
            print(known[name].read_text(encoding="utf-8"), end="")
        return
    titles = {key: str(scenario.tables(key).get("market", {}).get("name", "")) for key in known}
    print_listing(titles, as_json)


def regimes(name: str | None, *, plugins: Sequence[str], as_json: bool) -> None:
    """``marginlab regimes``."""
    import margin
    from experiments import regime_page

    load_plugins(plugins)
    if name is None:
        by_family = regime_page.families()
        print_json(by_family) if as_json else print("\n".join(regime_page.listing(by_family)))
        return
    known = margin.regimes()
    if name not in known:
        raise ConfigError.of("NAME", name, one_of(name, known))
    found = regime_page.explanation(name)
    if as_json:
        from experiments.store import plain

        print_json(plain(found))
        return
    print("\n".join(regime_page.page(found)))


def policies(name: str | None, *, as_json: bool) -> None:
    """``marginlab policies``."""
    from experiments import policy_page

    known = policy_page.summaries()
    if name is None:
        print_json(known) if as_json else print("\n".join(policy_page.listing(known)))
        return
    if name not in known:
        raise ConfigError.of("NAME", name, one_of(name, known))
    found = policy_page.explanation(name)
    print_json(found) if as_json else print("\n".join(policy_page.page(found)))


def margin(
    source: str, regime: str | None, *, assignments: Sequence[str], plugins: Sequence[str], as_json: bool
) -> None:
    """``marginlab margin``."""
    from experiments import overrides
    from margin import portfolio
    from margin.calculator import calculate
    from sim.errors import Problem

    load_plugins(plugins)
    raw = portfolio.read(source)
    params: dict[str, Any] = {}
    problems: list[Problem] = []
    for assignment in assignments:
        key = assignment.partition("=")[0].strip().partition(".")[0]
        if key in portfolio.Portfolio.model_fields and key != "params":
            overrides.apply(raw, [assignment], problems)
        else:  # a parameter of the regime, with or without "params." before it
            overrides.apply(params, [assignment.strip().removeprefix("params.")], problems)
    if problems:
        raise ConfigError(problems)
    result = calculate(portfolio.parse(raw, source), regime, params, file=source)
    if as_json:
        from experiments.store import plain

        print_json(plain(result.as_dict()))
        return
    from experiments.portfolio_report import print_result

    print_result(result)


def agents(name: str | None, *, plugins: Sequence[str], as_json: bool) -> None:
    """``marginlab agents``."""
    import agents as room

    load_plugins(plugins)
    known = room.kinds()
    if name is None:
        print_listing(known, as_json)
        return
    if name not in known:
        raise ConfigError.of("NAME", name, one_of(name, known))
    _print_parameters(name, known[name], room.parameters(name), {}, as_json)


def schema(what: str, *, plugins: Sequence[str]) -> None:
    """``marginlab schema``."""
    import json

    load_plugins(plugins)
    from experiments.schema import portfolio_schema, scenario_schema
    from experiments.sweep.schema import study_schema

    makers = {"scenario": scenario_schema, "portfolio": portfolio_schema, "study": study_schema}
    if what not in makers:
        raise ConfigError.of("WHAT", what, one_of(what, makers))
    print(json.dumps(makers[what](), indent=2, ensure_ascii=False))


def report(folder: str) -> None:
    """``marginlab report``."""
    from experiments.reporting import write

    print(write(Path(folder)))


def _at_equal_cost(comparison: Any, text: str, pilot: Sequence[int] | None, jobs: int) -> Any:
    """The comparison with the factors that bring every regime to the baseline's cost on the pilot seeds."""
    from dataclasses import replace

    from experiments import equal_cost

    settings = equal_cost.parse(text, comparison.seeds, pilot)
    comparison.validate()
    with progress(f"equal {settings.measure} on {len(settings.seeds)} pilot seeds") as on_done:
        solution = equal_cost.solve(
            comparison.scenario, comparison.regimes, comparison.baseline, settings, workers=jobs,
            fork_at=comparison.fork_at, plugins=comparison.plugins, on_done=on_done,
        )  # fmt: skip
    return replace(comparison, scenario=equal_cost.apply(comparison.scenario, solution), equal_cost=solution)


def _compare(comparison: Any, jobs: int, out: str | None, as_json: bool) -> dict[str, Any]:
    from experiments.studies.compare import compare as carry_out

    comparison.validate()
    folder = OutputFolder(out, comparison.job()) if out is not None else None
    title = f"{comparison.command} {comparison.scenario.name}"
    with progress(title) as on_done:
        result = carry_out(comparison, workers=jobs, folder=folder, on_done=on_done)
    if folder is not None:
        from experiments.reporting import write

        write(folder.path)
    return result


def _print_run(result: Mapping[str, Any], out: str | None, as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    from experiments.terminal import comparison_lines, run_lines

    for line in run_lines(result) if "regimes" not in result else comparison_lines(result):
        print(line)
    say_where(out)


def _print_parameters(name: str, line: str, model: Any, given: Mapping[str, Any], as_json: bool) -> None:
    fields = getattr(model, "model_fields", {})
    table = {
        key: {
            "default": given.get(key, None if field.is_required() else field.get_default(call_default_factory=True)),
            "required": field.is_required() and key not in given,
            "description": field.description or "",
        }
        for key, field in fields.items()
    }
    if as_json:
        from experiments.store import plain

        print_json({"name": name, "summary": line, "parameters": plain(table)})
        return
    print(f"{name}: {line}")
    width = max((len(key) for key in table), default=0)
    for key, entry in table.items():
        default = "required" if entry["required"] else "" if entry["default"] is None else f"= {entry['default']}"
        print(f"  {key:<{width}}  {default:<12}  {entry['description']}".rstrip())
