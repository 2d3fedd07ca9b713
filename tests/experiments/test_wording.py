from __future__ import annotations

import pytest

from experiments import wording
from experiments.vocabulary import MINUS, Money, decimals, describe, number, order, scale_of, show
from tests.experiments.synthetic import comparison


def difference(**entries: object) -> dict[str, object]:
    base = {"mean": 0.0041, "low": 0.0022, "high": 0.0060, "n": 30, "p": 0.0001, "p_holm": 0.002, "higher": 27,
            "lower": 3, "detectable": 0.003, "comparisons": 12}  # fmt: skip
    return base | entries


def sentence(**entries: object) -> str:
    scale = scale_of("fraction")
    return wording.describe_difference("drawdown", "dynamic", "static", difference(**entries), scale)


def test_a_difference_is_said_with_size_interval_and_test() -> None:
    assert sentence() == (
        "Drawdown: 0.41\u00a0pp deeper under dynamic than under static, interval [+0.22, +0.60]\u00a0pp, "
        "p = 0.002 after correction; 27 of 30 seeds agree in sign."
    )


def test_no_difference_is_said_with_its_interval_and_what_would_have_been_found() -> None:
    said = sentence(mean=0.0005, low=-0.001, high=0.002, p=0.4, p_holm=1.0)
    assert said == (
        "Drawdown: no difference detectable between dynamic and static: interval [\u22120.10, +0.20]\u00a0pp "
        "includes zero; 30 seeds would find a difference of 0.30\u00a0pp with 80 % power."
    )


def test_what_does_not_survive_correction_is_not_a_difference() -> None:
    said = sentence(p=0.02, p_holm=0.24)
    assert "unclear" in said
    assert "not after correction for 12 comparisons (p = 0.24); not counted as a difference" in said
    assert "includes zero although the test gives p = 0.030" in sentence(low=-0.001, p=0.03, p_holm=0.03)
    assert "excludes zero, but the test gives p = 0.30" in sentence(p=0.3, p_holm=0.3)


def test_identical_and_single_seeds_are_said_plainly() -> None:
    assert "identical under dynamic and static on each of 30 seeds" in sentence(mean=0.0, low=0.0, high=0.0, p=1.0)
    alone = sentence(n=1, low=None, high=None, p=None, p_holm=None)
    assert (
        alone
        == "Drawdown: 0.410\u00a0pp deeper under dynamic than under static on the one seed that was run; no interval."
    )
    assert "no seed has a value" in sentence(n=0, mean=None, low=None, high=None, p=None)


def test_direction_words_follow_the_sign() -> None:
    assert wording.sized("drawdown", difference(mean=-0.0041, low=-0.006, high=-0.0022), scale_of("fraction")) == (
        "0.41\u00a0pp shallower [0.22, 0.60]"
    )
    assert wording.direction("margin_calls", {"mean": 2.0}) == "more"


def test_the_headline_separates_different_unclear_and_none() -> None:
    result = comparison(30)
    assert wording.headline(result).startswith("Different from static: dynamic on ")
    few = comparison(5)
    assert wording.headline(few) == "Unclear against static: dynamic, portfolio and isolated."
    assert wording.cautions(few)[0].startswith("Only 5 seeds were run")
    assert "0.0625" in wording.cautions(few)[0]
    alone = comparison(30, regimes=("static",))
    assert wording.headline(alone) == "Only static was run: there is nothing to compare."
    assert wording.headline(comparison(1)) == "Not tested against static: dynamic, portfolio and isolated."


def test_the_placebo_is_zero_or_failed() -> None:
    result = comparison(12)
    holds, said = wording.placebo_sentence(result)
    assert holds is True
    assert "exactly zero on all 10 measures" in said
    result["placebo"]["drawdown"] = 1e-12
    holds, said = wording.placebo_sentence(result)
    assert holds is False
    assert "FAILED: drawdown up to 1e-12" in said
    assert wording.placebo_sentence({"baseline": "static"}) == (None, "Placebo: not run.")


def test_findings_are_plain_lines_for_a_terminal() -> None:
    lines = wording.findings(comparison(12))
    assert any(line.startswith("dynamic differs from static: ") for line in lines)
    assert lines[-1].startswith("Placebo")


def test_interrupted_runs_and_dropped_pairs_are_said() -> None:
    result = comparison(12, complete=False)
    result["differences"]["dynamic"]["drawdown"]["dropped"] = 2
    said = " ".join(wording.cautions(result))
    assert "interrupted" in said
    assert "drawdown under dynamic (2)" in said


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [(-1234.56, 1, f"{MINUS}1,234.6"), (-0.001, 2, "0.00"), (None, 1, "n/a"), (float("nan"), 1, "n/a"), (7.0, 0, "7")],
)
def test_numbers(value: float | None, places: int, text: str) -> None:
    assert number(value, places) == text


def test_decimals_show_two_digits_of_the_interval() -> None:
    assert decimals([1.0], 0.38) == 2
    assert decimals([120.0], 40.0) == 0
    assert decimals([0.0], 0.0) == 0


def test_scales_choose_readable_units() -> None:
    assert scale_of("fraction").unit == "%"
    money = Money("USD", 100.0)
    assert scale_of("money", [2.5e9], money).unit == "million USD"
    assert scale_of("money", [250.0], money).unit == "USD"
    assert show({"mean": 2.5e9, "low": 2.4e9, "high": 2.6e9, "n": 3}, scale_of("money", [2.5e9], money)).text == (
        "25.0\u00a0million USD [24.0, 26.0]"
    )


def test_unknown_measures_are_described_and_come_last() -> None:
    assert describe("my_gap_bp").kind == "bp"
    assert order(["zz", "margin_calls", "drawdown"]) == ["drawdown", "margin_calls", "zz"]


def test_left_out_pairs_are_named_or_counted() -> None:
    def said(regimes: int) -> str:
        by = {f"r{i}": {"drawdown": {"dropped": i + 1}} for i in range(regimes)}
        return wording.cautions({"seeds": list(range(20)), "differences": by})[0]

    assert said(2).endswith("left out: drawdown under r0 (1) and drawdown under r1 (2).")
    assert said(6).endswith("left out: drawdown under 6 of those compared (1 to 6).")
