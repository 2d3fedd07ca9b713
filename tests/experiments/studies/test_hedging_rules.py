"""The study of what hedging rules cost."""

from __future__ import annotations

import pytest

from experiments.studies import hedging_rules


def test_rules_that_trade_more_stray_less(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(hedging_rules, "HEDGED_STEPS", 500)
    monkeypatch.setattr(
        hedging_rules, "RULES", {name: hedging_rules.RULES[name] for name in ("band 1", "band 20", "time 60", "time 5")}
    )
    monkeypatch.setattr(hedging_rules, "PAIRS", (("band 20", "band 1"), ("time 60", "time 5")))
    hedging_rules.main(["--seeds", "1:4", "--jobs", "1"])
    shown = capsys.readouterr().out
    assert "| band 20 - band 1 | -" in shown and "| time 60 - time 5 | -" in shown
    result = hedging_rules.study(hedging_rules.scenario(), [1, 2, 3], 1)
    for pair in ("band 20 - band 1", "time 60 - time 5"):
        assert result["differences"][pair]["turnover"]["mean"] < 0 < result["differences"][pair]["stray_delta"]["mean"]
    assert result["means"]["band 1"]["stray_delta"]["high"] < 2


@pytest.mark.study
def test_stopping_at_the_edge_of_the_band_trades_less_for_the_same_delta() -> None:
    result = hedging_rules.study(hedging_rules.scenario(), range(5000, 5040), 2)
    found = result["differences"]["whalley_wilmott 3 - band 8"]
    assert found["turnover"]["high"] < 0
    assert found["stray_delta"]["low"] < 0 < found["stray_delta"]["high"]
