"""Figures at the widths of a printed page: one column and two, as PDF and SVG, without a title.

A figure is drawn once, for a page of its own width (:mod:`experiments.drawing.canvas`), and then laid out again: panels
that stood side by side go below each other where a column has no room, texts are brought to sizes that print can hold,
heads are wrapped, legends get as many columns as fit, labels of an axis that would touch are thinned out. The title
moves into the caption, which a ``.tex`` file beside the drawing holds.
"""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from experiments.latex import figure_float

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase
    from matplotlib.legend import Legend
    from matplotlib.text import Text

PAGE = 8.9
"""Inches of a page that a figure may fill, so that its caption has room below it."""
LEAST = 0.62
"""Share of its height on the screen that a panel keeps at least when a column is filled."""
RASTER_DPI = 400
_WHOLE = 0.94  # share of the width that a legend of the whole figure may take: it is centred on the panels
_PANEL = 0.85  # share of a panel's part of the width that is left for a legend beside the labels of its axis
_METADATA = {
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None, "Format": None, "Type": None},
}


@dataclass(frozen=True)
class Width:
    """A width of print.

    Attributes:
        name: of its folder.
        inches: of the drawing.
        smallest: least size of a text, points.
        largest: greatest size of a text, points.
        stacked: put panels below each other where there is room.
    """

    name: str
    inches: float
    smallest: float
    largest: float
    stacked: bool


COLUMN = Width("column", 3.4, 7.0, 8.0, stacked=True)
DOUBLE = Width("double", 7.0, 7.0, 9.0, stacked=False)


def save(
    figure: Figure, folder: Path, name: str, title: str, caption: str, *, title_inches: float,
    refit: Callable[[Figure], None] | None = None,
) -> list[Path]:  # fmt: skip
    """Write a finished figure in both widths; the figure is changed.

    Args:
        figure: drawn and laid out for the screen.
        folder: gets ``double/`` and ``column/``, each with PDF and SVG, and ``column/NAME.tex``.
        name: stem of the files.
        title: the finding, first sentence of the caption.
        caption: how to read it.
        title_inches: height that the title took.
        refit: called once each width is laid out, for what depends on places on paper, such as names beside points.

    Returns:
        The files.
    """
    if figure._suptitle is not None:  # type: ignore[attr-defined]
        figure._suptitle.set_visible(False)  # type: ignore[attr-defined]
        figure._suptitle.set_in_layout(False)  # type: ignore[attr-defined]
    height = max(figure.get_figheight() - title_inches, 1.0)
    written = _at(figure, DOUBLE, height, folder, name, refit)
    growth = _stack(figure, height)
    column = min(height * growth, max(PAGE, height * growth * LEAST)) if growth > 1.0 else min(height, PAGE)
    written += _at(figure, COLUMN, column, folder, name, refit)
    text = folder / COLUMN.name / f"{name}.tex"
    # what a column could only hold as a strip of the whole page goes over both
    text.write_text(figure_float(name, title, caption, wide=column > 0.75 * PAGE), encoding="utf-8", newline="\n")
    return [*written, text]


def _at(
    figure: Figure, width: Width, height: float, folder: Path, name: str, refit: Callable[[Figure], None] | None
) -> list[Path]:
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure.set_size_inches(width.inches, height)
    _sizes(figure, width)
    _legends(figure)  # first: one that is wider than its panel squeezes it
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03)
    figure.set_layout_engine(layout)
    layout.execute(figure)
    for fitting in (_wrap, _thin):
        if fitting(figure):
            layout.execute(figure)
    figure.set_layout_engine(None)  # not "none", which would lay out nothing twice for each file
    if refit is not None:
        refit(figure)
    place = folder / width.name
    place.mkdir(parents=True, exist_ok=True)
    written = []
    for ending, metadata in _METADATA.items():
        path = place / f"{name}.{ending}"
        figure.savefig(path, metadata=metadata, facecolor="white", dpi=RASTER_DPI)
        written.append(path)
    return written


def _containers(figure: FigureBase) -> list[FigureBase]:
    """Subfigures, or the figure itself."""
    return list(figure.subfigs) or [figure]


