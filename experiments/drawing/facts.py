"""The page of stylised facts: twelve panels, simulated seeds as a band, empirical ranges shaded."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.drawing.canvas import FIGURES, FigureFile, blank, finish, look
from experiments.drawing.palette import GRID, INK, MUTED
from experiments.facts.catalogue import fact
from experiments.facts.series import horizon_text, seconds_text
from experiments.facts.sheet import MISS, PASS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

HEIGHT = 9.3
NAME = "stylized-facts"
_LINE, _BAND, _REAL = "#004488", "#6699cc", "#ddaa33"
_TIMES, _MINUS = "\N{MULTIPLICATION SIGN}", "\N{MINUS SIGN}"


def figure(result: Mapping[str, Any], folder: Path) -> FigureFile:
    """Draw what :mod:`experiments.studies.stylized_facts` found into a folder, as PNG and SVG."""
    with look():
        return _page(result, folder)


def draw(folder: Path, result: Mapping[str, Any]) -> None:
    """Draw the figure of an output folder."""
    figure(result, folder / FIGURES)


def _page(result: Mapping[str, Any], folder: Path) -> FigureFile:
    drawn = blank(HEIGHT)
    grid = drawn.subplots(6, 2)
    panels: tuple[Callable[[Axes, _Curves], None], ...] = (
        _returns, _spread, _acf, _acf_abs, _acf_sign, _signature, _ccdf, _hill, _kurtosis, _leverage, _volume, _hurst,
    )  # fmt: skip
    known = _Curves(result)
    for axes, panel in zip(grid.ravel(), panels, strict=True):
        axes.tick_params(labelsize=7.0, length=2.5, pad=2.0)
        axes.grid(True, axis="both", color=GRID, linewidth=0.5)
        panel(axes, known)
        axes.set_title(axes.get_title(loc="left"), loc="left", fontsize=8.2, color=INK, pad=4.0)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set_fontsize(7.2)
        axes.xaxis.labelpad = axes.yaxis.labelpad = 1.5
    verdicts = result["sheet"]["verdicts"]
    judged = verdicts[PASS] + verdicts[MISS]
    seeds = len(result["seeds"])
    many = f", {seeds} seed{'' if seeds == 1 else 's'}" if result["kind"] == "simulated" else ""
    title = f"{result['name']}{many}: {verdicts[PASS]} of {judged} stylised facts lie in their empirical range"
    alt = "; ".join(
        f"{row['what']} {row['median']:.3g} ({row['verdict']})"
        for row in result["sheet"]["facts"]
        if row["median"] is not None
    )
    band = "Line: median over seeds; band: from the 5th to the 95th percentile. " if seeds > 1 else ""
    caption = f"{band}Grey: empirical range at the same horizon (experiments/facts/catalogue.py names the sources)."
    return finish(drawn, folder, NAME, title, alt, caption)


class _Curves:
    """The curves of every run, on the grid of the longest."""

    def __init__(self, result: Mapping[str, Any]) -> None:
        self.runs = [run["curves"] for run in result["runs"]]
        self.base, self.tail = (float(self.runs[0][key]) for key in ("base_seconds", "tail_seconds"))
        self.facts = {row["name"]: row for row in result["sheet"]["facts"]}
        self.suffix = "_day" if self.base >= 86_400.0 else ""

    @property
    def base_text(self) -> str:
        return horizon_text(self.base)

    @property
    def tail_text(self) -> str:
        return horizon_text(self.tail)

    def stacked(self, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Grid and values of each run on it, float64[runs, points]; None where no run has the curve."""
        have = [run[name] for run in self.runs if name in run]
        if not have:
            return None
        x = max((curve["x"] for curve in have), key=len)
        table = np.full((len(have), len(x)), np.nan)
        place = {value: i for i, value in enumerate(x)}
        for row, curve in zip(table, have, strict=True):
            for at, value in zip(curve["x"], curve["y"], strict=True):
                if value is not None and at in place:
                    row[place[at]] = value
        kept = np.isfinite(table).sum(axis=0) * 2 >= len(table)
        return (np.asarray(x, np.float64)[kept], table[:, kept]) if kept.any() else None

    def median(self, *names: str) -> str:
        """The first of the facts that was measured, as text for a panel's corner."""
        for name in names:
            row = self.facts.get(name)
            if row is not None and row["median"] is not None:
                return f"{row['median']:.2f}".replace("-", _MINUS)
        return ""


