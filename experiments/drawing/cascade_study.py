"""Figures of a cascade study: onset over R0, all or nothing, sizes on logarithmic axes, what moves the critical R0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.cascades.critical import LARGE
from experiments.cascades.settings import main_setting
from experiments.cascades.sizes import RULED_OUT, p_text
from experiments.cascades.tables import leverage_text
from experiments.drawing.canvas import FigureFile, blank, finish, look
from experiments.drawing.palette import INK, MUTED, RegimeStyle, regime_styles
from experiments.vocabulary import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Setting = tuple[float, str | None]
_LAWS = 6  # curves of sizes that one panel can hold


def figures(result: Mapping[str, Any], folder: Path) -> list[FigureFile]:
    """Draw what :func:`experiments.studies.cascades.measure` found into a folder."""
    with look():
        drawn = [_onset(result, folder), _shapes(result, folder)]
        if any("alpha" in row for row in result.get("sizes", ())):
            drawn.append(_sizes(result, folder))
        if len(result.get("critical", {}).get("settings", ())) > 1:
            drawn.append(_critical(result, folder))
        return drawn


def settings(result: Mapping[str, Any]) -> dict[Setting, list[Mapping[str, Any]]]:
    """Rows of the grid by shock and leverage, in order of R0."""
    found: dict[Setting, list[Mapping[str, Any]]] = {}
    for row in result["cascades"]:
        found.setdefault((row["shock"], row["leverage"]), []).append(row)
    return {setting: sorted(rows, key=lambda row: row["target"]) for setting, rows in found.items()}


def labels(found: Sequence[Setting]) -> dict[Setting, str]:
    """Names of settings in a legend: what varies."""
    shocks, leverages = {shock for shock, _ in found}, {leverage for _, leverage in found}
    named = {}
    for shock, leverage in found:
        parts = [f"shock x{shock:g}"] if len(shocks) > 1 else []
        if len(leverages) > 1:
            parts.append("own leverage" if leverage is None else f"leverage {leverage_text(leverage)}")
        named[shock, leverage] = ", ".join(parts) or "measured"
    return named


def _styles(names: Sequence[str]) -> dict[str, RegimeStyle]:
    """A style per curve, in the order of the palette whatever the curves are called."""
    order = regime_styles(["static", "dynamic", "portfolio", "isolated", "cross", "dynamic_initial", "a", "b"])
    slots = list(order.values())
    return {name: slots[i % len(slots)] for i, name in enumerate(names)}


def _errors(rows: Sequence[Mapping[str, Any]], name: str, key: str = "mean") -> tuple[Any, Any]:
    """Values and lengths of error bars; a missing end has no bar."""
    value = np.array([np.nan if row[name][key] is None else row[name][key] for row in rows], np.float64)
    ends = [[row[name][end] for row in rows] for end in ("low", "high")]
    low, high = (np.array([np.nan if e is None else e for e in end], np.float64) for end in ends)
    return value, np.nan_to_num(np.maximum(np.vstack([value - low, high - value]), 0.0))


def _onset(result: Mapping[str, Any], folder: Path) -> FigureFile:
    by = settings(result)
    named = labels(list(by))
    styles = _styles(list(named.values()))
    drawn = blank(3.3)
    left, right = drawn.subplots(1, 2)
    told = []
    critical = {(c["shock"], c["leverage"]): c for c in result.get("critical", {}).get("settings", ())}
    for place, (setting, rows) in enumerate(by.items()):
        style = styles[named[setting]]
        # points of one R0 stand side by side
        x = np.array([row["target"] for row in rows]) * 1.03 ** (place - (len(by) - 1) / 2)
        which = "probability_seeded" if critical else "probability"
        for axes, name, key in ((left, which, "mean"), (right, "multiplier", "ratio")):
            value, errors = _errors(rows, name, key)
            axes.errorbar(
                x, value, yerr=errors, color=style.color, marker=style.marker, markersize=4.5, capsize=2,
                linewidth=1.0, linestyle="none" if critical and axes is left else style.dashes, label=named[setting],
            )  # fmt: skip
        if setting in critical:
            _thresholds(left, critical[setting], result["critical"]["bracket"], style, 0.014 * place)
            r0 = critical[setting]["r0"]
            told.append(f"{named[setting]}: critical R0 {number(r0['value'])}")
        told.append(
            f"{named[setting]}: "
            + ", ".join(
                f"R0 {row['target']:g} P {number(row[which]['mean'])} multiplier {number(row['multiplier']['ratio'])}"
                for row in rows
            )
        )
    for axes in (left, right):
        _logarithmic(axes, [row["target"] for row in result["cascades"]], bool(critical) and axes is left, result)
        axes.set_xlabel("R0 aimed at")
    left.axhline(0.5, color=MUTED, linewidth=0.7, linestyle=":")
    right.axhline(1.0, color=MUTED, linewidth=0.7, linestyle=":")
    left.set_ylim(-0.03, 1.03)
    left.set_ylabel(f"P(over {LARGE:.0%} liquidated)".replace("%", " %"))
    right.set_ylabel("drawdown multiplier")
    if len(by) > 1:
        right.legend(frameon=False, fontsize=7.5)
    title = _finding(result, critical)
    caption = (
        "Left: share of seeds in which more than 30 % of leveraged lots are liquidated"
        + (", from the seeding of open interest on" if critical else ", from the shock on")
        + (
            "; steps: the distribution of the R0 at which each seed turns, with the interval of its median."
            if critical
            else "."
        )
        + " Right: mean fall over that of the twin without liquidations. Bars: 95 % intervals over seeds."
    )
    return finish(drawn, folder, "onset", title, f"Two panels over R0. {'; '.join(told)}.", caption)


def _finding(result: Mapping[str, Any], critical: Mapping[Setting, Mapping[str, Any]]) -> str:
    if critical:
        main = main_setting(critical)
        r0, name = critical[main]["r0"], labels(list(critical))[main]
        if r0["value"] is not None and r0["low"] is not None and r0["high"] is not None:
            ends = f"[{number(r0['low'])}, {number(r0['high'])}]"
            where = "" if len(critical) == 1 else f" ({name})"
            return f"Half of all seeds cascade from an R0 of {number(r0['value'])} {ends} on{where}"
    last = max(result["cascades"], key=lambda row: row["target"])
    p, ratio = last["probability"]["mean"], last["multiplier"]["ratio"]
    chance = "no" if p is None else f"{100 * p:.0f} %"
    return f"At R0 {last['target']:g} {chance} of seeds cascade, and the fall is {number(ratio)} times the twin's"


def _thresholds(axes: Axes, found: Mapping[str, Any], bracket: Sequence[float], style: RegimeStyle, up: float) -> None:
    """The distribution function of thresholds, and the interval of its median on the line at one half."""
    n = found["below"] + found["inside"] + found["above"]
    inside = np.sort([t for t in found["thresholds"] if t is not None])
    x = np.concatenate([[bracket[0]], inside, [bracket[1]]])
    y = np.concatenate([[found["below"]], found["below"] + np.arange(1, len(inside) + 1)]) / n
    axes.plot(x, np.append(y, y[-1]), drawstyle="steps-post", color=style.color, linewidth=1.0, alpha=0.9)
    r0 = found["r0"]
    if r0["low"] is not None and r0["high"] is not None:
        axes.plot(
            [r0["low"], r0["high"]], [0.5 + up, 0.5 + up], color=style.color, linewidth=2.5, solid_capstyle="butt"
        )


def _logarithmic(axes: Axes, targets: Sequence[float], wide: bool, result: Mapping[str, Any]) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    axes.set_xscale("log")
    shown = sorted(set(targets))
    if wide:
        low, high = result["critical"]["bracket"]
        shown = [t for t in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0) if low <= t <= high]
    elif len(shown) > 6:
        shown = shown[:: -(-len(shown) // 6)]
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{t:g}" for t in shown])


def _shapes(result: Mapping[str, Any], folder: Path) -> FigureFile:
    """Histograms of shares over seeds: one panel per R0 of the first setting."""
    setting = main_setting(settings(result))
    rows = settings(result)[setting]
    rows = rows if len(rows) <= 5 else [rows[i] for i in np.linspace(0, len(rows) - 1, 5).round().astype(int)]
    drawn = blank(2.3)
    panels = drawn.subplots(1, len(rows), sharey=True, squeeze=False)[0]
    style = _styles(["one"])["one"]
    bins = np.linspace(0.0, 1.0, 11)
    told = []
    for axes, row in zip(panels, rows, strict=True):
        shares = [
            run["liquidated_share"] for run in result["runs"]
            if (run["shock"], run["leverage"]) == setting and run["target"] == row["target"]
            and run["liquidated_share"] is not None
        ]  # fmt: skip
        counts, _ = np.histogram(np.clip(shares, 0.0, 1.0), bins)
        axes.bar(100 * bins[:-1], counts / max(len(shares), 1), width=9.0, align="edge", color=style.color)
        axes.set_title(f"R0 {row['target']:g}", color=INK)
        axes.set_xticks([0, 50, 100])
        little, much = (number(100 * (row["shape"][name]["mean"] or 0.0), 0) for name in ("little", "much"))
        told.append(f"R0 {row['target']:g}: {little} % of seeds below 10 %, {much} % above 50 %")
    panels[0].set_ylabel("share of seeds")
    panels[len(panels) // 2].set_xlabel("leveraged lots liquidated, %")
    spread = f"{much} % of seeds lose over half, {little} % under a tenth"
    title = f"What is liquidated at R0 {rows[-1]['target']:g}: {spread}"
    return finish(
        drawn, folder, "shares", title, f"Histograms over seeds. {'; '.join(told)}.",
        "Share of leveraged lots liquidated from the shock to the end of the window, over seeds.",
    )  # fmt: skip


def _sizes(result: Mapping[str, Any], folder: Path) -> FigureFile:
    """Complementary distribution functions of trees and bursts with the fitted power law above xmin."""
    from scipy import special

    first = main_setting(settings(result))
    rows = [row for row in result["sizes"] if (row["shock"], row["leverage"]) == first and row["ccdf"]]
    kinds = [kind for kind in ("trees", "bursts") if any(row["kind"] == kind for row in rows)]
    drawn = blank(3.3)
    panels = drawn.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    told = []
    for axes, kind in zip(panels, kinds, strict=True):
        chosen = [row for row in rows if row["kind"] == kind][-_LAWS:]
        styles = _styles([f"{row['target']:g}" for row in chosen])
        for row in chosen:
            style = styles[f"{row['target']:g}"]
            size, share = np.array(row["ccdf"], np.float64).T
            axes.plot(size, share, linestyle="none", marker=style.marker, markersize=3.0, color=style.color,
                      label=f"R0 {row['target']:g}")  # fmt: skip
            if "alpha" in row:
                k = np.unique(np.geomspace(row["xmin"], row["largest"], 60).round())
                tail = special.zeta(row["alpha"], k) / special.zeta(row["alpha"], row["xmin"])
                axes.plot(k, tail * row["n_tail"] / row["n"], color=style.color, linewidth=0.9)
                p = "" if row["p"] is None else f", p {p_text(row['p'], row['resamples'])}"
                told.append(f"{kind} at R0 {row['target']:g}: exponent {number(row['alpha'])}{p}")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_title(kind, color=INK)
        axes.set_xlabel("liquidations")
    panels[0].set_ylabel("share at least as large")
    panels[0].legend(frameon=False, fontsize=7.5)
    fitted = [row for row in rows if "alpha" in row]
    last = max(fitted, key=lambda row: (row["kind"] == "trees", row["target"]))
    title = f"Sizes of {last['kind']} at R0 {last['target']:g}: exponent {number(last['alpha'])}"
    if last["p"] is not None:
        ruled = "is ruled out" if last["p"] < RULED_OUT else "is not ruled out"
        title += f", a power law {ruled} (p\u00a0{p_text(last['p'], last['resamples'])})"
    return finish(
        drawn, folder, "sizes", title, f"Distribution functions on logarithmic axes. {'; '.join(told)}.",
        "Trees: a root with all whom its forced sales brought down. Bursts: what is liquidated in consecutive steps. "
        "Lines: power laws above xmin, by maximum likelihood.",
    )  # fmt: skip


def _critical(result: Mapping[str, Any], folder: Path) -> FigureFile:
    """The critical R0 of every setting with its interval."""
    found = result["critical"]["settings"]
    named = labels([(c["shock"], c["leverage"]) for c in found])
    style = _styles(["one"])["one"]
    drawn = blank(0.9 + 0.3 * len(found))
    axes = drawn.subplots()
    told = []
    for place, row in enumerate(found):
        name, r0 = named[row["shock"], row["leverage"]], row["r0"]
        if r0["value"] is None:
            axes.annotate("not reached", (0.5, place), xycoords=("axes fraction", "data"), ha="center", va="center",
                          fontsize=7.5, color=MUTED)  # fmt: skip
            told.append(f"{name}: not reached")
            continue
        if r0["low"] is not None:
            end = r0["high"] if r0["high"] is not None else result["critical"]["bracket"][1]
            axes.plot([r0["low"], end], [place, place], color=style.color, linewidth=1.4)
        axes.plot([r0["value"]], [place], marker=style.marker, color=style.color, markersize=5)
        told.append(f"{name}: {number(r0['value'])} [{number(r0['low'])}, {number(r0['high'])}]")
    axes.set_yticks(range(len(found)), [named[c["shock"], c["leverage"]] for c in found])
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("critical R0")
    values = [c["r0"]["value"] for c in found if c["r0"]["value"] is not None]
    title = (
        f"The critical R0 lies between {number(min(values))} and {number(max(values))} over shocks and leverage"
        if values
        else "No setting reaches its critical R0"
    )
    caption = "Median over seeds of the R0 at which each turns, with the interval between two order statistics."
    return finish(drawn, folder, "critical", title, f"{'; '.join(told)}.", caption)
