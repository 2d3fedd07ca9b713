from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments import scenario
from experiments.cli import main
from experiments.policies_report import command_line, effect_sentences, lines, markdown, write_policies_report
from experiments.reporting import write
from experiments.store import OutputFolder
from experiments.studies.arm_effects import OFF, effects
from experiments.studies.arms import Arm, grid, parse
from experiments.studies.policies import Policies, compare, fork, span
from experiments.vocabulary import MEASURES
from sim.errors import ConfigError

LEVERED = ["margin.params.initial=0.02", "margin.params.maintenance=0.01", "measure.window_steps=60"]


def study_of(path: Path, seeds: tuple[int, ...] = (0, 1), **more) -> Policies:
    loaded = scenario.load(path, LEVERED)
    return Policies(loaded, tuple(grid(loaded, ["full", "partial"], ["mid", "ema"])), seeds, lead=10, **more)


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> dict:
    from tests.experiments.conftest import SMALL

    path = tmp_path_factory.mktemp("study") / "small.toml"
    path.write_text(SMALL, encoding="utf-8")
    return compare(study_of(path, (0, 1, 2)))


def test_the_placebo_is_exactly_zero(result: dict) -> None:
    assert result["baseline"] == "full, mid"
    assert set(result["placebo"].values()) == {0.0}
    assert result["placebo_identical"]


def test_arms_differ_and_are_compared_in_pairs(result: dict) -> None:
    assert result["regimes"] == ["full, mid", "full, ema", "partial, mid", "partial, ema"]
    assert set(result["differences"]) == set(result["regimes"]) - {"full, mid"}
    by_seed = {(r["regime"], r["seed"]): r["measures"] for r in result["runs"] if not r["arm"]}
    lots = {label: [by_seed[label, seed]["liquidated_lots"] for seed in range(3)] for label in result["regimes"]}
    pairs = np.subtract(lots["full, ema"], lots["full, mid"])
    found = result["differences"]["full, ema"]["liquidated_lots"]
    assert found["mean"] == pytest.approx(np.mean(pairs))
    spread = np.std(pairs, ddof=1) / np.sqrt(3) * 4.302652729749464  # t quantile, two degrees of freedom
    assert found["t"]["low"] == pytest.approx(np.mean(pairs) - spread)
    assert found["t"]["high"] == pytest.approx(np.mean(pairs) + spread)
    assert any(r["measures"]["liquidated_lots"] > 0 for r in result["runs"])
    assert found["comparisons"] == 3  # Holm over the arms


def test_arms_start_from_one_state_and_the_jump_is_told(result: dict) -> None:
    for seed in range(3):
        runs = {r["regime"]: r["measures"] for r in result["runs"] if r["seed"] == seed and not r["arm"]}
        for name in ("r0_event", "open_interest_event", "depth_bid_event"):
            assert len({m[name] for m in runs.values()}) == 1
        assert runs["full, mid"]["mark_jump"] == runs["partial, mid"]["mark_jump"] == 0.0
        assert runs["full, ema"]["mark_jump"] == runs["partial, ema"]["mark_jump"] > 0.0
        assert runs[OFF]["liquidated_lots"] == 0
        for m in runs.values():
            assert m["first_reading_share"] <= m["before_event_share"] <= m["liquidated_share"]
            assert m["liquidated_share"] == pytest.approx(m["liquidated_lots"] / m["open_interest_event"])
            assert m["drawdown_mid"] >= 0
            assert 0 <= m["recovery_minutes"] <= 60


def test_gains_against_the_twin_add_up_to_zero(small: Path) -> None:
    (unit,) = study_of(small, (4,)).units()
    for record in fork(unit.task).runs:
        paid = record["incidence"]
        assert set(paid) == {"latent", "noise", "leveraged", "fund", "fees", "residue", "script"}
        assert sum(by["pnl"] for by in paid.values()) == pytest.approx(0.0, abs=1e-3)
        assert sum(by["against_off"] for by in paid.values()) == pytest.approx(0.0, abs=1e-3)
        assert record["regime"] != OFF or all(by["against_off"] == 0 for by in paid.values())
        lots = sum(by["liquidated"] for by in paid.values())
        assert lots == record["measures"]["liquidated_lots"]


def test_effects_average_over_the_other_factor() -> None:
    arms = [Arm(f"{p}{m}", {}, {"policy": p, "mark": m}) for p in "ab" for m in "xy"]
    nan = float("nan")
    values = {
        "ax": np.array([1.0, 2.0, 3.0]), "ay": np.array([2.0, 4.0, 6.0]),
        "bx": np.array([5.0, nan, 5.0]), "by": np.array([5.0, 5.0, nan]),
    }  # fmt: skip
    found = effects(arms, {label: {"drawdown_mid": v} for label, v in values.items()}, "ax")
    mark = found["mark"]
    assert mark["baseline"] == "x"
    # seed 0: ((2 - 1) + (5 - 5)) / 2; seed 1: b has no pair; seed 2: likewise
    assert mark["differences"]["y"]["drawdown_mid"]["mean"] == pytest.approx((0.5 + 2.0 + 3.0) / 3)
    policy = found["policy"]["differences"]["b"]["drawdown_mid"]
    assert policy["mean"] == pytest.approx(((4.0 + 3.0) / 2 + 1.0 + 2.0) / 3)
    assert effects([Arm("one"), Arm("two")], {}, "one") == {}


