from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from experiments.drawing import canvas, widths
from experiments.drawing.canvas import FIGURES, FigureFile, blank, finish, look


def _draw(folder: Path, rows: int = 1, columns: int = 2, height: float = 2.2) -> FigureFile:
    with look():
        figure = blank(height)
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for i, axes in enumerate(grid.ravel()):
            axes.plot([0, 1, 2], [i, i + 1, i], label=f"a series with a long name {i}")
            axes.set_title("A head that is far too long for half of a column of print", fontsize=5.0)
            axes.set_xticks([0, 1, 2], ["first of January", "second of January", "third of January"])
            axes.set_xlabel(f"x {i}", fontsize=12.0)
        grid[0, 0].set_ylabel("height of it")
        figure.legend(loc="outside lower center", ncols=rows * columns)
        return finish(figure, folder, "shapes", "Rises by 5 %", "alt", "Lines: means.")


def _size(pdf: Path) -> tuple[float, float]:
    box = re.search(rb"/MediaBox \[ *0 0 ([\d.]+) ([\d.]+) *\]", pdf.read_bytes())
    assert box is not None
    return float(box[1]) / 72.0, float(box[2]) / 72.0


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas, "printed", True)


@pytest.mark.usefixtures("printed")
def test_both_widths_as_pdf_and_svg_without_the_title(tmp_path: Path) -> None:
    made = _draw(tmp_path / "a" / FIGURES)
    folder = made.png.parent
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "shapes.png", "shapes.svg", "column/shapes.pdf", "column/shapes.svg", "column/shapes.tex", "double/shapes.pdf",
        "double/shapes.svg",
    }  # fmt: skip
    wide, high = _size(folder / "column/shapes.pdf")
    assert wide == pytest.approx(3.4)
    assert high > 1.5 * _size(folder / "double/shapes.pdf")[1]  # panels went below each other
    assert _size(folder / "double/shapes.pdf")[0] == pytest.approx(7.0)
    pdf = (folder / "column/shapes.pdf").read_bytes()
    assert b"CreationDate" not in pdf
    assert b"Type3" not in pdf  # outlines that journals take
    svg = (folder / "column/shapes.svg").read_text()
    assert 'width="244.8pt"' in svg
    assert not re.search(r"20\d\d-\d\d-\d\d", svg)
    assert "\\caption{Rises by 5 \\%. Lines: means.}" in (folder / "column/shapes.tex").read_text()
    again = _draw(tmp_path / "b" / FIGURES).png.parent
    for name in names:
        assert (folder / name).read_bytes() == (again / name).read_bytes()


@pytest.mark.usefixtures("printed")
def test_texts_fit_a_column_and_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def look_at(figure: object) -> None:
        from matplotlib.figure import Figure

        assert isinstance(figure, Figure)
        seen.append(f"{figure.get_figwidth():.1f}")
        if figure.get_figwidth() > 4.0:
            return
        panels = [axes for axes in figure.axes if axes.axison]
        lefts = {round(axes.get_position().x0, 2) for axes in panels}
        assert len(lefts) == 1
        for axes in panels:
            texts = [axes._left_title, axes.xaxis.label, *axes.get_xticklabels()]  # type: ignore[attr-defined]
            assert all(7.0 <= text.get_fontsize() <= 8.0 for text in texts)
            assert axes._left_title.get_window_extent().x1 <= figure.bbox.x1 + 1.0  # type: ignore[attr-defined]
            assert any(label.get_visible() and label.get_text() for label in axes.get_yticklabels())
            boxes = [t.get_window_extent() for t in axes.get_xticklabels() if t.get_text()]
            assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes))
        assert panels[1].get_ylabel() == "height of it"
        (legend,) = figure.legends
        assert legend.get_window_extent().width <= figure.bbox.width

    original = widths.save

    def save(*given: object, **named: object) -> object:
        return original(*given, **(named | {"refit": look_at}))  # type: ignore[arg-type]

    monkeypatch.setattr(widths, "save", save)
    _draw(tmp_path / FIGURES)
    assert seen == ["7.0", "3.4"]


@pytest.mark.usefixtures("printed")
def test_tall_panels_stay_beside_each_other_and_go_over_both_columns_of_the_paper(tmp_path: Path) -> None:
    made = _draw(tmp_path / FIGURES, height=9.0)
    folder = made.png.parent
    assert _size(folder / "column/shapes.pdf")[1] <= 1.05 * widths.PAGE
    assert "figure*" in (folder / "column/shapes.tex").read_text()


def test_other_folders_get_the_screen_version_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas, "printed", True)
    made = _draw(tmp_path / "docs")
    assert {path.name for path in made.png.parent.iterdir()} == {"shapes.png", "shapes.svg"}
    assert np.isfinite(made.title_height)
