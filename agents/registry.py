"""Kinds of traders by name.

Built-in kinds are imported when they are first asked for, so that listing them costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from sim.errors import ConfigError, Problem

if TYPE_CHECKING:
    from agents.columns import Population, PopulationParams

# kind: (module, what the kind does in one line)
_BUILT_IN: dict[str, tuple[str, str]] = {
    "latent": ("agents.liquidity", "providers whose limit orders rest for a lifetime fixed at birth"),
    "noise": ("agents.noise", "takers who split large parent orders into small market orders"),
    "fundamentalists": ("agents.fundamentalists", "trade towards a private opinion of value"),
    "hedgers": ("agents.hedgers", "hedge an exposure held outside the exchange"),
    "market_makers": ("agents.market_makers", "quote both sides, widen and withdraw when volatility rises"),
    "reference_makers": ("agents.reference_makers", "quote around an outside price, leaning against their inventory"),
    "trend_followers": ("agents.leveraged", "leveraged; open on a trend or against it, then hold"),
    "leverage_targeters": ("agents.leveraged", "rebalance to a leverage that the margin rule bounds"),
    "spread_traders": ("agents.spread_traders", "trade the price ratio of two contracts against their value ratio"),
    "value_arbitrageurs": ("agents.arbitrageurs", "trade the price towards the exogenous value at once"),
    "news_traders": ("agents.news_traders", "trade on what the value has moved and the market has not"),
    "stop_loss_traders": ("agents.stop_loss_traders", "hold positions with stops off the book"),
    "liquidators": ("agents.liquidators", "bid for positions of failing accounts and unwind them in the book"),
    "adversaries": ("agents.adversaries", "push the price into clusters of liquidation prices"),
    "option_makers": ("agents.option_makers", "quote options and hedge their delta in the book of the underlying"),
    "vault": ("agents.vault", "take failed accounts over as the backstop and unwind them as a market maker"),
}
_registered: dict[str, type[Population]] = {}

P = TypeVar("P", bound="type[Population]")


@dataclass(frozen=True, slots=True)
class MarketInfo:
    """What a population must know of a market to check its parameters.

    Attributes:
        contracts: contract names in order.
        dt_seconds: simulated seconds per step.
        steps_per_day: steps in a trading day.
    """

    contracts: tuple[str, ...]
    dt_seconds: float = 60.0
    steps_per_day: int = 1440


def register(kind: str) -> Callable[[P], P]:
    """Class decorator that makes a population available under a name.

    Args:
        kind: the name scenario files use.

    Raises:
        ValueError: the name is taken by another class.

    Examples:
        >>> from agents.python_agent import PythonPopulation
        >>> @register("example_of_register")
        ... class Example(PythonPopulation):
        ...     '''A population of Python traders.'''
        >>> "example_of_register" in kinds()
        True
        >>> _ = _registered.pop("example_of_register")
    """

    def decorate(population: P) -> P:
        known = _registered.get(kind)
        if known is not None and (known.__module__, known.__qualname__) != (
            population.__module__,
            population.__qualname__,
        ):
            raise ValueError(f"kind {kind!r} is already registered by {known.__module__}.{known.__qualname__}")
        population.kind = kind
        _registered[kind] = population
        return population

    return decorate


def kinds() -> dict[str, str]:
    """Every kind of trader and what it does, in one line each."""
    found = {kind: line for kind, (_, line) in _BUILT_IN.items()}
    for kind, population in _registered.items():
        found.setdefault(kind, (population.__doc__ or "").strip().split("\n")[0])
    return found


def population_class(kind: str) -> type[Population]:
    """The class of a kind.

    Raises:
        ConfigError: there is no such kind.
    """
    if kind not in _registered and kind in _BUILT_IN:
        import_module(_BUILT_IN[kind][0])
    if kind not in _registered:
        raise ConfigError.of("kind", kind, "one of " + ", ".join(sorted(kinds())))
    return _registered[kind]


def parameters(kind: str) -> type[PopulationParams]:
    """The pydantic model of a kind's parameters (its JSON schema documents them)."""
    return population_class(kind).Params


def problems(kind: str, params: Mapping[str, Any], market: MarketInfo, *, key: str = "") -> list[Problem]:
    """What is wrong with the parameters of a population.

    Args:
        kind: registered kind.
        params: parameters as a scenario file spells them, without ``kind`` and ``name``.
        market: the market they are for.
        key: dotted key of the population, put before the keys of the problems.

    Returns:
        One problem per wrong parameter; none if ``create`` would accept them.
    """
    prefix = f"{key}." if key else ""
    try:
        population_class(kind)._checked(dict(params), market)
    except ConfigError as error:
        return [Problem(p.file, prefix + p.key, p.value, p.allowed) for p in error.problems]
    return []


def create(kind: str, name: str, params: Mapping[str, Any], market: MarketInfo) -> Population:
    """Make a population.

    Args:
        kind: registered kind.
        name: unique in the market; names the population's random streams.
        params: parameters as a scenario file spells them, without ``kind`` and ``name``.
        market: the market it is for.

    Returns:
        The population; the market calls its ``fill``.

    Raises:
        ConfigError: unknown kind, or parameters that are not allowed (all of them at once).
    """
    population = population_class(kind)
    return population(name, population._checked(dict(params), market), market)
