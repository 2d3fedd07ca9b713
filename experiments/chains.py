"""Option chains: one table of a scenario that lists calls and puts of many strikes and expiries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil
from typing import Any

from pydantic import ValidationError

from experiments.sections import ChainSection, ContractSection
from sim.contracts import SUBTICKS, exact
from sim.errors import Problem
from sim.options import black76_price, inverse_price
from sim.problems import from_validation, one_of
from sim.surface_parameters import surface_problems

DAYS_PER_YEAR = 365
_NAME_MOST = 48
_ROOM = 4  # the largest premium is so many times the price of the underlying at step 0, unless the file says
_SAME = (
    "kind", "volatility", "tick_size", "tick_value", "lot_size", "settlement_seconds", "priced_on", "price_band",
    "band_ticks", "max_lots", "fee_taker", "fee_maker", "fee_liquidation",
)  # fmt: skip


def expand(raw: dict[str, Any]) -> tuple[list[ChainSection], list[Problem]]:
    """Put the options of every chain behind the contracts of a parsed file.

    A chain whose options stand among the contracts already, as in the manifest of a run, is left as it is.

    Args:
        raw: the tables; ``contracts`` is extended.

    Returns:
        The valid chains, and what is wrong with the others.
    """
    given = raw.get("chains")
    if not isinstance(given, list):
        return [], []
    found: list[Problem] = []
    chains: list[ChainSection] = []
    contracts = raw.get("contracts")
    listed = [entry for entry in contracts if isinstance(entry, Mapping)] if isinstance(contracts, list) else []
    for index, entry in enumerate(given):
        key = f"chains.{entry.get('name', index) if isinstance(entry, Mapping) else index}"
        if not isinstance(entry, Mapping):
            found.append(Problem("", key, entry, "a table [[chains]]"))
            continue
        try:
            chain = ChainSection.model_validate(entry)
        except ValidationError as error:
            found += from_validation(error, ChainSection, entry, file="", prefix=key)
            continue
        if chain.name in [other.name for other in chains]:
            found.append(Problem("", f"{key}.name", chain.name, "a name that no other entry has"))
            continue
        chains.append(chain)
        wrong = _problems(chain, key, listed)
        found += [*surface_problems(chain.surface, f"{key}.surface"), *wrong]
        if not wrong and not any(one.get("chain") == chain.name for one in listed):
            reference = next(one for one in listed if one.get("name") == chain.underlying)
            raw["contracts"] = [*raw["contracts"], *options_of(chain, reference)]
    return chains, found


def _problems(chain: ChainSection, key: str, listed: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """What is wrong with a chain beyond the bounds of each key; its underlying comes first, for nothing fits without.

    Args:
        chain: the chain.
        key: dotted key of its table.
        listed: the contract tables.
    """
    reference = next((one for one in listed if one.get("name") == chain.underlying), None)
    if reference is None:
        names = one_of(chain.underlying, (str(one.get("name")) for one in listed if not one.get("chain")))
        return [Problem("", f"{key}.underlying", chain.underlying, f"one of the contracts: {names}")]
    pricing = _pricing(reference, listed)
    if pricing != chain.underlying:
        allowed = f"{pricing}, whose price is that of {_about(reference)}: options are valued and settle on it"
        return [Problem("", f"{key}.underlying", chain.underlying, allowed)]
    tick, ticks = reference.get("tick_size", 1.0), reference.get("initial_price", 5000)
    if not (_is_number(tick) and tick > 0 and _is_number(ticks) and ticks >= 1):
        return []  # said of the contract
    found = []
    days, listings = chain.expiry_days, chain.listing_days
    twice = sorted({day for day in days if days.count(day) > 1})
    if twice:
        found.append(Problem("", f"{key}.expiry_days", twice[0], "each expiry once"))
    if len(listings) not in (0, len(days)):
        allowed = f"as many as expiry_days ({len(days)}), or none"
        found.append(Problem("", f"{key}.listing_days", listings, allowed))
    else:
        for listing, day in zip(listings, days, strict=False):
            if listing >= day:
                found.append(Problem("", f"{key}.listing_days", listing, f"before the expiry of day {day:g}"))
    step = exact(tick) / SUBTICKS
    for strike in chain.strike_list:
        if exact(strike) % step:
            allowed = f"multiples of {float(step):g}, a sixteenth of the tick_size of {chain.underlying}"
            found.append(Problem("", f"{key}.strike_list", strike, allowed))
    if not found:
        entries = options_of(chain, reference)
        longest = max((entry["name"] for entry in entries), key=len)
        if len(longest) > _NAME_MOST:
            allowed = f"a shorter name: an option would be called {longest}, and names have {_NAME_MOST} characters"
            found.append(Problem("", f"{key}.name", chain.name, allowed))
        dearest = max(entry["initial_price"] for entry in entries)
        if chain.max_price is not None and dearest > chain.max_price:
            allowed = f"at least {dearest}: the dearest option is worth that many ticks at step 0"
            found.append(Problem("", f"{key}.max_price", chain.max_price, allowed))
    return found


def fold(problems: Sequence[Problem], contracts: Sequence[ContractSection]) -> list[Problem]:
    """Say what is wrong with all options of a chain once, of the chain.

    Args:
        problems: of contracts; those of options in a chain become one per chain and key.
        contracts: the contracts, with the chains that they belong to.
    """
    chains = {f"contracts.{contract.name}": contract.chain for contract in contracts if contract.chain}
    found: list[Problem] = []
    said: set[str] = set()
    for problem in problems:
        owner, _, field = problem.key.rpartition(".")
        if owner in chains:
            key = f"chains.{chains[owner]}.{field}"
            if key in said:
                continue
            said.add(key)
            problem = Problem(problem.file, key, problem.value, problem.allowed)
        found.append(problem)
    return found


def without_echoes(problems: Sequence[Problem], raw: Mapping[str, Any]) -> list[Problem]:
    """Leave out that options are unknown where their chain is wrong and was not listed for that reason.

    Args:
        problems: of a file.
        raw: its tables, chains expanded.
    """
    contracts, chains = raw.get("contracts"), raw.get("chains")
    made = contracts if isinstance(contracts, list) else []
    listed = {one.get("chain") for one in made if isinstance(one, Mapping)}
    names = [one.get("name") for one in chains or () if isinstance(one, Mapping)] if isinstance(chains, list) else []
    absent = tuple(f"{name}-" for name in names if name not in listed)
    return [one for one in problems if not (isinstance(one.value, str) and one.value.startswith(absent))]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _about(entry: Mapping[str, Any]) -> Any:
    """Name of what a contract is about, as :attr:`sim.contracts.Contract.about`."""
    inverse = str(entry.get("kind", "")).startswith("inverse")
    coin = entry.get("base_currency") or (entry.get("currency") if inverse else None)
    return entry.get("underlying") or coin or entry.get("name")


def _pricing(reference: Mapping[str, Any], listed: Sequence[Mapping[str, Any]]) -> Any:
    """Name of the contract that prices options about what a contract is about (:func:`sim.contracts.references`)."""
    same = [one for one in listed if _about(one) == _about(reference) and not one.get("option_type")]
    kinds = ("spot", "linear_perpetual", "inverse_perpetual")
    first = [one for one in same if one.get("kind", "linear_perpetual") in kinds]
    return (first or same or [reference])[0].get("name")


def strikes_of(chain: ChainSection, reference: Mapping[str, Any]) -> list[float]:
    """The strikes of a chain, price units: as listed, or evenly spaced around the initial price, on the tick."""
    if chain.strike_list:
        return sorted(set(chain.strike_list))
    tick = exact(reference.get("tick_size", 1.0))
    centre = tick * int(reference.get("initial_price", 5000))
    step = max(round(centre * exact(chain.spacing) / tick), 1) * tick
    first = centre - step * (chain.strikes // 2)
    found = [first + step * i for i in range(chain.strikes)]
    return [float(strike) for strike in found if strike > 0]


def options_of(chain: ChainSection, reference: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The contract tables of a chain: by expiry, then strike, calls before puts.

    Args:
        chain: the chain.
        reference: the contract table of its underlying.
    """
    tick = exact(reference.get("tick_size", 1.0))
    price = float(tick * int(reference.get("initial_price", 5000)))
    common = {name: getattr(chain, name) for name in _SAME}
    common["currency"] = chain.currency or reference.get("currency", "USD")
    common["underlying"] = _about(reference)
    worth = 1.0 if chain.kind == "inverse_option" else max(price, *strikes_of(chain, reference))
    room = _ROOM * exact(worth) / exact(chain.tick_size)
    common["max_price"] = chain.max_price or min(1 << max(ceil(room) - 1, 1).bit_length(), 2**31 - 1)
    listings: Sequence[float] = chain.listing_days or [0.0] * len(chain.expiry_days)
    found = []
    for expiry, listing in zip(chain.expiry_days, listings, strict=True):
        for strike in strikes_of(chain, reference):
            for option in ("call", "put"):
                pricing = inverse_price if chain.kind == "inverse_option" else black76_price
                premium = float(pricing(option, price, strike, expiry / DAYS_PER_YEAR, chain.volatility))
                ticks = round(Fraction(premium) / exact(chain.tick_size))
                found.append(
                    common
                    | {
                        "name": f"{chain.name}-{_plain(expiry)}d-{_plain(strike)}-{option[0].upper()}",
                        "chain": chain.name,
                        "option_type": option,
                        "strike": strike,
                        "expiry_days": expiry,
                        "listing_days": listing,
                        "initial_price": max(ticks, 1),
                    }
                )
    return found


def _plain(number: float) -> str:
    """A number as a part of a name, which holds no dots: 0.5 is 0p5."""
    return f"{number:.12g}".replace(".", "p").replace("+", "").replace("-", "m")
