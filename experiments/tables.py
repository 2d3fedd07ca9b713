"""Tables of results for a paper, a page and a program, from one description.

A :class:`Table` holds plain values; it is written as Markdown, as CSV (unrounded, the ends of intervals in columns
of their own) and as LaTeX that needs ``booktabs`` alone, and gives the aligned lines that a terminal shows. Units stand
in the heads, intervals as ``[low, high]``.

Example:
    >>> share = Column("share", "Liquidated", unit="%", digits=1)
    >>> table = Table("shares", "Lots liquidated.", (Column("regime", "Regime"), share), (("static", Estimate(4.2)),))
    >>> print(table.markdown())
    | Regime | Liquidated, % |
    |:-------|--------------:|
    | static |           4.2 |
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from experiments.latex import COLUMN_CHARACTERS, LABEL_PREFIX, PAGE_CHARACTERS, escaped
from experiments.vocabulary import Scale, decimals, number

Align = Literal["left", "right", "center"]
FOLDER = "tables"
"""Where an output folder keeps its tables."""
ROWS_A_PART = 45
"""Rows of one LaTeX float; longer tables go on in further floats under the same number."""
_TEX_ALIGN = {"left": "l", "right": "r", "center": "c"}
_RULES = {"left": ":{}-", "right": "-{}:", "center": ":{}:"}


@dataclass(frozen=True)
class Estimate:
    """A value with its interval, in the unit that is shown.

    Attributes:
        value: the estimate; None is written n/a.
        low: lower end of the interval, None where there is none.
        high: upper end.
        digits: decimals of all three; chosen from the width of the interval if None.
        signed: write a plus before what is above zero, as differences are.
        mark: a sign after it, such as the verdict of a test.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    digits: int | None = None
    signed: bool = False
    mark: str = ""

    @classmethod
    def of(
        cls,
        estimate: Mapping[str, Any],
        scale: Scale | None = None,
        *,
        digits: int | None = None,
        signed: bool = False,
        mark: str = "",
        key: str = "mean",
    ) -> Estimate:
        """From what :mod:`experiments.statistics` gives.

        Args:
            estimate: ``{mean, low, high, ...}`` in plain units.
            scale: plain to shown units.
            digits: decimals.
            signed: write signs.
            mark: a sign after it.
            key: name of the value in ``estimate``.
        """
        factor = 1.0 if scale is None else scale.factor
        value, low, high = (_finite(estimate.get(name), factor) for name in (key, "low", "high"))
        return cls(value, low, high, digits, signed, mark)

    @property
    def bounded(self) -> bool:
        """Whether there is an interval."""
        return self.low is not None and self.high is not None

    def places(self, digits: int | None = None) -> int:
        """Decimals: the estimate's own, else the column's, else two digits of the interval's width."""
        if self.digits is not None:
            return self.digits
        if digits is not None:
            return digits
        width = self.high - self.low if self.low is not None and self.high is not None else None
        return decimals((self.value, self.low, self.high), width)

    def text(self, digits: int | None = None) -> str:
        """The estimate as it is read: ``1.20 [0.80, 1.60]``."""
        places = self.places(digits)
        shown = number(self.value, places, signed=self.signed)
        if self.bounded:
            ends = (number(end, places, signed=self.signed) for end in (self.low, self.high))
            shown = f"{shown} [{', '.join(ends)}]"
        return f"{shown} {self.mark}".rstrip()


@dataclass(frozen=True)
class Written:
    """A number that a reader sees in words, such as a p-value below a bound; a program gets the number.

    Attributes:
        value: the number, None where there is none.
        words: what a reader sees.
    """

    value: float | None
    words: str