def _stack(figure: Figure, height: float) -> float:
    """Arrange panels in fewer columns; returns by how much the figure's height grows."""
    parts = _containers(figure)
    shapes = [_shape(part) for part in parts]
    widest = max((columns for _, columns in shapes), default=1)
    if widest <= 1:
        return 1.0
    grids = [part.get_subplotspec() for part in parts] if figure.subfigs else []  # type: ignore[attr-defined]
    ratios = list(grids[0].get_gridspec().get_height_ratios() or [1.0] * len(parts)) if grids else [1.0]
    for kept in range(1, widest + 1):
        grown = [
            ratio * _rows_for(part, kept) / max(rows, 1)
            for part, ratio, (rows, _) in zip(parts, ratios, shapes, strict=True)
        ]
        growth = sum(grown) / sum(ratios)
        if height * growth * LEAST <= PAGE or kept == widest:
            break
    for part in parts:
        _arrange(part, kept)
    if grids:
        grids[0].get_gridspec().set_height_ratios(grown)
    return growth


def _panels(part: FigureBase) -> list[Axes]:
    """Panels in a grid, row by row, without those that are switched off."""
    found = [axes for axes in cast("list[Axes]", part.axes) if axes.get_subplotspec() is not None and axes.axison]
    return sorted(found, key=lambda axes: _place(axes))


def _place(axes: Axes) -> tuple[int, int]:
    spec = axes.get_subplotspec()
    assert spec is not None
    return spec.rowspan.start, spec.colspan.start


def _shape(part: FigureBase) -> tuple[int, int]:
    panels = _panels(part)
    if not panels:
        return 1, 1
    grid = panels[0].get_subplotspec().get_gridspec()  # type: ignore[union-attr]
    return grid.nrows, grid.ncols


def _rows_for(part: FigureBase, columns: int) -> int:
    rows, now = _shape(part)
    return rows if now <= columns else math.ceil(len(_panels(part)) / columns)


