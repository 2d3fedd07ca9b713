from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import margin
from margin import registry
from sim.errors import ConfigError
from sim.interfaces import MarginModel, PortfolioView, RiskParameters
from tests.margin import markets

PLUGIN = Path(__file__).parent / "plugins" / "square_root.py"
WANTED = {"static", "dynamic", "dynamic_garch", "portfolio", "isolated", "cross"}


@pytest.fixture
def clean_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registry", registry._Registry())


def test_every_preset_is_a_model_with_source_and_date() -> None:
    assert set(margin.regimes()) >= WANTED
    for name, preset in margin.presets().items():
        model = margin.create(name)
        assert isinstance(model, MarginModel)
        assert model.name == name
        assert model.layout == ("isolated" if preset.netting == "isolated" else "cross")
        # a charge that depends on the account or on the size of the position has no one rate for the index
        by_size = preset.rates in ("tiers", "steps", "size")
        assert preset.rule or model.index_valid == (not by_size) or "addons" in preset.params
        assert preset.source
        assert preset.summary.endswith(".")
        assert len(preset.date) == 10
        if not preset.rule:  # rules of a class of their own say themselves which contracts they take
            assert model.init(markets.table(2))["params"].shape[0] == 2
        assert margin.create(name, model.parameters).parameters == model.parameters


def test_portfolio_isolated_and_cross_use_the_rates_of_static() -> None:
    static = margin.presets()["static"].params
    for name in ("portfolio", "isolated", "cross"):
        assert margin.presets()[name].params.items() >= static.items()


@pytest.mark.parametrize(
    ("name", "params", "line"),
    [
        ("nope", {}, "margin.regime = 'nope'; allowed: one of "),
        ("static", {"foo": 1}, "margin.params.foo = 1; allowed: one of initial, maintenance"),
        ("static", {"initial": 2.0}, "margin.params.initial = 2.0; allowed: less than or equal to 1"),
        ("static", {"initial": {"a": -1}}, "margin.params.initial.a = -1; allowed: greater than 0"),
        ("static", {"initial": float("nan")}, "margin.params.initial"),
        ("static", {"initial": 0.01}, "a maintenance rate that is not above the initial rate"),
        ("dynamic", {"half_life": "3x"}, "margin.params.half_life = '3x'; allowed: a positive number of seconds"),
        ("dynamic", {"decay": 0.9, "half_life": "1h"}, "exactly one of half_life, decay"),
        ("dynamic", {"alpha": 0.1}, 'only with estimator = "garch"'),
        ("dynamic", {"estimator": "garch"}, "alpha, beta and one of omega, long_run_volatility"),
        ("dynamic_garch", {"half_life": "1h"}, 'only with estimator = "ewma"'),
        ("dynamic_daily", {"calibrate": {"dataset": "arch:sp500", "ed": "2006"}}, "margin.params.calibrate.ed"),
    ],
)
def test_bad_input_is_one_clear_line(name: str, params: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        margin.create(name, params)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        margin.create("static", {"initial": 2.0, "foo": 1})
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("static", {"initial": {"x": 0.1}, "maintenance": 0.01}),
        ("static", {"initial": {"a": 0.1}, "maintenance": 0.01}),
        ("dynamic", {"initial_volatility": {"a": 0.1}}),
        ("dynamic_garch", {"alpha": 0.2, "beta": 0.9}),
        ("dynamic_garch", {"sample_interval": "90s"}),
    ],
)
def test_what_does_not_fit_the_contracts_is_refused_at_init(name: str, params: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"margin\.params"):
        margin.create(name, params).init(markets.table(2))


def test_parameters_have_a_schema_with_descriptions() -> None:
    for name in margin.presets():
        model = margin.params_model(name)
        assert model is not None
        assert model.model_json_schema()["additionalProperties"] is False


