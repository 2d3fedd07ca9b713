r"""LaTeX: text without meaning to it, floats of figures, and the fragment that puts a folder into a paper.

An output folder gets ``paper.tex``, which inputs every table and every figure of the folder. A paper that has
``booktabs`` and ``graphicx`` takes it with::

    \newcommand{\marginlabdir}{results/october}
    \input{\marginlabdir/paper}

Two folders in one paper: ``\renewcommand{\marginlabdir}{...}`` and ``\renewcommand{\marginlabprefix}{b-}`` before the
second; the prefix goes before every label.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

FRAGMENT = "paper.tex"
FOLDER_MACRO = r"\marginlabdir"
LABEL_PREFIX = r"\marginlabprefix "
COLUMN_CHARACTERS, PAGE_CHARACTERS = 60, 126
"""Characters of a footnote-size row (about 4 points each) that fit 3.4 inches, and 7 inches."""

_ASCII = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "|": "$|$", '"': "''",
}  # fmt: skip
_SIGNS = {
    "\u2212": "$-$", "\u00a0": "~", "\u202f": r"\,", "\u2009": r"\,", "\u00d7": r"$\times$", "\u00b1": r"$\pm$",
    "\u2264": r"$\le$", "\u2265": r"$\ge$", "\u2260": r"$\ne$", "\u2248": r"$\approx$", "\u221e": r"$\infty$",
    "\u2192": r"$\to$", "\u00b7": r"$\cdot$", "\u221a": r"$\surd$", "\u2211": r"$\sum$", "\u2013": "--",
    "\u2014": "---", "\u2018": "`", "\u2019": "'", "\u201c": "``", "\u201d": "''", "\u2026": r"\dots{}",
    "\u00b0": r"$^\circ$", "\u00bd": r"$\frac12$", "\u00a7": r"\S{}", "\u20ac": r"\texteuro{}", "\u2208": r"$\in$",
    "\u2032": "$'$", "\u2190": r"$\leftarrow$", "\u2202": r"$\partial$", "\u222b": r"$\int$",
}  # fmt: skip
_GREEK = re.compile(r"GREEK (SMALL|CAPITAL) LETTER ([A-Z]+)$")
_LATIN_CAPITALS = {"ALPHA": "A", "BETA": "B", "EPSILON": "E", "ZETA": "Z", "ETA": "H", "IOTA": "I", "KAPPA": "K",
                   "MU": "M", "NU": "N", "OMICRON": "O", "RHO": "P", "TAU": "T", "CHI": "X"}  # fmt: skip
_SPELT = {"LAMDA": "lambda"}
_NUMBER = re.compile(r"\u2212(\d+(?:,\d{3})*(?:\.\d+)?(?:e[+\u2212-]?\d+)?)")


def escaped(text: str) -> str:
    r"""Text as LaTeX sets it, whatever signs it has; also under pdfLaTeX with its old encodings.

    Examples:
        >>> print(escaped("mean_rate: 5 % & more"))
        mean\_rate: 5 \% \& more
        >>> print(escaped("\u22121,234.5 [\u22122, 1] \u03bb"))
        $-1{,}234.5$ [$-2$, 1] $\lambda$
    """
    parts, at = [], 0
    for found in _NUMBER.finditer(text):
        parts.append(_signs(text[at : found.start()]))
        parts.append(f"$-{found.group(1).replace(',', '{,}').replace(chr(0x2212), '-')}$")
        at = found.end()
    return "".join([*parts, _signs(text[at:])])


def _signs(text: str) -> str:
    return "".join(map(_sign, unicodedata.normalize("NFC", text)))


def _sign(sign: str) -> str:
    if sign in _ASCII:
        return _ASCII[sign]
    if sign in _SIGNS:
        return _SIGNS[sign]
    if sign.isascii():
        return sign if sign.isprintable() else " "
    greek = _GREEK.match(unicodedata.name(sign, ""))
    if greek is not None:
        case, letter = greek.groups()
        if case == "CAPITAL" and letter in _LATIN_CAPITALS:
            return rf"$\mathrm{{{_LATIN_CAPITALS[letter]}}}$"
        name = _SPELT.get(letter, letter.lower())
        if name == "omicron":
            return "$o$"
        return rf"$\{name.capitalize() if case == 'CAPITAL' else name}$"
    form = unicodedata.decomposition(sign)
    kind = form.partition(" ")[0]
    if kind in ("<super>", "<sub>"):
        inner = "".join(chr(int(code, 16)) for code in form.split()[1:]).replace("\u2212", "-")
        return f"${'^' if kind == '<super>' else '_'}{{{inner}}}$"
    if unicodedata.category(sign).startswith("L"):
        return sign  # letters with accents, which LaTeX reads as UTF-8
    plain = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
    return _signs(plain) if plain else "?"


def figure_float(name: str, title: str, caption: str, *, wide: bool) -> str:
    """The float of one figure, its title as the first sentence of the caption.

    Args:
        name: stem of the figure's files.
        title: the finding.
        caption: how to read it.
        wide: over both columns, with the file of that width.
    """
    star, width, place = ("*", r"\textwidth", "double") if wide else ("", r"\columnwidth", "column")
    first = title.strip().rstrip(".")
    said = f"{first}. {caption.strip()}" if first else caption.strip()
    return "\n".join(
        [
            rf"% {name}: \usepackage{{graphicx}}",
            rf"\begin{{figure{star}}}[tbp]",
            r"  \centering",
            rf"  \includegraphics[width={width}]{{{FOLDER_MACRO}/figures/{place}/{name}.pdf}}",
            rf"  \caption{{{escaped(said)}}}",
            rf"  \label{{{LABEL_PREFIX}fig:{name}}}",
            rf"\end{{figure{star}}}",
            "",
        ]
    )


def write_fragment(folder: str | Path) -> Path | None:
    """Write ``paper.tex``, which inputs all tables and figures that a folder holds.

    Args:
        folder: an output folder with ``tables/*.tex`` or ``figures/column/*.tex``.

    Returns:
        Its path, or None where the folder has neither.
    """
    root = Path(folder)
    tables = sorted(root.glob("tables/*.tex"))
    figures = sorted(root.glob("figures/column/*.tex"))
    if not tables and not figures:
        return None
    lines = [
        r"% needs \usepackage{booktabs,graphicx}; define \marginlabdir as the path of this folder before \input",
        rf"\providecommand{{{FOLDER_MACRO}}}{{.}}",
        rf"\providecommand{{{LABEL_PREFIX.strip()}}}{{}}",
        *(rf"\input{{{FOLDER_MACRO}/{path.relative_to(root).as_posix()}}}" for path in (*tables, *figures)),
    ]
    path = root / FRAGMENT
    temporary = path.with_name(f"{path.name}.partial")
    temporary.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    temporary.replace(path)
    return path
