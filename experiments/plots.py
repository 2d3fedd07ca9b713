"""Figures of a comparison or of one run, as PNG and SVG.

Each title says what the figure shows, computed from the data drawn; axes have units; a regime has one colour, line
style and marker everywhere (:mod:`experiments.palette`). Files are the same bytes each time they are made with the same
libraries: no dates, fixed identifiers, fonts that ship with Matplotlib.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.cascade_tree import within
from experiments.drawing.canvas import FigureFile, canvas, envelope, finish, from_zero, look
from experiments.drawing.cascade import cascade_figure
from experiments.drawing.forest import forest_figure
from experiments.drawing.palette import MUTED, RegimeStyle, regime_styles
from experiments.drawing.timeaxis import TimeAxis, shown_rows
from experiments.vocabulary import Kind, Money, Scale, number, scale_of
from experiments.wording import compared, listing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CONTRACTS_SHOWN = 4
"""Contracts that get panels of their own; a market with more shows the first ones."""


@dataclass(frozen=True)
class Shown:
    """What the figures of one result draw: rows of one seed by regime and contract, styles, time axis, units."""

    tables: Mapping[str, Mapping[str, pd.DataFrame]]
    events: Mapping[str, pd.DataFrame]
    styles: Mapping[str, RegimeStyle]
    baseline: str
    seed: int | None
    time: TimeAxis
    money: Money

    @property
    def regimes(self) -> list[str]:
        """Regimes in drawing order, the baseline first so that others are seen on top of it."""
        return sorted(self.tables, key=lambda r: r != self.baseline)

    @property
    def others(self) -> list[str]:
        """Regimes other than the baseline."""
        return [r for r in self.regimes if r != self.baseline]

    @property
    def contracts(self) -> list[str]:
        """Names of the contracts shown."""
        return list(self.tables[self.baseline])[:CONTRACTS_SHOWN]

    @property
    def where(self) -> str:
        """The seed shown, for titles."""
        return "" if self.seed is None else f"seed {self.seed}"

    def rows(self, regime: str, contract: str | None = None) -> pd.DataFrame:
        """Rows of one contract (the first if None, for columns that are repeated per contract)."""
        return self.tables[regime][self.contracts[0] if contract is None else contract]

    def scaled(self, kind: Kind, column: str, contract: str | None = None) -> Scale:
        """Scale for a column over all regimes."""
        largest = [float(np.nanmax(np.abs(self.rows(r, contract)[column].to_numpy(float)))) for r in self.regimes]
        return scale_of(kind, largest, self.money)


def _legend(figure: Figure, shown: Shown, *extra: Any) -> None:
    """One legend for the whole figure, regimes first."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], label=regime, **shown.styles[regime].line()) for regime in shown.regimes]
    figure.align_ylabels()
    figure.legend(
        handles=[*handles, *extra],
        loc="outside lower center",
        ncol=min(len(handles) + len(extra), 5),
        frameon=False,
        fontsize=8.5,
        handlelength=2.6,
        columnspacing=1.6,
    )


def _draw(axes: Axes, shown: Shown, column: str, contract: str | None, factor: float = 1.0, **style: Any) -> None:
    """Draw one column under every regime as steps or lines, thinned to what a page can show."""
    for regime in shown.regimes:
        rows = shown.rows(regime, contract)
        x, y = envelope(shown.time.position(rows), rows[column].to_numpy(float) * factor)
        axes.plot(x, y, **(shown.styles[regime].line() | style))


def _fall(price: NDArray[np.float64]) -> float:
    """Largest fall from an earlier high, as a share of that high."""
    price = price[np.isfinite(price)]
    return float(np.max(1.0 - price / np.maximum.accumulate(price), initial=0.0)) if price.size else 0.0


