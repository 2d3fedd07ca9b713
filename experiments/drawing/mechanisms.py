"""Figures of a mechanism study: curve and path of each arm, amplification against gain, heat maps over a grid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.drawing.canvas import FIGURES, FigureFile, blank, finish, look
from experiments.drawing.palette import INK, MUTED, RegimeStyle, regime_styles
from experiments.impact.mechanisms_report import ARMS
from experiments.impact.mechanisms_summary import ORDER

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SLOTS = dict(zip(ORDER, ("static", "portfolio", "isolated", "dynamic"), strict=True))
_SHOWN = {"none": "neither", "dealers": "dealers hedge", "liquidations": "liquidations", "both": "both"}
_KEY = "mean_impact"
"""The reading that is drawn: it has the least noise."""


def figures(result: Mapping[str, Any], folder: Path) -> list[FigureFile]:
    """Draw what :func:`experiments.impact.mechanisms.measure` found into a folder, as PNG and SVG."""
    with look():
        drawn = [_gain(result, folder)]
        if len(result["groups"][0]["effects"]) > 1:
            drawn.append(_curve(result, folder))
        if len(result["groups"][0]["arms"]["none"]["path"]["time"]) > 2:
            drawn.append(_path(result, folder))
        if grid(result) is not None:
            drawn.append(_heat(result, folder))
        return drawn


def draw(folder: Path, result: Mapping[str, Any]) -> None:
    """Draw the figures of an output folder."""
    figures(result, folder / FIGURES)


def grid(result: Mapping[str, Any]) -> tuple[list[float], list[float], dict[tuple[float, float], Any]] | None:
    """Gammas, R0s and the group at each, of the first regime; None where the cells are no grid of both."""
    own = [group for group in result["groups"] if group["regime"] == result["groups"][0]["regime"]]
    if any(group["gamma"] is None or group["r0_target"] is None for group in own):
        return None
    gammas = sorted({group["gamma"] for group in own}, key=abs)
    targets = sorted({group["r0_target"] for group in own})
    found = {(group["gamma"], group["r0_target"]): group for group in own}
    if len(gammas) < 2 or len(targets) < 2 or len(found) < len(gammas) * len(targets):
        return None
    return gammas, targets, found


def _style(arm: str) -> RegimeStyle:
    return regime_styles(list(_SLOTS.values()))[_SLOTS[arm]]


def _where(result: Mapping[str, Any]) -> str:
    return f"{result['scenario']}, {result['reading']}, {len(result['seeds'])} seeds."


def _largest(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """The group whose gain is largest: the one whose curve and path are drawn."""
    found: Mapping[str, Any] = max(result["groups"], key=lambda group: group["gain"]["all"]["mean"] or 0.0)
    return found


def _curve(result: Mapping[str, Any], folder: Path) -> FigureFile:
    drawn = blank(3.6)
    axes = drawn.subplots()
    group = _largest(result)
    told = []
    for arm in ORDER:
        style, rows = _style(arm), group["arms"][arm]["curve"][_KEY]
        q = np.array([row["executed"] for row in rows])
        y = np.array([row["impact"] for row in rows])
        low = np.array([row["impact"] if row["low"] is None else row["low"] for row in rows])
        high = np.array([row["impact"] if row["high"] is None else row["high"] for row in rows])
        axes.errorbar(
            100 * q, y, yerr=np.maximum([y - low, high - y], 0.0), color=style.color, marker=style.marker, capsize=2.5,
            markersize=4.5, linewidth=1.0, linestyle="none", label=_SHOWN[arm],
        )  # fmt: skip
        exponent, prefactor = (group["arms"][arm]["laws"][_KEY][key]["value"] for key in ("exponent", "prefactor"))
        if exponent is not None and len(q) > 1:
            at = np.geomspace(q.min() / 1.2, q.max() * 1.2, 100)
            axes.plot(100 * at, prefactor * at**exponent, **style.line())
        told.append(f"{_SHOWN[arm]}: " + ", ".join(f"{v:.2f} at {100 * s:.2g} %" for s, v in zip(q, y, strict=True)))
    axes.axhline(0.0, color=MUTED, linewidth=0.7)
    axes.set_xlabel("size, % of daily volume")
    axes.set_ylabel("impact, mean while worked,\ndaily volatilities")
    axes.legend(frameon=False, fontsize=7.5, loc="upper left")
    title = f"Impact with each mechanism, {group['cell']}"
    caption = f"{_where(result)} Mean over seeds with 95 % interval; lines: power laws."
    return finish(drawn, folder, "mechanisms-curve", title, "; ".join(told) + ".", caption)


def _path(result: Mapping[str, Any], folder: Path) -> FigureFile:
    drawn = blank(3.4)
    axes = drawn.subplots()
    group = _largest(result)
    told = []
    for arm in ORDER:
        style, found = _style(arm), group["arms"][arm]["path"]
        time, row = np.array(found["time"], float), found["sizes"][-1]
        mean = np.array(row["impact"], float)
        error = np.array([np.nan if value is None else value for value in row["se"]], float)
        axes.plot(time, mean, label=_SHOWN[arm], **style.line())
        axes.fill_between(time, mean - 1.96 * error, mean + 1.96 * error, color=style.color, alpha=0.12, lw=0)
        told.append(f"{_SHOWN[arm]}: {mean[np.argmin(abs(time - 1))]:.2f} at the end, {mean[-1]:.2f} at {time[-1]:g}")
    axes.axhline(0.0, color=MUTED, linewidth=0.7)
    axes.axvline(1.0, color=INK, linewidth=0.7)
    axes.set_xlim(0.0, float(time[-1]))
    axes.set_xlabel("time since the start, durations of the metaorder (it ends at 1)")
    axes.set_ylabel("impact, daily volatilities")
    axes.legend(frameon=False, fontsize=7.5, loc="upper right")
    title = f"Impact of the largest size while it is worked and after, {group['cell']}"
    caption = f"{_where(result)} Against twins with the same mechanisms and no metaorder. Band: 95 % over seeds."
    return finish(drawn, folder, "mechanisms-path", title, "; ".join(told) + ".", caption)


_PART = {"dealers": "gamma", "liquidations": "liquidations", "both": "all"}


def _gain(result: Mapping[str, Any], folder: Path) -> FigureFile:
    drawn = blank(3.6)
    axes = drawn.subplots()
    told, highest = [], 1.0
    for arm in ARMS:
        style = _style(arm)
        for i, group in enumerate(result["groups"]):
            one = group["effects"][-1][_KEY]["amplification"][arm]
            g = group["gain"][_PART[arm]]["mean"]
            if one["ratio"] is None or g is None:
                continue
            low, high = (one["ratio"] if one[end] is None else one[end] for end in ("low", "high"))
            axes.errorbar(
                [g], [one["ratio"]], yerr=[[max(one["ratio"] - low, 0.0)], [max(high - one["ratio"], 0.0)]],
                color=style.color, marker=style.marker, markersize=4.5, capsize=2.0, linewidth=0.9, linestyle="none",
                label=_SHOWN[arm] if i == 0 else None,
            )  # fmt: skip
            highest = max(highest, high)
            told.append(f"{_SHOWN[arm]}, {group['cell']}: gain {g:.2f}, amplification {one['ratio']:.2f}")
    grid_of_gains = np.linspace(0.0, 1.0 - 1.0 / (1.3 * highest + 0.5), 200)
    axes.plot(grid_of_gains, 1.0 / (1.0 - grid_of_gains), color=MUTED, linestyle=":", label="1 / (1 - g), flat book")
    axes.axhline(1.0, color=MUTED, linewidth=0.7)
    axes.set_xlabel("gain of the map at the start, mean within 5 %")
    axes.set_ylabel("amplification, mean while worked")
    axes.legend(frameon=False, fontsize=7.5, loc="upper left")
    group = _largest(result)
    ratio = group["effects"][-1][_KEY]["amplification"]["both"]["ratio"]
    title = "Amplification against the gain"
    if ratio is not None:
        gain = group["gain"]["all"]["mean"]
        title = f"At the largest gain, {gain:.2f}, both mechanisms multiply impact by {ratio:.2f}"
    caption = f"{_where(result)} Largest size; a point per cell and regime with 95 % interval."
    return finish(drawn, folder, "mechanisms-gain", title, "; ".join(told) + ".", caption)


def _heat(result: Mapping[str, Any], folder: Path) -> FigureFile:
    found = grid(result)
    assert found is not None
    gammas, targets, groups = found
    drawn = blank(2.9)
    panels = drawn.subplots(1, 2)
    amplified = np.full((len(gammas), len(targets)), np.nan)
    crossed, marks, told = np.full_like(amplified, np.nan), {}, []
    for i, gamma in enumerate(gammas):
        for j, target in enumerate(targets):
            effect = groups[gamma, target]["effects"][-1][_KEY]
            ratio, row = effect["amplification"]["both"]["ratio"], effect["interaction"]
            amplified[i, j] = np.nan if ratio is None else ratio
            crossed[i, j] = row["mean"]
            marks[i, j] = "*" if row["significant"] else ""
            told.append(f"gamma {gamma:g}, R0 {target:g}: {amplified[i, j]:.2f}, {row['mean']:+.3f}{marks[i, j]}")
    _cells(panels[0], amplified, 1.0, "{:.2f}", {}, "both over neither")
    least = min(group["effects"][-1][_KEY]["interaction"]["p_holm"] for group in groups.values())
    _cells(panels[1], crossed, 0.0, "{:+.3f}", marks, f"both less the sum, least p {least:.2f}", 0.1)
    for axes in panels:
        axes.set_xticks(range(len(targets)), [f"{target:g}" for target in targets])
        axes.set_yticks(range(len(gammas)), [f"{gamma:g}" for gamma in gammas])
        axes.set_xlabel("R0 of the leveraged traders")
        axes.set_ylabel("dealers' gamma over depth")
    title = "Amplification of impact by both mechanisms, and their interaction"
    caption = f"{_where(result)} Mean while worked, largest size; interaction in daily volatilities, * p < .05 (Holm)."
    return finish(drawn, folder, "mechanisms-grid", title, "; ".join(told) + ".", caption)


def _cells(
    axes: Axes, values: Any, middle: float, form: str, marks: Mapping[Any, str], title: str, least: float = 1e-9
) -> None:
    """Draw a heat map; colours reach at least so far from the middle, so that noise stays pale."""
    reach = max(float(np.nanmax(np.abs(values - middle), initial=0.0)), least)
    axes.imshow(values, cmap="RdBu_r", vmin=middle - 1.6 * reach, vmax=middle + 1.6 * reach, aspect="auto")
    for i, j in np.ndindex(values.shape):
        axes.text(j, i, form.format(values[i, j]) + marks.get((i, j), ""), ha="center", va="center", color=INK)
    axes.grid(visible=False)
    axes.set_title(title, fontsize=8.5)