Cell = str | int | float | bool | Estimate | Written | None


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: its head in CSV.
        header: its head for a reader.
        unit: stands behind the head.
        align: right where a column holds numbers, left elsewhere, if None.
        digits: decimals of its numbers; three significant digits of each if None.
    """

    name: str
    header: str
    unit: str = ""
    align: Align | None = None
    digits: int | None = None

    @property
    def head(self) -> str:
        """Head and unit."""
        if not self.unit:
            return self.header
        return f"{self.header}, {self.unit}" if self.header else self.unit


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: stem of its files and of its label, ``tab:NAME``.
        caption: what it shows, a sentence or two.
        columns: from left to right.
        rows: cells by row, as many as columns. An :class:`Estimate` or a number is written in the column's unit.
        notes: lines below it: what marks mean, seeds, levels.

    Raises:
        ValueError: a row has another number of cells than there are columns, or the name can't be a file's.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        object.__setattr__(self, "rows", tuple(tuple(row) for row in self.rows))
        notes = (self.notes,) if isinstance(self.notes, str) else tuple(self.notes)
        object.__setattr__(self, "notes", notes)
        if not self.name or any(not (c.isalnum() or c in "-_.") for c in self.name) or self.name.startswith("."):
            raise ValueError(f"a table's name is letters, digits, '-', '_' and '.', not {self.name!r}")
        for i, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(f"table {self.name!r}: row {i} has {len(row)} cells for {len(self.columns)} columns")

    def align(self, index: int) -> Align:
        """Alignment of a column: its own, else right for numbers."""
        column = self.columns[index]
        if column.align is not None:
            return column.align
        cells = [row[index] for row in self.rows if row[index] is not None and row[index] != ""]
        return "right" if cells and all(_is_number(cell) for cell in cells) else "left"

    def text(self) -> list[list[str]]:
        """Heads and cells as they are read, heads first."""
        heads = [column.head for column in self.columns]
        return [heads, *([_text(c, column) for c, column in zip(row, self.columns, strict=True)] for row in self.rows)]

    def lines(self) -> list[str]:
        """Aligned lines for a terminal, without caption and notes."""
        cells = self.text()
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        return [
            "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
        ]

    def markdown(self) -> str:
        """A table of GitHub's Markdown, without caption and notes, aligned as text as well."""
        cells = [[_markdown(cell) for cell in row] for row in self.text()]
        widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(self.columns))]
        aligns = [self.align(i) for i in range(len(self.columns))]
        lines = []
        for row in cells:
            padded = [f"{c:>{w}}" if a == "right" else f"{c:<{w}}" for c, w, a in zip(row, widths, aligns, strict=True)]
            lines.append(f"| {' | '.join(padded)} |")
        rules = (_RULES[a].format("-" * w) for a, w in zip(aligns, widths, strict=True))
        lines.insert(1, f"|{'|'.join(rules)}|")
        return "\n".join(lines)

    def page(self) -> str:
        """The Markdown file: table, caption and notes."""
        below = "".join(f"\n{_markdown(note)}\n" for note in self.notes)
        return f"{self.markdown()}\n\n{_markdown(self.caption)}\n{below}"

    def csv(self) -> str:
        """The table to fifteen significant figures.

        A column whose cells have intervals becomes three, ``NAME``, ``NAME_low`` and ``NAME_high``, and a fourth
        ``NAME_mark`` where cells bear marks. Units stand in brackets after the name. Empty fields are unknown.
        """
        spans = [_span(row[i] for row in self.rows) for i in range(len(self.columns))]
        heads = []
        for column, (bounded, marked) in zip(self.columns, spans, strict=True):
            unit = f" [{column.unit}]" if column.unit else ""
            heads += [f"{column.name}{end}{unit}" for end in (("", "_low", "_high") if bounded else ("",))]
            heads += [f"{column.name}_mark"] if marked else []
        written = io.StringIO()
        writer = csv.writer(written, lineterminator="\n")
        writer.writerow(heads)
        for row in self.rows:
            fields: list[str] = []
            for cell, (bounded, marked) in zip(row, spans, strict=True):
                found = cell if isinstance(cell, Estimate) else None
                fields.append(_exact(cell.value if isinstance(cell, (Estimate, Written)) else cell))
                if bounded:
                    fields += [_exact(found.low if found else None), _exact(found.high if found else None)]
                if marked:
                    fields.append(found.mark if found else "")
            writer.writerow(fields)
        return written.getvalue()

    def latex(self) -> str:
        r"""LaTeX that needs ``booktabs``, and ``graphicx`` where the table is wider than a page.

        A table that fits one column is a ``table``, a wider one a ``table*``; one of more than :data:`ROWS_A_PART` rows
        goes on in further floats under the same number. The label is ``tab:NAME``, after the prefix that the fragment
        defines (:mod:`experiments.latex`).
        """
        parts = [self.rows[i : i + ROWS_A_PART] for i in range(0, len(self.rows), ROWS_A_PART)] or [()]
        heads = [escaped(column.header if self._spanned else column.head) for column in self.columns]
        shown = [[column.header if self._spanned else column.head for column in self.columns], *self.text()[1:]]
        widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
        characters = sum(widths) + 2 * len(widths)
        float_ = "table" if characters <= COLUMN_CHARACTERS else "table*"
        spec = "".join(_TEX_ALIGN[self.align(i)] for i in range(len(self.columns)))
        lines = [rf"% {self.name}: \usepackage{{booktabs}}"]
        for i, rows in enumerate(parts):
            last = i == len(parts) - 1
            lines += self._float(float_, spec, heads, rows, part=i, last=last, characters=characters)
        return "\n".join(lines) + "\n"

    @property
    def _spanned(self) -> bool:
        """Whether all columns but the first have one unit, which then stands once over them."""
        first, *others = self.columns
        return not first.unit and len(others) > 1 and bool(others[0].unit) and len({c.unit for c in others}) == 1

    def _float(
        self, float_: str, spec: str, heads: Sequence[str], rows: Sequence[Sequence[Cell]], *, part: int, last: bool,
        characters: int,
    ) -> list[str]:  # fmt: skip
        lines = [rf"\begin{{{float_}}}[tbp]", r"  \centering"]
        if part == 0:
            lines += [rf"  \caption{{{escaped(self.caption)}}}", rf"  \label{{{LABEL_PREFIX}tab:{self.name}}}"]
        else:
            lines += [r"  \addtocounter{table}{-1}", r"  \caption{(continued)}"]
        lines += [r"  \footnotesize", r"  \setlength{\tabcolsep}{4pt}"]
        wide = characters > PAGE_CHARACTERS
        if wide:
            lines.append(r"  \resizebox{\textwidth}{!}{%")
        lines += [rf"  \begin{{tabular}}{{@{{}}{spec}@{{}}}}", r"    \toprule"]
        if self._spanned:
            unit, n = escaped(self.columns[1].unit), len(self.columns)
            lines += [rf"    & \multicolumn{{{n - 1}}}{{c}}{{{unit}}} \\", rf"    \cmidrule(l){{2-{n}}}"]
        lines.append(rf"    {' & '.join(heads)} \\")
        lines.append(r"    \midrule")
        for row in rows:
            cells = (escaped(_text(cell, column)) for cell, column in zip(row, self.columns, strict=True))
            # "[" or "*" at the start of a row would be read as an argument of the line break before it
            written = " & ".join(cells)
            lines.append(rf"    {'{}' if written.startswith(('[', '*')) else ''}{written} \\")
        lines += [r"    \bottomrule", rf"  \end{{tabular}}{'}' if wide else ''}"]
        if last and self.notes:
            lines += ["", r"  \smallskip", *(rf"  {escaped(note)}\par" for note in self.notes)]
        return [*lines, rf"\end{{{float_}}}"]