def most_and_least(values: Mapping[str, float], text: Callable[[float], str], *, close: float = 0.0) -> str:
    """Say which regime has the largest and which the smallest value, or that they are (about) the same.

    Args:
        values: Regime -> value, not negative.
        text: Writes a value with its unit.
        close: Largest range that is still called about the same.

    Examples:
        >>> most_and_least({"static": 3.0, "dynamic": 5.0, "cross": 0.0}, lambda v: f"{v:g}")
        '5 under dynamic, none under cross'
        >>> most_and_least({"static": 3.0, "dynamic": 3.0}, lambda v: f"{v:g}")
        '3 under every regime'
    """
    low, high = min(values.values()), max(values.values())
    if len(values) == 1:
        return text(high)
    if high == low:
        return f"{text(high)} under every regime"
    if high - low <= close:
        return f"about {text(high)} under every regime"
    most = listing([r for r, v in values.items() if v == high])
    least = listing([r for r, v in values.items() if v == low])
    return f"{text(high)} under {most}, {'none' if low == 0.0 else text(low)} under {least}"


def _percent(value: float) -> str:
    return f"{number(value, 1)} %"


def _sentence(seed: str, text: str) -> str:
    return f"{text} ({seed})" if seed else text


def price_figure(folder: Path, shown: Shown, contract: str) -> FigureFile:
    """Price and mark, the mark against the baseline's (against value for one run), and forced lots."""
    from matplotlib.lines import Line2D

    several = len(shown.regimes) > 1
    with look():
        figure, (top, gap, forced) = canvas([2.5, 1.5, 1.35])
        base = shown.rows(shown.baseline, contract)
        x, y = envelope(shown.time.position(base), base["value"].to_numpy(float))
        top.plot(x, y, color=MUTED, linewidth=0.9, linestyle=(0, (1, 1.4)), zorder=1.5)
        if not several:
            x, y = envelope(shown.time.position(base), base["last"].to_numpy(float))
            top.plot(x, y, color=shown.styles[shown.baseline].color, alpha=0.35, linewidth=0.7, zorder=1.6)
        _draw(top, shown, "mark", contract)
        top.set_ylabel("mark, price units")
        _rug(top, shown, contract)

        gap.axhline(0.0, color=MUTED, linewidth=0.8)
        reference = base["mark" if several else "value"].to_numpy(float)
        largest: dict[str, float] = {}
        for regime in shown.others if several else shown.regimes:
            rows = shown.rows(regime, contract)
            n = min(len(rows), len(reference))
            away = 100.0 * (rows["mark"].to_numpy(float)[:n] / reference[:n] - 1.0)
            largest[regime] = float(np.nanmax(np.abs(away), initial=0.0))
            x, y = envelope(shown.time.position(rows)[:n], away)
            gap.plot(x, y, **shown.styles[regime].line())
        gap.set_ylabel(f"mark against\n{shown.baseline if several else 'value'}, %")

        scale = shown.scaled("lots", "liquidated", contract)
        _draw(forced, shown, "liquidated", contract, scale.factor, drawstyle="steps-post")
        forced.set_ylabel(f"liquidated,\n{scale.unit}")
        from_zero(forced)
        shown.time.dress(forced, (top, gap, forced))
        extra = [Line2D([], [], color=MUTED, linewidth=0.9, linestyle=(0, (1, 1.4)), label="value")]
        _legend(figure, shown, *extra)

        falls = {r: 100.0 * _fall(shown.rows(r, contract)["mark"].to_numpy(float)) for r in shown.regimes}
        lots = {r: float(shown.rows(r, contract)["liquidated"].to_numpy(float)[-1]) for r in shown.regimes}
        fell = most_and_least(falls, _percent, close=0.05)
        accounts = _liquidated_accounts(shown, contract)
        if not several:
            title = (
                f"{contract}: the mark falls {fell} from its high; {number(lots[shown.baseline], 0)} lots liquidated"
            )
        else:
            title = f"{contract}: the mark falls {fell}"
        each = "; ".join(
            f"{r}: largest fall {_percent(falls[r])}, {number(lots[r], 0)} lots liquidated{accounts.get(r, '')}"
            for r in shown.regimes
        )
        apart = "; ".join(f"{r} up to {_percent(v)}" for r, v in largest.items())
        alt = (
            f"Three panels over time for {contract}. Top: mark price by regime with the exogenous value. {each}. "
            f"Middle: distance of the mark from {shown.baseline if several else 'value'}: {apart}. "
            "Bottom: liquidated lots, cumulative."
        )
        caption = (
            "Ticks under the prices are records in which forced lots were filled, one row per regime. The dotted line "
            "is the exogenous value, the same under every regime. "
            + (f"Middle: the regime's own effect on this seed, as distance from {shown.baseline}." if several else "")
        ).strip()
        return finish(figure, folder, f"price-{_stem(contract)}", _sentence(shown.where, title), alt, caption)


