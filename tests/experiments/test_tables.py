# ruff: noqa: RUF001 - the typographic minus sign
from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pandas as pd
import pytest

from experiments.tables import ROWS_A_PART, Column, Estimate, Table, Written, write
from experiments.vocabulary import Scale

COLUMNS = (Column("regime", "Regime"), Column("fall", "Fall", "%", digits=1), Column("p", "p"), Column("n", "Seeds"))
ROWS = (
    ("static|cross", Estimate(1.2345, -2.0, 3.3, mark="*"), Written(0.0004, "< 0.001"), 30),
    ("my_rule & co", Estimate(None), None, 12_345),
)
TABLE = Table("falls", "Falls at 5 % of R_0.", COLUMNS, ROWS, ("* differs",))


def test_markdown_aligns_numbers_right_and_takes_meaning_from_signs() -> None:
    lines = TABLE.markdown().splitlines()
    assert len({len(line) for line in lines}) == 1
    assert re.fullmatch(r"\|:-+\|-+:\|-+:\|-+:\|", lines[1])
    assert "1.2 [−2.0, 3.3] \\*" in lines[2]
    assert "static\\|cross" in lines[2]
    assert "\\< 0.001" in lines[2]
    assert "n/a" in lines[3]
    assert "12,345" in lines[3]
    assert TABLE.page().splitlines()[-1] == "\\* differs"


def test_csv_is_exact_and_intervals_have_their_own_columns() -> None:
    found = pd.read_csv(io.StringIO(TABLE.csv()))
    assert list(found.columns) == ["regime", "fall [%]", "fall_low [%]", "fall_high [%]", "fall_mark", "p", "n"]
    assert found.loc[0].to_list() == ["static|cross", 1.2345, -2.0, 3.3, "*", 0.0004, 30]
    assert found.loc[1].isna().to_list() == [False, True, True, True, True, True, False]


def test_a_field_with_commas_and_quotes_survives_csv() -> None:
    name = 'a, "b"\nc'
    table = Table("t", "", (Column("x", "X"),), ((name,),))
    assert list(csv.reader(io.StringIO(table.csv()))) == [["x"], [name]]


def test_terminal_lines_are_the_same_cells() -> None:
    lines = TABLE.lines()
    assert lines[0].split("  ")[0] == "Regime"
    assert "Fall, %" in lines[0]
    assert "1.2 [−2.0, 3.3] *" in lines[1]
    assert lines[1].index("<") == lines[2].index("n/a", 20)


@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        (Estimate(0.123456, 0.1, 0.2), "0.12 [0.10, 0.20]"),
        (Estimate(1234.5, 1000.0, 1500.0, signed=True), "+1,234 [+1,000, +1,500]"),
        (Estimate(-0.00001, digits=2), "0.00"),
        (Estimate(float("nan")), "n/a"),
        (Estimate.of({"mean": 0.25, "low": 0.2, "high": None}, Scale(100.0, "%", "pp")), "25.0"),
        (Estimate.of({"ratio": 2.0, "low": 1.0, "high": 3.0}, key="ratio", digits=2), "2.00 [1.00, 3.00]"),
        (Estimate.of({}), "n/a"),
    ],
)
def test_estimates_in_words(estimate: Estimate, words: str) -> None:
    assert estimate.text() == words


def test_latex_is_booktabs_with_balanced_braces_and_as_many_cells() -> None:
    text = TABLE.latex()
    assert text.count("{") == text.count("}")
    for rule in ("toprule", "midrule", "bottomrule"):
        assert text.count(f"\\{rule}") == 1
    assert "\\begin{table}[tbp]" in text
    assert "\\label{\\marginlabprefix tab:falls}" in text
    assert "\\begin{tabular}{@{}lrrr@{}}" in text
    assert "my\\_rule \\& co" in text
    assert "static$|$cross & 1.2 [$-2.0$, 3.3] * & $<$ 0.001 & 30 \\\\" in text
    assert "Falls at 5 \\% of R\\_0." in text
    body = text.split("\\midrule")[1].split("\\bottomrule")[0]
    for line in filter(None, map(str.strip, body.splitlines())):
        assert len(re.split(r"(?<!\\)&", line)) == len(COLUMNS)


def test_a_row_is_no_argument_of_the_line_break_before_it() -> None:
    table = Table("t", "", (Column("a", "A"), Column("b", "B")), (("x", "y"), ("[1, 2]", "y"), ("*", "y")))
    body = table.latex()
    assert "    {}[1, 2] & y" in body
    assert "    {}* & y" in body


def test_one_unit_of_all_stands_once_over_its_columns() -> None:
    columns = (Column("who", "Population"), *(Column(r, r, "million USD") for r in ("static", "dynamic")))
    table = Table("paid", "", columns, (("leveraged", 1.0, 2.0),))
    text = table.latex()
    assert text.count("million USD") == 1
    assert "\\multicolumn{2}{c}{million USD}" in text
    assert "\\cmidrule(l){2-3}" in text
    assert "Population & static & dynamic" in text
    assert table.markdown().count("million USD") == 2


def test_width_decides_the_float() -> None:
    def of(characters: int) -> str:
        return Table("t", "", (Column("a", "a" * characters),), (("b",),)).latex()

    assert "\\begin{table}" in of(40)
    assert "\\begin{table*}" in of(100)
    assert "\\resizebox" not in of(100)
    assert "\\resizebox{\\textwidth}{!}{%" in of(200)
    assert of(200).count("{") == of(200).count("}")


def test_long_tables_go_on_under_one_number() -> None:
    rows = tuple((i,) for i in range(2 * ROWS_A_PART + 1))
    text = Table("long", "All.", (Column("i", "i"),), rows, ("below",)).latex()
    assert text.count("\\begin{table}") == text.count("\\end{table}") == 3
    assert text.count("\\caption{All.}") == 1
    assert text.count("\\label") == 1
    assert text.count("\\addtocounter{table}{-1}") == 2
    assert text.count("below") == 1
    assert all(f"    {i} \\\\" in text for i in range(len(rows)))


def test_a_table_without_rows_is_whole() -> None:
    table = Table("none", "Nothing.", COLUMNS, ())
    assert len(table.markdown().splitlines()) == 2
    assert table.csv().count("\n") == 1
    assert "\\bottomrule" in table.latex()


def test_wrong_shapes_and_names_are_refused() -> None:
    with pytest.raises(ValueError, match="row 1 has 1 cells for 2 columns"):
        Table("t", "", (Column("a", "A"), Column("b", "B")), ((1, 2), (1,)))
    for name in ("", "a/b", "../up", ".hidden", "a b"):
        with pytest.raises(ValueError, match="a table's name"):
            Table(name, "", (), ())


def test_write_makes_three_files_each_and_leaves_nothing_else(tmp_path: Path) -> None:
    made = write([TABLE, Table("other", "", COLUMNS, ())], tmp_path / "out")
    assert [path.name for path in made] == [f"{n}.{e}" for n in ("falls", "other") for e in ("md", "csv", "tex")]
    assert sorted((tmp_path / "out" / "tables").iterdir()) == sorted(made)
    assert made[1].read_text(encoding="utf-8") == TABLE.csv()
    before = made[2].read_bytes()
    write([TABLE], tmp_path / "out")
    assert made[2].read_bytes() == before
