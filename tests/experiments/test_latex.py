# ruff: noqa: RUF001 - signs that must not reach LaTeX as they are
from __future__ import annotations

from pathlib import Path

import pytest

from experiments.latex import escaped, figure_float, write_fragment
from experiments.tables import Column, Table, write


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("a_b 5% #1 $x {y} ~ ^ \\", r"a\_b 5\% \#1 \$x \{y\} \textasciitilde{} \textasciicircum{} \textbackslash{}"),
        ("a < b > c | d", "a $<$ b $>$ c $|$ d"),
        ("−1,234.50 and −3", "$-1{,}234.50$ and $-3$"),
        ("[−2, 1]", "[$-2$, 1]"),
        ("x − y", "x $-$ y"),
        ("λ Ω Δ Α", r"$\lambda$ $\Omega$ $\Delta$ $\mathrm{A}$"),
        ("R² x₀", "R$^{2}$ x$_{0}$"),
        ("5\u00a0bp ≤ ±3 × 2", r"5~bp $\le$ $\pm$3 $\times$ 2"),
        ("café Müller", "café Müller"),
        ("“so” – no…", r"``so'' -- no\dots{}"),
        ("a\nb\tc", "a b c"),
        ("▲", "?"),
        ('say "x"', "say ''x''"),
    ],
)
def test_text_has_no_meaning_to_latex(text: str, tex: str) -> None:
    assert escaped(text) == tex


def test_every_sign_of_ascii_and_greek_leaves_groups_and_mathematics_closed() -> None:
    every = "".join(map(chr, (*range(32, 127), *range(0x391, 0x3CA)))).replace("\u03a2", "")
    for sign in every:
        tex = escaped(sign)
        assert tex.replace(r"\{", "").count("{") == tex.replace(r"\}", "").count("}")
        assert tex.replace(r"\$", "").count("$") % 2 == 0


def test_a_figure_is_a_float_whose_caption_begins_with_the_finding() -> None:
    tex = figure_float("falls", "Falls by 5 %.", "Line: mean.", wide=False)
    assert "\\begin{figure}[tbp]" in tex
    assert "\\includegraphics[width=\\columnwidth]{\\marginlabdir/figures/column/falls.pdf}" in tex
    assert "\\caption{Falls by 5 \\%. Line: mean.}" in tex
    assert "\\label{\\marginlabprefix fig:falls}" in tex
    wide = figure_float("falls", "", "Line: mean.", wide=True)
    assert "\\begin{figure*}" in wide
    assert "figures/double/falls.pdf" in wide
    assert "\\caption{Line: mean.}" in wide


def test_the_fragment_inputs_whatever_the_folder_holds(tmp_path: Path) -> None:
    assert write_fragment(tmp_path) is None
    write([Table(name, "", (Column("a", "A"),), ((1,),)) for name in ("b", "a")], tmp_path)
    drawn = tmp_path / "figures" / "column"
    drawn.mkdir(parents=True)
    (drawn / "falls.tex").write_text(figure_float("falls", "", "x", wide=False))
    fragment = write_fragment(tmp_path)
    assert fragment == tmp_path / "paper.tex"
    lines = fragment.read_text().splitlines()
    assert lines[1:3] == ["\\providecommand{\\marginlabdir}{.}", "\\providecommand{\\marginlabprefix}{}"]
    inputs = ["tables/a.tex", "tables/b.tex", "figures/column/falls.tex"]
    assert lines[3:] == [f"\\input{{\\marginlabdir/{name}}}" for name in inputs]
    assert all((tmp_path / name).is_file() for name in inputs)
