"""The canvas of every figure: size, fonts, files with fixed bytes, thinning of long series."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.drawing import widths
from experiments.drawing.palette import GRID, INK, MUTED, PAPER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 6.3
"""Width of a figure in inches: the text width of a paper, and legible when scaled to one column or a phone."""
DPI = 200
TITLE_COLUMNS = 74
TITLE_ID = "finding"
"""Identifier of the title's group in the vector file."""
FIGURES = "figures"
"""Folder of figures in an output folder: what is drawn there is written in the widths of print as well."""
printed = True
"""Whether figures of an output folder are written in the widths of print; tests of other things set it to false."""
BINS = 450
"""Bins of a thinned series; each keeps its lowest and highest point, so that spikes are seen."""

_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.labelsize": 8.5,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
    "figure.facecolor": PAPER,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "lines.solid_joinstyle": "round",
    "path.simplify": True,
    "pdf.fonttype": 42,  # outlines that printers and journals take; Matplotlib's own default is Type 3
    "path.simplify_threshold": 0.2,
    "savefig.facecolor": PAPER,
    "svg.fonttype": "path",
    "svg.hashsalt": "marginlab",
    "text.color": INK,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8.0,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8.0,
}


@dataclass(frozen=True)
class FigureFile:
    """One figure on disk and what a reader who cannot see it is told.

    Attributes:
        name: Stem of the files.
        title: The finding.
        alt: What is drawn, in words with numbers.
        caption: How to read it.
        png: Path of the raster version.
        svg: Path of the vector version.
        title_height: Height of the title at the top of the drawing, in points: what a page that sets the title in its
            own type cuts off.
    """

    name: str
    title: str
    alt: str
    caption: str
    png: Path
    svg: Path
    title_height: float = 0.0


@contextmanager
def look() -> Iterator[None]:
    """Set the look of figures for a block, whatever the user's own matplotlibrc says."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def blank(height: float) -> Figure:
    """An empty figure of the standard width that lays itself out and needs no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(WIDTH, height), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.055))
    FigureCanvasAgg(figure)
    return figure


def canvas(heights: list[float]) -> tuple[Figure, list[Axes]]:
    """A column of panels over one horizontal axis, with the given heights in inches."""
    figure = blank(sum(heights))
    grid = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)
    return figure, list(grid[:, 0])


def from_zero(axes: Axes) -> None:
    """Let the vertical axis start at zero, and not invent a scale where all is zero."""
    highest = max((float(np.nanmax(line.get_ydata(), initial=0.0)) for line in axes.get_lines()), default=0.0)
    if highest > 0.0:
        axes.set_ylim(0.0, 1.06 * highest)
    else:
        axes.set_ylim(0.0, 1.0)
        axes.set_yticks([0.0], ["0"])


def finish(
    figure: Figure, folder: Path, name: str, title: str, alt: str, caption: str,
    refit: Callable[[Figure], None] | None = None,
) -> FigureFile:  # fmt: skip
    """Put the finding over a figure, flush left and wrapped to its width, and write its files.

    A folder of the name :data:`FIGURES` gets the figure as PDF and SVG in one column and two as well, without the
    title (:mod:`experiments.drawing.widths`); the figure itself is of no further use then.

    Args:
        figure: drawn, with a layout engine.
        folder: for the files; made if missing.
        name: stem of the files.
        title: the finding.
        alt: what is drawn, in words with numbers.
        caption: how to read it.
        refit: moves what depends on places on paper, such as names beside points, once another width is laid out.
    """
    written = figure.suptitle(
        "\n".join(textwrap.wrap(title, TITLE_COLUMNS)), x=0.012, ha="left", fontsize=10.0, fontweight="bold", color=INK
    )
    written.set_gid(TITLE_ID)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out once, for both files
    folder.mkdir(parents=True, exist_ok=True)
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    figure.savefig(png, dpi=DPI, metadata={"Software": None})
    figure.savefig(svg, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    below = written.get_window_extent().y0 / figure.dpi * 72.0
    height = figure.get_figheight() * 72.0 - below
    if printed and folder.name == FIGURES:
        widths.save(figure, folder, name, title, caption, title_inches=height / 72.0, refit=refit)
    return FigureFile(name, title, alt, caption, png, svg, height)


def envelope(x: NDArray[Any], y: NDArray[np.float64], bins: int = BINS) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Thin a series to the lowest and highest point of each bin, first and last point included.

    Series of at most ``2 * bins`` points come back as they are.
    """
    n = len(y)
    if n <= 2 * bins:
        return x, y
    width = -(-n // bins)
    padded = np.full(bins * width, np.nan)
    padded[:n] = y
    table, start = padded.reshape(bins, width), width * np.arange(bins)
    low = start + np.argmin(np.where(np.isnan(table), np.inf, table), axis=1)
    high = start + np.argmax(np.where(np.isnan(table), -np.inf, table), axis=1)
    at = np.unique(np.concatenate(([0, n - 1], low, high)))
    at = at[at < n]
    return x[at], y[at]