def write(tables: Iterable[Table], folder: str | Path) -> list[Path]:
    """Write tables as ``FOLDER/tables/NAME.md``, ``.csv`` and ``.tex``.

    Each file is written under another name and renamed, so that a killed command leaves no half of one. A later
    :func:`experiments.latex.write_fragment` finds them there.

    Args:
        tables: what to write; of two with one name the later is kept.
        folder: an output folder.

    Returns:
        The files, in order of tables.
    """
    place = Path(folder) / FOLDER
    written = []
    for table in tables:
        place.mkdir(parents=True, exist_ok=True)
        for ending, content in (("md", table.page()), ("csv", table.csv()), ("tex", table.latex())):
            path = place / f"{table.name}.{ending}"
            temporary = path.with_name(f"{path.name}.partial")
            temporary.write_text(content, encoding="utf-8", newline="\n")
            temporary.replace(path)
            written.append(path)
    return written


def _finite(value: Any, factor: float) -> float | None:
    return float(value) * factor if value is not None and math.isfinite(value) else None


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, (int, float, Estimate, Written)) and not isinstance(cell, bool)


def _text(cell: Cell, column: Column) -> str:
    """A cell as it is read."""
    if cell is None:
        return "n/a"
    if isinstance(cell, Estimate):
        return cell.text(column.digits)
    if isinstance(cell, Written):
        return cell.words
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return number(cell, column.digits or 0)
    if isinstance(cell, float):
        return number(cell, decimals((cell,)) if column.digits is None else column.digits)
    return " ".join(str(cell).split())


def _markdown(text: str) -> str:
    r"""Text without meaning to Markdown.

    Examples:
        >>> print(_markdown("P(a|b) < .05 *"))
        P(a\|b) \< .05 \*
    """
    for sign in "\\|<*`":
        text = text.replace(sign, f"\\{sign}")
    return text


def _span(cells: Iterable[Cell]) -> tuple[bool, bool]:
    """Whether any cell of a column has an interval, and whether any bears a mark."""
    found = [cell for cell in cells if isinstance(cell, Estimate)]
    return any(cell.bounded for cell in found), any(cell.mark for cell in found)


def _exact(value: Any) -> str:
    """A value for a program: numbers to fifteen figures, unknown ones empty."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.15g}" if isinstance(value, float) else str(value)
