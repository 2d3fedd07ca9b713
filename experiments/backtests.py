"""``marginlab backtest``: options read, a table in the terminal, files and figures in a folder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from experiments.cli.options import print_json
from experiments.store import new_folder
from margin.backtests.models import Scaling, Setting, Side
from margin.durations import parse_duration
from sim.errors import ConfigError

if TYPE_CHECKING:
    from rich.table import Table

    from margin.backtest import Backtest


_WIDTH = 120  # a table that is cut tells nothing; a narrow terminal wraps it


def command(
    prices: str, models: Sequence[str], overlays: Sequence[str], *, decay: str, window: str, confidence: str,
    horizon: str, scaling: str, side: str, start: str | None, end: str | None, column: str, date_format: str | None,
    refit: str, lookback: str, out: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Carry out ``marginlab backtest`` and print or keep the result.

    Raises:
        ConfigError: an option is not allowed, or the series does not fit.
        OutputError: the folder is not new or empty.
    """
    from margin.backtest import backtest, expand, load_prices

    folder = None if out is None else new_folder(out)
    chosen = expand(models, overlays, _number("--lambda", decay), _number("--window", window))
    setting = Setting(
        confidence=_number("--confidence", confidence),
        days=_days(horizon),
        scaling=_one_of("--scaling", scaling, get_args(Scaling)),
        side=_one_of("--side", side, get_args(Side)),
        refit=_whole("--refit", refit),
        lookback=_whole("--lookback", lookback),
    )
    test = backtest(load_prices(prices, column, date_format), chosen, setting, start, end)
    if folder is not None:
        _keep(test, folder)
    if as_json:
        print_json(test.as_dict())
        return
    _print(test)
    if folder is not None:
        print(f"Results: {folder}")


def _number(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError.of(key, text, "a number")
    return value


def _whole(key: str, text: str) -> int:
    if not text.isdecimal():
        raise ConfigError.of(key, text, "a whole number, not negative")
    return int(text)


def _one_of(key: str, text: str, allowed: Sequence[str]) -> Any:
    if text not in allowed:
        raise ConfigError.of(key, text, "one of " + ", ".join(allowed))
    return text


def _days(text: str) -> int:
    try:
        amount, unit = parse_duration(f"{text}d" if text.isdecimal() else text)
    except ValueError:
        amount, unit = 0.0, ""
    if unit != "d" or amount != int(amount) or not 1 <= amount <= 1000:
        raise ConfigError.of("--horizon", text, "whole days up to 1000, such as 1d or 5d")
    return int(amount)


def _keep(test: Backtest, folder: Path) -> None:
    """Write ``backtest.json``, ``models.csv``, ``margins.csv``, the figures and the tables."""
    import json

    import pandas as pd

    from experiments import reporting

    folder.mkdir(parents=True, exist_ok=True)
    result = test.as_dict()
    text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / "backtest.json").write_text(text, encoding="utf-8")
    pd.json_normalize(result["models"]).to_csv(folder / "models.csv", index=False)
    columns = {one.model.name: one.margin for one in test.models}
    margins = pd.DataFrame({"date": test.dates, "log_return": test.returns} | columns)
    margins.to_csv(folder / "margins.csv", index=False, float_format="%.10g")
    reporting.write(folder)


def _print(test: Backtest) -> None:
    from rich.console import Console

    result = test.as_dict()
    where, window, setting = result["prices"], result["window"], result["setting"]
    console = Console(soft_wrap=True, highlight=False)
    console.width = max(console.width, _WIDTH)
    console.print(
        f"{where['source']}, column {where['column']}: {window['returns']} returns, {window['first']} to "
        f"{window['last']}; one unit {setting['side'].replace('both', 'long or short')}, "
        f"{100 * setting['confidence']:g} % over {setting['days']} d ({setting['scaling']})",
        markup=False,
    )
    for table in (_coverage(result), _procyclicality(result)):
        console.print(table, soft_wrap=True)
    span = result["accepted_exceedances"]
    console.print(
        f"Exceedances that Kupiec's test accepts at 5 %: {span['low']} to {span['high']} of {span['of']}.", markup=False
    )
    console.print("Frontier of mean margin, peak over trough and exceedances, not dominated:", markup=False)
    console.print("  " + ", ".join(result["frontier"]["non_dominated"]), markup=False)
    for name, by in result["frontier"]["dominated_by"].items():
        console.print(f"  {name} is dominated by {by}", markup=False)
    if result["forecasts"]:
        console.print("Volatility forecasts, QLIKE out of sample, smaller is better:", markup=False)
    for one in result["forecasts"]:
        test_of = one["against_best"]
        told = "best" if test_of is None else f"worse by {test_of['mean']:.4f}, p = {_p(test_of['p_value'])}"
        console.print(f"  {one['name']}: {one['qlike']:.4f} ({told})", markup=False)
    if any(one["garch"] for one in result["models"]):
        console.print(f"GARCH parameters fitted on {result['fitted']}.", markup=False)


def _columns(title: str, heads: Sequence[str]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False,
                  padding=(0, 0))  # fmt: skip
    table.add_column("model", no_wrap=True)
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    return table


def _coverage(result: dict[str, Any]) -> Table:
    heads = (
        "exceed", "rate %", "Kupiec", "p", "indep. p", "joint p", "last 250", "worst 250", "shortfall %",
    )  # fmt: skip
    table = _columns("Coverage", heads)
    for one in result["models"]:
        light = one["traffic_light"]
        table.add_row(
            one["name"],
            str(one["exceedances"]),
            f"{100 * one['exceedance_rate']:.2f}",
            f"{one['kupiec']['statistic']:.2f}",
            _p(one["kupiec"]["p_value"]),
            _p(one["independence"]["p_value"]),
            _p(one["conditional_coverage"]["p_value"]),
            f"{light['last']['exceedances']} {light['last']['zone']}",
            f"{light['worst']['exceedances']} {light['worst']['zone']}",
            f"{100 * one['worst_shortfall']:.2f}",
        )
    return table


def _procyclicality(result: dict[str, Any]) -> Table:
    heads = ("mean %", "peak/trough", "1d rise %", "5d rise %", "30d rise %", "sd dlnM %", "QLIKE", "frontier")
    table = _columns("Cost and procyclicality", heads)
    for one in result["models"]:
        table.add_row(
            one["name"],
            f"{100 * one['mean_margin']:.2f}",
            _or_dash(one["peak_to_trough"], 1.0, 2),
            *(_or_dash(one["increases"][days], 100.0, 1) for days in ("1", "5", "30")),
            _or_dash(one["volatility_of_margin"], 100.0, 2),
            _or_dash(one["qlike"], 1.0, 4),
            "*" if one["name"] in result["frontier"]["non_dominated"] else "",
        )
    return table


def _p(value: float | None) -> str:
    return "-" if value is None else "<.001" if value < 0.001 else f"{value:.3f}"


def _or_dash(value: float | None, scale: float, places: int) -> str:
    return "-" if value is None else f"{scale * value:.{places}f}"
