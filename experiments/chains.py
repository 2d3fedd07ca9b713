"""Option chains: one table of a scenario that lists calls and puts of many strikes and expiries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from pydantic import ValidationError

from experiments.sections import ChainSection
from sim.contracts import exact
from sim.errors import Problem
from sim.options import black76_price, inverse_price
from sim.problems import from_validation
from sim.surface import surface_problems

DAYS_PER_YEAR = 365
_SAME = (
    "kind", "volatility", "tick_size", "tick_value", "lot_size", "settlement_seconds", "priced_on", "price_band",
    "band_ticks", "max_lots", "max_price", "fee_taker", "fee_maker", "fee_liquidation",
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
        found += surface_problems(chain.surface, f"{key}.surface")
        chains.append(chain)
        reference = next((one for one in listed if one.get("name") == chain.underlying), None)
        if reference is None:
            names = ", ".join(str(one.get("name")) for one in listed)
            found.append(Problem("", f"{key}.underlying", chain.underlying, f"one of the contracts: {names}"))
        elif len(chain.listing_days) not in (0, len(chain.expiry_days)):
            allowed = f"as many as expiry_days ({len(chain.expiry_days)}), or none"
            found.append(Problem("", f"{key}.listing_days", chain.listing_days, allowed))
        elif not any(one.get("chain") == chain.name for one in listed):
            raw["contracts"] = [*raw["contracts"], *options_of(chain, reference)]
    return chains, found


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
    about = reference.get("underlying") or reference.get("base_currency")
    if about is None and str(reference.get("kind", "")).startswith("inverse"):
        about = reference.get("currency")
    common = {name: getattr(chain, name) for name in _SAME}
    common["currency"] = chain.currency or reference.get("currency", "USD")
    common["underlying"] = about or reference["name"]
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
                        "initial_price": min(max(ticks, 1), chain.max_price),
                    }
                )
    return found


def _plain(number: float) -> str:
    """A number as a part of a name, which holds no dots: 0.5 is 0p5."""
    return f"{number:g}".replace(".", "p").replace("+", "")