def _draw(axes: Axes, curves: _Curves, name: str, color: str = _LINE, label: str | None = None) -> bool:
    """Median and band of a curve; says that it is not measurable where there is none."""
    found = curves.stacked(name)
    if found is None:
        if label is None:
            _absent(axes)
        return False
    x, table = found
    if len(table) > 1:
        low, high = np.nanquantile(table, [0.05, 0.95], axis=0)
        axes.fill_between(x, low, high, color=color, alpha=0.28, linewidth=0.0)
    axes.plot(x, np.nanmedian(table, axis=0), color=color, linewidth=1.3, label=label)
    return True


def _absent(axes: Axes) -> None:
    axes.text(0.5, 0.5, "not measurable on this series", transform=axes.transAxes, ha="center", va="center",
              fontsize=7.5, color=MUTED)  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)


def _shade(axes: Axes, low: float, high: float, x: Sequence[float] | None = None) -> None:
    """An empirical range: over the whole panel, or between two places of the horizontal axis."""
    if x is None:
        axes.axhspan(low, high, color=MUTED, alpha=0.16, linewidth=0.0, zorder=0.5)
    else:
        axes.fill_between(x, low, high, color=MUTED, alpha=0.16, linewidth=0.0, zorder=0.5)


def _plain(axis: Axis) -> None:
    """Numbers instead of powers of ten on a logarithmic axis that spans few of them."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _fan(axes: Axes, curves: _Curves, name: str, low: float, high: float) -> None:
    """Decays of the empirical exponents, through the first point of the median."""
    found = curves.stacked(name)
    if found is None:
        return
    x, table = found
    middle = np.nanmedian(table, axis=0)
    start = float(middle[0])
    if start > 0:
        axes.fill_between(x, start * x**-high, start * x**-low, color=MUTED, alpha=0.16, linewidth=0.0, zorder=0.5)
    axes.set_xscale("log")
    axes.set_yscale("log")
    top = float(np.nanmax(np.nanquantile(table, 0.95, axis=0)))
    if top > 0:
        axes.set_ylim(max(top * 10**-2.2, 1e-3), top * 1.6)


def _corner(axes: Axes, text: str, *, right: bool = True, top: bool = True) -> None:
    axes.text(0.975 if right else 0.03, 0.94 if top else 0.06, text, transform=axes.transAxes, fontsize=6.8,
              color=INK, ha="right" if right else "left", va="top" if top else "bottom")  # fmt: skip


def _returns(axes: Axes, curves: _Curves) -> None:
    run = curves.runs[0]["returns"]
    years = curves.tail >= 86_400.0
    axes.plot(run["x"], [math.nan if y is None else y for y in run["y"]], color=_LINE, linewidth=0.45)
    axes.set_title(
        f"{curves.tail_text[:1].upper()}{curves.tail_text[1:]} returns"
        + (", first seed" if len(curves.runs) > 1 else "")
    )
    axes.set_xlabel("years" if years else "days")
    axes.set_ylabel("%")


def _spread(axes: Axes, curves: _Curves) -> None:
    axes.set_title("Quoted spread")
    found = curves.stacked("spread")
    if not _draw(axes, curves, "spread") or found is None:
        return
    known = fact("spread_bp")
    _shade(axes, 0.01, known.high)
    wide = found[1]
    axes.set_ylim(0.7 * float(np.nanmin(wide)), 1.3 * max(known.high, float(np.nanmax(wide))))
    axes.set_xlim(0.0, 1.0)
    axes.set_yscale("log")
    _plain(axes.yaxis)
    axes.set_xlabel("share of time below")
    axes.set_ylabel("bp")
    _corner(axes, f"mean {curves.median('spread_bp')}", right=False)


def _acf(axes: Axes, curves: _Curves) -> None:
    axes.set_title(f"Autocorrelation of r, {curves.base_text} returns")
    if not _draw(axes, curves, "acf"):
        return
    if curves.base == 60.0:
        _shade(axes, fact("ac1").low, fact("ac1").high, (0.5, 1.5))
        _shade(axes, fact("ac2").low, fact("ac2").high, (1.5, 30.5))
    elif curves.suffix:
        _shade(axes, fact("ac1_day").low, fact("ac1_day").high, (0.5, 30.5))
    axes.axhline(0.0, color=MUTED, linewidth=0.6)
    axes.set_xlim(0.5, 30.5)
    axes.set_ylim(-0.4, 0.25)
    axes.set_xlabel(f"lag ({_lag_unit(curves)})")


def _lag_unit(curves: _Curves) -> str:
    return {60.0: "minutes", 86_400.0: "days"}.get(curves.base, f"{_TIMES} {seconds_text(curves.base)}")


def _acf_abs(axes: Axes, curves: _Curves) -> None:
    axes.set_title(f"Autocorrelation of |r|, {curves.base_text} returns")
    if not _draw(axes, curves, "acf_abs"):
        return
    name = f"abs_decay{curves.suffix}"
    _fan(axes, curves, "acf_abs", fact(name).low, fact(name).high)
    axes.set_xlabel(f"lag ({_lag_unit(curves)})")
    shown = curves.median(name)
    _corner(axes, f"exponent {shown}" if shown else "no power law", right=False, top=False)


def _acf_sign(axes: Axes, curves: _Curves) -> None:
    axes.set_title("Autocorrelation of order signs")
    if not _draw(axes, curves, "acf_sign"):
        return
    _fan(axes, curves, "acf_sign", fact("sign_decay").low, fact("sign_decay").high)
    axes.set_xlabel("lag (taker orders)")
    shown = curves.median("sign_decay")
    _corner(axes, f"exponent {shown}" if shown else "no power law", right=False, top=False)


def _signature(axes: Axes, curves: _Curves) -> None:
    axes.set_title("Volatility signature")
    if not _draw(axes, curves, "signature"):
        return
    axes.set_xscale("log")
    _plain(axes.xaxis)
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel(f"horizon ({_lag_unit(curves)})")
    axes.set_ylabel("% per year" if curves.suffix else "% per day")
    shown = curves.median("signature_ratio")
    if shown:
        _corner(axes, f"1 minute / 1 hour {shown}")


def _ccdf(axes: Axes, curves: _Curves) -> None:
    from scipy import stats

    axes.set_title(f"Distribution of {curves.tail_text} returns")
    found = curves.stacked("ccdf")
    if found is None:
        _absent(axes)
        return
    level, table = found
    if len(table) > 1:
        low, high = np.nanquantile(table, [0.05, 0.95], axis=0)
        axes.fill_betweenx(level, low, high, color=_LINE, alpha=0.28, linewidth=0.0)
    middle = np.nanmedian(table, axis=0)
    axes.plot(middle, level, color=_LINE, linewidth=1.3)
    x = np.geomspace(0.3, max(10.0, float(np.nanmax(table))), 200)
    normal = 2 * stats.norm.sf(x)
    axes.plot(x[normal > 1e-5], normal[normal > 1e-5], color=MUTED, linewidth=0.9, linestyle="--")
    at = float(np.interp(0.05, level, middle))
    far = x[x > at]
    # exponents two to five through the point above which five per cent lie
    axes.fill_between(far, 0.05 * (far / at) ** -5.0, 0.05 * (far / at) ** -2.0, color=MUTED, alpha=0.16, linewidth=0.0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(0.3, x[-1])
    _plain(axes.xaxis)
    axes.set_ylim(0.5 * float(level.min()), 1.0)
    axes.set_xlabel("absolute return over its root mean square")
    axes.set_ylabel("share above")
    _corner(axes, "dashed: normal law", right=False, top=False)


def _hill(axes: Axes, curves: _Curves) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_title(f"Hill plot, {curves.tail_text} returns")
    if not _draw(axes, curves, "hill"):
        return
    names = {600.0: "hill_10min", 86_400.0: "hill_day"}
    if curves.tail in names:
        known = fact(names[curves.tail])
        _shade(axes, known.low, known.high)
        _corner(axes, f"at 5 %: {curves.median(known.name)}")
    axes.axvline(0.05, color=MUTED, linewidth=0.7, linestyle=":")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([0.005, 0.01, 0.02, 0.05, 0.1, 0.2]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g} %"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(0.0, 8.0)
    axes.set_xlabel("share of the sample in the tail")
    axes.set_ylabel("exponent")


def _kurtosis(axes: Axes, curves: _Curves) -> None:
    from matplotlib.ticker import NullLocator

    axes.set_title("Excess kurtosis")
    if not _draw(axes, curves, "kurtosis"):
        return
    axes.set_xscale("log")
    _plain(axes.xaxis)
    axes.set_yscale("symlog", linthresh=1.0)
    axes.set_yticks([0, 1, 3, 10, 30, 100, 300], ["0", "1", "3", "10", "30", "100", "300"])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.axhline(0.0, color=MUTED, linewidth=0.6)
    at = {60.0: ("kurtosis_5min", 5.0), 86_400.0: ("kurtosis_day", 1.0)}.get(curves.base)
    if at is not None:
        known = fact(at[0])
        axes.vlines(at[1], known.low, known.high, color=MUTED, alpha=0.35, linewidth=5.0)
    axes.set_xlabel(f"horizon ({_lag_unit(curves)})")


def _leverage(axes: Axes, curves: _Curves) -> None:
    axes.set_title(f"Leverage effect, {curves.tail_text} returns")
    if not _draw(axes, curves, "leverage"):
        return
    known = fact(f"leverage{curves.suffix or '_10min'}")
    _shade(axes, known.low, known.high, (0.5, 10.5))
    axes.axhline(0.0, color=MUTED, linewidth=0.6)
    axes.set_xlim(0.5, 30.5)
    axes.set_ylim(-0.35, 0.25)
    axes.set_xlabel(f"lag ({_TIMES} {seconds_text(curves.tail)})")
    axes.set_ylabel("corr. with later |r|")


def _volume(axes: Axes, curves: _Curves) -> None:
    axes.set_title(f"Volume and volatility, {curves.tail_text} intervals")
    if not _draw(axes, curves, "volume"):
        return
    axes.axhline(1.0, color=MUTED, linewidth=0.6)
    axes.set_xticks(range(1, 11))
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("decile of volume")
    axes.set_ylabel("|r| over its mean")
    shown = curves.median(f"volume_volatility{curves.suffix}")
    _corner(axes, f"correlation {shown}" if shown else "", right=False)


def _hurst(axes: Axes, curves: _Curves) -> None:
    axes.set_title(f"Fluctuations (DFA), {curves.base_text} returns")
    have = [
        _draw(axes, curves, name, color, label)
        for name, color, label in (
            ("dfa", _LINE, f"r, H {curves.median(f'hurst{curves.suffix}')}"),
            ("dfa_abs", _REAL, f"|r|, H {curves.median(f'hurst_abs{curves.suffix}')}"),
        )
    ]
    if not any(have):
        _absent(axes)
        return
    found = curves.stacked("dfa")
    if found is not None:
        scale = found[0] / found[0][0]
        known = fact(f"hurst{curves.suffix}")
        axes.fill_between(found[0], scale ** (known.low - 0.5), scale ** (known.high - 0.5), color=MUTED, alpha=0.16,
                          linewidth=0.0, zorder=0.5)  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    _plain(axes.xaxis)
    axes.set_xlabel(f"window ({_lag_unit(curves)})")
    axes.legend(loc="upper left", frameon=False, fontsize=6.5, handlelength=1.4, borderpad=0.1, labelcolor=INK)
    axes.set_ylabel("over a random walk\N{RIGHT SINGLE QUOTATION MARK}s")
    _plain(axes.yaxis)