@pytest.mark.usefixtures("clean_registry")
def test_a_user_rule_of_twenty_lines_works_like_a_built_in() -> None:
    assert len(PLUGIN.read_text().splitlines()) <= 25
    plugin = margin.load_plugin(PLUGIN)
    assert plugin.regimes == ("square_root",)
    assert len(plugin.sha256) == 64
    assert margin.regimes()["square_root"].startswith("Fixed rates plus an impact charge")
    assert margin.load_plugin(PLUGIN) is plugin

    model = margin.create("square_root", {"initial": 0.1, "maintenance": 0.05, "impact": 0.01})
    assert isinstance(model, MarginModel)
    assert (model.name, model.layout, model.index_valid) == ("square_root", "cross", False)
    assert model.requirement_kernel is None
    assert model.publish_kernel is not None

    contracts = markets.table(2)
    nothing = np.zeros((2, 2), np.int64)
    lots = np.array([[4, 0], [-9, 100]])
    portfolio = PortfolioView(
        contracts, contracts.initial_mark, lots, nothing, np.zeros((2, 3), np.int64), nothing, nothing, nothing, nothing
    )
    risk, _ = model.publish(markets.Clock(0, contracts.initial_mark), model.init(contracts))
    answer = model.requirement(portfolio, risk)
    assert answer.initial.tolist() == pytest.approx(
        [0.12 * 4 * 500_000, 0.13 * 9 * 500_000 + 0.2 * 100 * 142_500], abs=2
    )
    assert answer.maintenance.tolist() == pytest.approx(
        [0.07 * 4 * 500_000, 0.08 * 9 * 500_000 + 0.15 * 100 * 142_500], abs=2
    )
    with pytest.raises(ConfigError, match="one of initial, maintenance, impact"):
        margin.create("square_root", {"impcat": 0.01})


@pytest.mark.usefixtures("clean_registry")
def test_an_edited_plugin_replaces_itself_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    text = "import margin\n@margin.register('{}')\nclass Mine(margin.Rule):\n    '''One.'''\n"
    file.write_text(text.format("first"))
    assert margin.load_plugin(file).regimes == ("first",)
    file.write_text(text.format("second"))
    assert margin.load_plugin(file).regimes == ("second",)
    assert "first" not in margin.regimes()
    file.write_text("import margin\nraise ValueError('broken')\n")
    with pytest.raises(ConfigError, match="ValueError: broken"):
        margin.load_plugin(file)
    assert "second" in margin.regimes()
    for taken in ("static", "second"):
        other = tmp_path / "other.py"
        other.write_text(text.format(taken))
        with pytest.raises(ConfigError, match="a name that no other regime has"):
            margin.load_plugin(other)


def test_plugin_paths_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can be read"):
        margin.load_plugin(tmp_path / "none.py")
    text = tmp_path / "rule.txt"
    text.write_text("")
    with pytest.raises(ConfigError, match="Python file"):
        margin.load_plugin(text)
    with pytest.raises(ConfigError, match="letters, digits"):
        margin.register("two words")


@pytest.mark.usefixtures("clean_registry")
def test_an_installed_plugin_is_found_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    point = metadata.EntryPoint("installed", "tests.margin.test_registry:InstalledRule", registry.ENTRY_POINTS)
    broken = metadata.EntryPoint("broken", "tests.margin.none:Rule", registry.ENTRY_POINTS)
    monkeypatch.setattr(registry, "_entry_points", lambda: {"installed": point, "broken": broken})
    assert "installed" in margin.regimes()
    assert margin.create("installed", {"initial": 0.5}).parameters["initial"] == 0.5
    with pytest.raises(ConfigError, match="plug-in that can be imported"):
        margin.create("broken")


@pytest.mark.usefixtures("clean_registry")
def test_a_plain_callable_may_be_registered() -> None:
    @margin.register("callable_rule")
    def make(initial: float = 0.3) -> Any:
        return margin.Rule(initial=initial)

    assert margin.create("callable_rule").parameters["initial"] == 0.3
    assert margin.params_model("callable_rule") is None
    with pytest.raises(ConfigError, match="what callable_rule takes"):
        margin.create("callable_rule", {"unknown": 1})


class InstalledRule(margin.Rule):
    """A rule as another package would bring it."""


class IsolatedRule(margin.Rule):
    layout = "isolated"


class OwnRates(margin.Rule):
    def publish(self, market: Any, state: Any) -> Any:
        rates = np.full(len(market.mark), 1 << 28, np.int64)
        return RiskParameters(rates, rates), state


def test_what_a_subclass_leaves_alone_stays_compiled() -> None:
    assert IsolatedRule().requirement_kernel is margin.create("isolated").requirement_kernel
    assert IsolatedRule().index_valid
    assert OwnRates().publish_kernel is None
    assert OwnRates().requirement_kernel is margin.create("cross").requirement_kernel


def test_names_are_listed_without_the_compiler() -> None:
    code = "import sys, margin; margin.regimes(); assert 'numba' not in sys.modules, 'numba'; print('light')"
    root = Path(margin.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=False)
    assert done.stdout.strip() == "light", done.stderr