def _arrange(part: FigureBase, columns: int) -> None:
    """Put panels of a grid into fewer columns, with the labels that a neighbour used to show for them."""
    panels = _panels(part)
    rows, now = _shape(part)
    if now <= columns:
        return
    for axes in cast("list[Axes]", part.axes):
        if not axes.axison and axes.get_subplotspec() is not None:
            axes.set_in_layout(False)
            axes.set_visible(False)
    places = [_place(axes) for axes in panels]
    first = {row: axes for axes, (row, column) in zip(reversed(panels), reversed(places), strict=True)}
    inner = [axes for axes, (row, column) in zip(panels, places, strict=True) if axes is not first[row]]
    for axes, (row, _) in zip(panels, places, strict=True):
        leader = first[row]
        shared = axes.get_shared_y_axes().joined(axes, leader)
        labels = [label.get_text() for label in leader.get_yticklabels()]
        same = axes in inner and list(axes.get_yticks()) == list(leader.get_yticks())
        blank = not any(label.get_text() for label in axes.get_yticklabels())
        if axes in inner and (shared or (same and blank)):
            if not shared and any(labels):
                axes.set_yticks(list(leader.get_yticks()), labels)
            axes.tick_params(axis="y", labelleft=True)
            if not axes.get_ylabel():
                axes.set_ylabel(leader.get_ylabel())
    grid = part.add_gridspec(math.ceil(len(panels) / columns), columns)  # type: ignore[attr-defined]
    for i, axes in enumerate(panels):
        axes.set_subplotspec(grid[i // columns, i % columns])
        if rows > 1 or now > 1:
            axes.tick_params(axis="x", labelbottom=True)


def _texts(figure: Figure) -> Iterable[Text]:
    from matplotlib.text import Text

    return (text for text in figure.findobj(Text) if text.get_text())  # type: ignore[attr-defined]


def _sizes(figure: Figure, width: Width) -> None:
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        size = float(text.get_fontsize())  # type: ignore[attr-defined]
        text.set_fontsize(min(max(size, width.smallest), width.largest))  # type: ignore[attr-defined]
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            size = min(max(float(_tick_size(axis)), width.smallest), width.largest)
            axis.set_tick_params(labelsize=size)


def _tick_size(axis: Any) -> float:
    labels = axis.get_ticklabels()
    return float(labels[0].get_fontsize()) if labels else 8.0


def _wrap(figure: Figure) -> bool:
    """Wrap heads of panels, labels of axes and texts within panels to their room; true where any was."""
    from matplotlib.text import Annotation

    wrapped = False
    for axes in figure.axes:
        if not axes.axison:
            continue
        panel = axes.get_window_extent()
        for head in (axes.title, axes._left_title, axes._right_title):  # type: ignore[attr-defined]
            wrapped |= _fit(head, panel.width)
        # a label below may reach under the labels of the other axis
        wrapped |= _fit(axes.xaxis.label, 1.1 * panel.width)
        wrapped |= _fit(axes.yaxis.label, panel.height, upright=True)
        for text in axes.texts:
            if not isinstance(text, Annotation):
                wrapped |= _fit(text, 0.9 * panel.width)
    return wrapped


def _fit(text: Text, room: float, *, upright: bool = False) -> bool:
    """Wrap one text that is longer than its room; true if it was."""
    words = " ".join(text.get_text().split())
    if not words or "$" in words:
        return False
    box = text.get_window_extent()
    length = box.height if upright else box.width
    lines = text.get_text().split("\n")
    if length <= room:
        return False
    longest = max(map(len, lines))
    fitted = "\n".join(textwrap.wrap(words, max(int(longest * room / length), 8), break_long_words=False))
    changed = fitted != text.get_text()
    text.set_text(fitted)
    return changed


def _legends(figure: Figure) -> None:
    """Give legends of the figure and of panels as many columns as there is room for."""
    for part in {id(p): p for p in (figure, *_containers(figure))}.values():
        for legend in list(part.legends):
            _narrow(part, legend, _WHOLE * figure.bbox.width)
    for axes in figure.axes:
        own = axes.get_legend()
        if own is not None:
            spec = axes.get_subplotspec()
            share = 1 if spec is None else spec.get_gridspec().ncols
            _narrow(axes, own, _PANEL * figure.bbox.width / share)


def _narrow(owner: Any, legend: Legend, room: float) -> None:
    """Rebuild a legend with fewer columns while it is wider than its room."""
    columns = int(legend._ncols)  # type: ignore[attr-defined]
    entries = len(legend.get_texts())
    while columns > 1 and legend.get_window_extent().width > room:
        rows = -(-entries // (columns - 1))
        columns = -(-entries // rows)  # as few as keep that number of rows: two and two rather than three and one
        legend = _rebuilt(owner, legend, columns)


def _rebuilt(owner: Any, legend: Legend, columns: int) -> Legend:
    """The same legend in other columns: Matplotlib has no way to change them."""
    known: Any = legend
    size, title = known.get_texts()[0].get_fontsize(), known.get_title().get_text()
    place: dict[str, Any] = {"loc": known._loc}
    if known._outside_loc:
        place = {"loc": f"outside {known._outside_loc} center"}
    elif known._bbox_to_anchor is not None and hasattr(owner, "transAxes"):
        box = known.get_bbox_to_anchor().transformed(owner.transAxes.inverted())
        place["bbox_to_anchor"] = (box.x0, box.y0)
    labels = [text.get_text() for text in known.get_texts()]
    colour = known.get_texts()[0].get_color()
    legend.remove()
    made = owner.legend(
        handles=known.legend_handles, labels=labels, ncols=columns, frameon=known.get_frame_on(), fontsize=size,
        title=title or None, title_fontsize=size, handlelength=2.2, columnspacing=1.2, labelcolor=colour, **place,
    )  # fmt: skip
    return cast("Legend", made)


def _thin(figure: Figure) -> bool:
    """Break labels along horizontal axes that would touch their neighbours, or drop some; true where any was."""
    thinned = False
    for axes in figure.axes:
        if not axes.axison or not axes.get_visible():
            continue
        low, high = sorted(axes.get_xlim())
        ticks = [float(tick) for tick in axes.get_xticks()]
        names = [label.get_text() for label in axes.get_xticklabels()]
        shown = [(tick, name) for tick, name in zip(ticks, names, strict=False) if low <= tick <= high]
        if len(shown) == 2 and _touching(axes):  # two have room outward
            left, right = axes.get_xticklabels()[:2]
            left.set_horizontalalignment("right")
            right.set_horizontalalignment("left")
            thinned = True
        if _touching(axes) and any(" " in name for _, name in shown):
            shown = [(tick, name.replace(" ", "\n")) for tick, name in shown]
            axes.set_xticks([tick for tick, _ in shown], [name for _, name in shown])
            thinned = True
        for every in (2, 3, 4, 6):
            if not _touching(axes):
                break
            kept = shown[::every]
            axes.set_xticks([tick for tick, _ in kept], [name for _, name in kept])
            thinned = True
    return thinned


def _touching(axes: Axes) -> bool:
    low, high = sorted(axes.get_xlim())
    found = zip(axes.get_xticks(), axes.get_xticklabels(), strict=False)
    boxes = sorted(
        (label.get_window_extent() for tick, label in found if low <= tick <= high and label.get_text()),
        key=lambda box: box.x0,
    )
    gap = 2.0 * axes.figure.dpi / 72.0
    return any(left.x1 + gap > right.x0 for left, right in itertools.pairwise(boxes))
