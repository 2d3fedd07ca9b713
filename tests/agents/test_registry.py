"""Kinds by name, and what a user hears about wrong parameters."""

from __future__ import annotations

import subprocess
import sys

import pytest

import agents
from agents.columns import Population
from agents.python_agent import PythonPopulation
from agents.registry import _BUILT_IN, _registered, population_class
from sim.errors import ConfigError
from tests.agents.rig import market_info


def test_every_built_in_kind_can_be_created_with_its_defaults() -> None:
    for kind in _BUILT_IN:
        params = {"other": "C1"} if "other" in agents.parameters(kind).model_fields else {}
        population = agents.create(kind, "some", params, market_info(2))
        assert isinstance(population, Population)
        assert population.kind == kind
        assert population.count == population.params.count > 0
        assert callable(population.decide)
        assert (population.__doc__ or "").strip().split("\n")[0].rstrip(".")


def test_every_parameter_is_described() -> None:
    for kind in _BUILT_IN:
        for name, field in agents.parameters(kind).model_fields.items():
            assert field.description, f"{kind}.{name} has no description"


def test_parameters_of_kernels_are_all_given() -> None:
    """Names of kernel parameters are unique, so that no value lands in another's place."""
    for kind in _BUILT_IN:
        cls = population_class(kind)
        assert len(set(cls.PARAMS)) == len(cls.PARAMS)
        assert len(set(cls.FLOATS + cls.INTS)) == len(cls.FLOATS + cls.INTS)


def test_unknown_kind_names_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"kind = 'lattent'; allowed: one of .*latent"):
        agents.create("lattent", "some", {}, market_info())


def test_all_wrong_parameters_are_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        agents.create("latent", "some", {"count": 0, "lifetime": -1, "colour": "red"}, market_info())
    found = {problem.key: problem for problem in caught.value.problems}
    assert set(found) == {"count", "lifetime", "colour"}
    assert found["count"].value == 0
    assert "greater than or equal to 1" in found["count"].allowed
    assert "arrivals" in found["colour"].allowed


def test_contract_must_exist() -> None:
    with pytest.raises(ConfigError, match="contract = 'X'; allowed: one of C0, C1"):
        agents.create("noise", "some", {"contract": "X"}, market_info(2))
    assert agents.create("noise", "some", {"contract": "C1"}, market_info(2)).contract == 1


def test_spread_traders_need_a_second_contract() -> None:
    (problem,) = agents.problems("spread_traders", {"other": "C0"}, market_info(), key="populations.spreads")
    assert problem.key == "populations.spreads.other"
    assert "second contract" in problem.allowed
    assert agents.problems("spread_traders", {"other": "C1"}, market_info(2)) == []


@pytest.mark.parametrize(
    ("kind", "params", "words"),
    [
        ("trend_followers", {"leverage_low": 9, "leverage_high": 3}, "leverage_low at most leverage_high"),
        ("trend_followers", {"horizon_low": 9, "horizon_high": 3}, "horizon_low at most horizon_high"),
    ],
)
def test_bounds_must_be_ordered(kind: str, params: dict[str, int], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        agents.create(kind, "some", params, market_info())


def test_register_refuses_a_name_twice() -> None:
    try:

        @agents.register("of_this_test")
        class One(PythonPopulation):
            """One."""

        assert agents.kinds()["of_this_test"] == "One."
        assert agents.create("of_this_test", "ones", {"count": 3}, market_info()).count == 3
        with pytest.raises(ValueError, match="already registered"):

            @agents.register("of_this_test")
            class Two(PythonPopulation):
                """Two."""

    finally:
        _registered.pop("of_this_test", None)


def test_listing_kinds_imports_nothing_heavy() -> None:
    heavy = "('mesa', 'numba', 'pydantic', 'pandas')"
    code = f"import sys, agents; agents.kinds(); print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