def test_custom_arms_are_compared_with_the_own_venue(small: Path) -> None:
    loaded = scenario.load(small, LEVERED)
    arms = (parse("last: clearing.mark=last"), parse("bound: clearing.forced_limit=bankruptcy, clearing.max_rounds=3"))
    found = compare(Policies(loaded, arms, (0, 1), lead=5))
    assert found["regimes"] == ["own", "last", "bound"]
    assert found["effects"] == {}
    assert set(found["placebo"].values()) == {0.0}
    assert found["parameters"]["bound"] == {"clearing.forced_limit": "bankruptcy", "clearing.max_rounds": 3}
    assert "--arm 'bound: clearing.forced_limit=bankruptcy, clearing.max_rounds=3'" in command_line(found)
    assert any("own (own)" in line for line in lines(found))


def test_an_interrupted_study_is_resumed(small: Path, tmp_path: Path) -> None:
    study = study_of(small, (0, 1))
    study = replace(study, arms=tuple(grid(study.scenario, ["full"], ["mid", "last"])))
    whole = compare(study)
    folder = OutputFolder(tmp_path / "out", study.job())

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(study, folder=folder, on_done=stop)
    kept = sorted((tmp_path / "out" / "runs").glob("*.json"))
    assert len(kept) == 1
    stamp = kept[0].stat().st_mtime_ns
    resumed = OutputFolder(tmp_path / "out", study.job())
    assert resumed.resumed
    assert compare(study, folder=resumed) == whole
    assert kept[0].stat().st_mtime_ns == stamp
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["status"] == "finished"


def test_page_figures_and_tables(result: dict, tmp_path: Path) -> None:
    page = write_policies_report(tmp_path, result).read_text(encoding="utf-8")
    assert "Effects of mark and policy" in page
    assert (tmp_path / "figures" / "outcomes.png").is_file()
    assert (tmp_path / "figures" / "effects.svg").is_file()
    text = (tmp_path / "policies.md").read_text(encoding="utf-8")
    assert text == "\n".join(markdown(result)) + "\n"
    assert "| full, ema |" in text
    said = effect_sentences(result)
    assert said[0].startswith("mark ema against mid, mean over policies: drawdown of the mid")
    assert said[1].startswith("policy partial against full, mean over marks: ")
    assert command_line(result) == (
        "marginlab venues small --policies full,partial --marks mid,ema --fork-lead 10 --seeds 0:3"
    )
    for name in result["measures"]:
        assert name in MEASURES


def test_what_cannot_be_measured_is_refused(small: Path) -> None:
    study = study_of(small)
    with pytest.raises(ConfigError, match="before the event"):
        replace(study, lead=200).validate()
    with pytest.raises(ConfigError, match='did you mean "sale"'):
        replace(study, event="sael").validate()
    with pytest.raises(ConfigError, match="--event"):
        replace(study, scenario=scenario.load("calm")).validate()
    with pytest.raises(ConfigError, match="twin"):
        replace(study, arms=(Arm(OFF, {"mark": "ema"}),)).validate()
    with pytest.raises(ConfigError, match=r"market\.steps"):
        replace(study, scenario=scenario.load(small, ["measure.window_steps=200"])).validate()
    with pytest.raises(ConfigError, match=r"record\.every"):
        replace(study, scenario=scenario.load(small, [*LEVERED, "record.every=2"])).validate()


def test_window_and_recovery_fit_the_run(small: Path) -> None:
    assert span(scenario.load(small, ["measure.window_steps=60"]), 200) == (60, 60)
    assert span(scenario.load(small, ["measure.window_steps=150"]), 200) == (150, 50)
    assert span(scenario.load(small), 200) == (100, 100)


def test_command(small: Path, tmp_path: Path, capsys) -> None:
    options = ["--set", "measure.window_steps=40", "--seeds", "1", "--fork-lead", "5"]
    with pytest.raises(SystemExit) as stopped:
        main(["venues", str(small), "--policies", "full", "--marks", "mid,last", "--arm",
              "slow: clearing.grace_steps=3", *options, "--out", str(tmp_path / "out"), "--json"])  # fmt: skip
    assert not stopped.value.code
    found = json.loads(capsys.readouterr().out)
    assert found["regimes"] == ["full, mid", "full, last", "slow"]
    page, table = ((tmp_path / "out" / name).read_bytes() for name in ("report.html", "tables/outcomes.tex"))
    for name in ("report.html", "tables/outcomes.tex", "figures/outcomes.svg"):
        (tmp_path / "out" / name).unlink()
    assert write(tmp_path / "out").read_bytes() == page
    assert (tmp_path / "out" / "tables" / "outcomes.tex").read_bytes() == table
    for wrong in (["--marks", "middle"], ["--policies", "half"], ["--arm", "x"], ["--fork-lead", "soon"]):
        with pytest.raises(SystemExit) as stopped:
            main(["venues", str(small), *wrong])
        assert stopped.value.code != 0
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert wrong[0] in said