def _liquidated_accounts(shown: Shown, contract: str) -> dict[str, str]:
    """Regime -> " of N accounts", from the events of the seed shown."""
    found = {}
    for regime, table in shown.events.items():
        if not len(table):
            continue
        rows = table[(table["kind"] == "liquidation") & (table["contract"] == contract)]
        count = int(rows["account"].nunique())
        if count:
            found[regime] = f" of {number(count, 0)} {'account' if count == 1 else 'accounts'}"
    return found


def _stem(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-") or "contract"


def _rug(axes: Axes, shown: Shown, contract: str) -> None:
    """A row of ticks per regime where lots were liquidated, under the curves."""
    low, high = axes.get_ylim()
    room = 0.05 * (high - low)
    axes.set_ylim(low - room * len(shown.regimes), high)
    for i, regime in enumerate(shown.regimes):
        rows = shown.rows(regime, contract)
        forced = np.diff(rows["liquidated"].to_numpy(float), prepend=0.0) > 0.0
        x = shown.time.position(rows)
        bins = np.unique(np.floor((x[forced] - x[0]) / max(x[-1] - x[0], 1e-12) * 400.0))
        at = x[0] + (bins + 0.5) / 400.0 * (x[-1] - x[0])
        style = shown.styles[regime]
        axes.vlines(at, low - room * (i + 0.9), low - room * (i + 0.25), color=style.color, linewidth=0.8)


def rates_figure(folder: Path, shown: Shown) -> FigureFile:
    """Margin rates of each contract and what all accounts must hold."""
    contracts = shown.contracts
    with look():
        figure, panels = canvas([1.55] * len(contracts) + [1.45, 1.55])
        for axes, contract in zip(panels, contracts, strict=False):
            _draw(axes, shown, "rate_initial", contract, 100.0, drawstyle="steps-post")
            _draw(axes, shown, "rate_maintenance", contract, 100.0, drawstyle="steps-post", linewidth=0.7, alpha=0.8)
            axes.set_ylabel(f"{contract}\nmargin rate, %")
            from_zero(axes)
        share, total = panels[-2:]
        for regime in shown.regimes:
            rows = shown.rows(regime)
            notional = rows["notional"].to_numpy(float)
            required = rows["maintenance_requirement"].to_numpy(float)
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = np.where(notional > 0.0, 100.0 * required / notional, np.nan)
            x, y = envelope(shown.time.position(rows), ratio)
            share.plot(x, y, **shown.styles[regime].line())
        share.set_ylabel("maintenance,\n% of value held")
        from_zero(share)
        scale = shown.scaled("money", "initial_requirement")
        _draw(total, shown, "initial_requirement", None, scale.factor)
        total.set_ylabel(f"initial required,\n{scale.unit}")
        from_zero(total)
        shown.time.dress(total, panels)
        _legend(figure, shown)

        spans = {
            r: (100.0 * float(rows["rate_initial"].min()), 100.0 * float(rows["rate_initial"].max()))
            for r, rows in ((r, shown.rows(r)) for r in shown.regimes)
        }
        moving = {r: s for r, s in spans.items() if s[1] - s[0] > 0.05}
        still = [r for r in spans if r not in moving]
        parts = [f"{r} moves between {number(s[0], 1)} and {number(s[1], 1)} %" for r, s in moving.items()]
        if still:
            levels = sorted({number(spans[r][1], 1) for r in still})
            parts.append(f"{listing(still)} {'stays' if len(still) == 1 else 'stay'} at {listing(levels)} %")
        title = f"Initial rate of {contracts[0]}: {', '.join(parts)}"
        means = {r: float(shown.rows(r)["initial_requirement"].mean()) * scale.factor for r in shown.regimes}
        alt = (
            f"Margin rates and requirements over time. {'; '.join(parts)}. Mean initial requirement of all accounts: "
            + "; ".join(f"{r} {number(v, 1)} {scale.unit}" for r, v in means.items())
            + "."
        )
        caption = (
            "Thick: initial margin rate; thin: maintenance rate. Below them the maintenance requirement of all "
            "accounts over the value of their positions, where netting shows, and the initial requirement, which "
            "includes open orders."
        )
        return finish(figure, folder, "requirements", _sentence(shown.where, title), alt, caption)


def leverage_figure(folder: Path, shown: Shown) -> FigureFile:
    """Open interest of each contract and leverage of all accounts together."""
    contracts = shown.contracts
    with look():
        figure, panels = canvas([1.75] * len(contracts) + [1.75])
        ends: dict[str, float] = dict.fromkeys(shown.regimes, 0.0)
        for axes, contract in zip(panels, contracts, strict=False):
            scale = shown.scaled("lots", "open_interest", contract)
            _draw(axes, shown, "open_interest", contract, scale.factor)
            axes.set_ylabel(f"{contract}\nopen interest, {scale.unit}")
            from_zero(axes)
            for regime in shown.regimes:
                ends[regime] += float(shown.rows(regime, contract)["open_interest"].to_numpy(float)[-1])
        last = panels[-1]
        peaks: dict[str, float] = {}
        for regime in shown.regimes:
            rows = shown.rows(regime)
            equity = rows["equity"].to_numpy(float)
            with np.errstate(divide="ignore", invalid="ignore"):
                leverage = np.where(equity > 0.0, rows["notional"].to_numpy(float) / equity, np.nan)
            peaks[regime] = float(np.nanmax(leverage, initial=0.0))
            x, y = envelope(shown.time.position(rows), leverage)
            last.plot(x, y, **shown.styles[regime].line())
        last.set_ylabel("leverage,\nvalue held / equity")
        from_zero(last)
        shown.time.dress(last, panels)
        _legend(figure, shown)

        close = 0.01 * max(ends.values())
        said = most_and_least(ends, lambda v: f"{number(v, 0)} lots", close=close)
        title = f"Open interest ends at {said}"
        alt = (
            f"Open interest and leverage over time. {title}. Peak leverage: "
            + "; ".join(f"{r} {number(v, 2)}" for r, v in peaks.items())
            + "."
        )
        caption = "Leverage is the value of all positions, long and short, over the equity of all accounts."
        return finish(figure, folder, "leverage", _sentence(shown.where, title), alt, caption)


def _money(value: float) -> str:
    """An amount in the unit of its axis: one decimal, below one as many as show two digits."""
    small = 0.0 < abs(value) < 1.0
    return number(value, 1 - math.floor(math.log10(abs(value))) if small else 1)


def calls_figure(folder: Path, shown: Shown) -> FigureFile:
    """Margin calls, bad debt and the insurance fund."""
    with look():
        figure, (calls, debt, fund) = canvas([1.75, 1.5, 1.6])
        count = shown.scaled("count", "calls")
        _draw(calls, shown, "calls", None, count.factor, drawstyle="steps-post")
        calls.set_ylabel(f"margin calls{f', {count.unit}' if count.unit else ''}")
        owed = shown.scaled("money", "bad_debt")
        _draw(debt, shown, "bad_debt", None, owed.factor, drawstyle="steps-post")
        debt.set_ylabel(f"bad debt,\n{owed.unit}")
        for axes in (calls, debt):
            from_zero(axes)
        kept = shown.scaled("money", "fund_equity")
        _draw(fund, shown, "fund_equity", None, kept.factor)
        fund.set_ylabel(f"fund equity,\n{kept.unit}")
        shown.time.dress(fund, (calls, debt, fund))
        _legend(figure, shown)

        ends = {r: shown.rows(r).iloc[-1] for r in shown.regimes}
        called = {r: float(row["calls"]) for r, row in ends.items()}
        lost = {r: float(row["bad_debt"]) * owed.factor for r, row in ends.items()}
        says = most_and_least(called, lambda v: number(v, 0))
        if max(lost.values()) <= 0.0:
            bad = "no bad debt"
        else:
            bad = f"bad debt {most_and_least(lost, lambda v: f'{_money(v)} {owed.unit}'.strip())}"
        title = f"Margin calls: {says}; {bad}"
        alt = "Cumulative margin calls, cumulative bad debt and equity of the insurance fund over time. " + "; ".join(
            f"{r}: {number(called[r], 0)} calls, {number(float(row['liquidations']), 0)} liquidations, bad debt "
            f"{_money(lost[r])} {owed.unit}, fund {_money(float(row['fund_equity']) * kept.factor)} {kept.unit}"
            for r, row in ends.items()
        )
        caption = "Calls and bad debt are cumulative. Bad debt is gross: before the fund or anyone else covers it."
        return finish(figure, folder, "calls-and-fund", _sentence(shown.where, title), f"{alt}.", caption)


def _measured(causes: pd.DataFrame, result: Mapping[str, Any], regime: str, seed: int | None) -> pd.DataFrame:
    """The liquidations of the window over which the run was measured."""
    entries = [result, *(r for r in result.get("runs") or [] if r.get("regime") == regime and r.get("seed") == seed)]
    windows = [entry["cascade"]["window"] for entry in entries if entry.get("cascade")]
    return within(causes, *windows[0]) if windows else causes


def figures(
    folder: Path,
    result: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    events: Mapping[str, pd.DataFrame] | None = None,
    causes: Mapping[str, pd.DataFrame] | None = None,
) -> list[FigureFile]:
    """Draw every figure of a comparison or of one run into a folder.

    Args:
        folder: Where the PNG and SVG files go; made if missing.
        result: The comparison (``baseline``, ``differences``, ``seeds``, ...), or of one run at least ``regime``. Read
            where present: ``shown_seed``, ``event_step``, ``reading``, ``dates`` (ISO date by day), ``money``.
        tables: Regime -> rows of ``steps.parquet`` of the one seed shown.
        events: Regime -> rows of ``events.parquet`` of that seed; where it has liquidations, captions count accounts.
        causes: Regime -> rows of ``causes.parquet`` of that seed; the baseline's cascades are drawn.

    Returns:
        The figures in reading order: differences (where there are any), price by contract, requirements, leverage,
        calls and fund, cascades (where causes were recorded).
    """
    made: list[FigureFile] = []
    regimes = list(dict.fromkeys([*(result.get("regimes") or []), *tables]))
    styles = regime_styles(regimes)
    if compared(result):
        made.append(forest_figure(folder, result, styles))
    if tables and all(len(table) for table in tables.values()):
        baseline = str(result.get("baseline") or result.get("regime") or next(iter(tables)))
        baseline = baseline if baseline in tables else next(iter(tables))
        cut = {regime: shown_rows(table, result) for regime, table in tables.items()}
        split = {
            regime: dict(iter(table.groupby("contract", sort=False, observed=True))) for regime, table in cut.items()
        }
        seeds = result.get("seeds") or []
        seed = result.get("shown_seed", result.get("seed", seeds[0] if seeds else None))
        shown = Shown(split, events or {}, styles, baseline, seed, TimeAxis.of(cut[baseline], result), Money.of(result))
        made += [price_figure(folder, shown, contract) for contract in shown.contracts]
        made += [rates_figure(folder, shown), leverage_figure(folder, shown), calls_figure(folder, shown)]
        if causes and baseline in causes:
            named = ", ".join(part for part in (baseline if len(tables) > 1 else "", shown.where) if part)
            drawn = cascade_figure(folder, _measured(causes[baseline], result, baseline, seed), styles[baseline], named)
            made += [] if drawn is None else [drawn]
    return made
