"""The terms of contracts as a scenario states them: what each kind needs, and the exchange's form of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sim.contracts import (
    DATED_KINDS,
    INVERSE_KINDS,
    KINDS,
    OPTION_KINDS,
    OVERFLOW_BOUND,
    SUBTICKS,
    Contract,
    currencies_of,
    exact,
    exchange_rules,
    overflow_product,
    payoff,
    references,
    strike_subticks,
)
from sim.errors import ConfigError, Problem
from sim.kernels.state import INVERSE_OPTION, SPOT, XR_CONTRACT, XR_MODE, XR_OVER, XR_TIMES

if TYPE_CHECKING:
    from experiments.scenario import Scenario
    from experiments.sections import ContractSection, MarketSection

_FUNDING_PERIOD_SECONDS = 8 * 3600
_OPTION_KEYS = ("strike", "option_type", "volatility", "chain")
_IN_SECONDS = {"funding_interval_seconds", "settle_interval", "expiry_days", "listing_days", "settlement_seconds"}
_SPOT_KEYS = ("base_currency", "base_lot")
# Kinds whose tick value follows from lot_size and tick_size, so that rules in units and the ledger agree
_IN_UNITS = (*INVERSE_KINDS, *OPTION_KINDS)


def contract_of(section: ContractSection, market: MarketSection) -> Contract:
    """A contract in the exchange's terms, durations in steps."""
    fields = section.model_dump(exclude=_IN_SECONDS)
    fields = {key: value for key, value in fields.items() if value is not None}
    interval, settle = section.funding_interval_seconds, section.settle_interval
    days = section.expiry_days
    return Contract(
        **fields,
        funding_interval_steps=round(interval / market.dt_seconds),
        funding_periods=max(1, round(_FUNDING_PERIOD_SECONDS / interval)) if interval else 1,
        settle_interval_steps=market.steps_per_day if settle == "day" else settle,
        listing_step=round(section.listing_days * market.steps_per_day),
        settle_steps=max(1, round(section.settlement_seconds / market.dt_seconds)),
        expiry_step=max(1, round(days * market.steps_per_day)) if days is not None else 0,
    )


def problems(sections: Sequence[ContractSection], market: MarketSection) -> list[Problem]:
    """What is wrong with the contracts of a market, beyond what each key says by itself."""
    found = [problem for section in sections for problem in _missing(section)]
    if found or not sections:
        return found
    contracts = [contract_of(section, market) for section in sections]
    for contract, reference in zip(contracts, references(contracts), strict=True):
        found += _units(contract, market.minor_units)
        if contract.is_option:
            found += _option(contract, contracts[reference])
    if not found:
        try:
            exchange_rules(contracts, minor_of(market.minor_units, contracts[0].currency))
        except ConfigError as error:
            found += error.problems
    return found


def minor_of(minor_units: Mapping[str, int], currency: str) -> int:
    """Minor units per unit of a currency: 100 where nothing is said."""
    return int(minor_units.get(currency, 100))


def money_of(scenario: Scenario) -> dict[str, Any]:
    """The account currency of a scenario and its minor units, as results state them."""
    currency = scenario.contracts[0].currency
    return {"currency": currency, "minor_per_unit": minor_of(scenario.market.minor_units, currency)}


def _missing(section: ContractSection) -> list[Problem]:
    """Keys that a kind needs, or does not have."""
    key, kind = f"contracts.{section.name}", KINDS[section.kind]
    found = []

    def wanted(name: str, phrase: str) -> None:
        if getattr(section, name) is None:
            found.append(Problem("", f"{key}.{name}", None, phrase))

    def only(names: Sequence[str], phrase: str) -> None:
        for name in names:
            if getattr(section, name) is not None:
                found.append(Problem("", f"{key}.{name}", getattr(section, name), phrase))

    if kind in OPTION_KINDS:
        wanted("strike", "a strike above 0 in price units of the underlying: an option has one")
        wanted("option_type", '"call" or "put": an option is one of them')
        wanted("expiry_days", "days from step 0 to expiry, above 0: an option expires")
        wanted("volatility", "an implied volatility above 0 per square root of a year, at which the option is marked")
    else:
        only(_OPTION_KEYS, "only with an option")
    if kind not in DATED_KINDS:
        only(("expiry_days",), "only with a future or an option: nothing else expires")
        for name in ("settlement_seconds", "priced_on"):
            if getattr(section, name) != type(section).model_fields[name].default:
                only((name,), "only with a future or an option: nothing else expires")
    elif section.expiry_days is not None and section.listing_days >= section.expiry_days:
        allowed = f"before it expires, on day {section.expiry_days:g}"
        found.append(Problem("", f"{key}.listing_days", section.listing_days, allowed))
    if kind == SPOT:
        wanted("base_currency", "the currency that a buyer gets")
        wanted("base_lot", "minor units of base_currency per lot, at least 1")
        if section.base_currency == section.currency:
            found.append(Problem("", f"{key}.base_currency", section.base_currency, f"another than {section.currency}"))
    else:
        only(_SPOT_KEYS, "only with spot")
    if kind in (*INVERSE_KINDS, INVERSE_OPTION):
        if "currency" not in section.model_fields_set:
            allowed = "the coin in which an inverse contract settles"
            found.append(Problem("", f"{key}.currency", section.currency, allowed))
        elif section.underlying and section.underlying != section.currency:
            allowed = f"{section.underlying}, the underlying coin: an inverse contract settles in it"
            found.append(Problem("", f"{key}.currency", section.currency, allowed))
    return found


def _units(contract: Contract, minor_units: Mapping[str, int]) -> list[Problem]:
    """Money per tick must agree with the sizes in units that margin rules read."""
    kind, key = KINDS[contract.kind], f"contracts.{contract.name}"
    size, tick = exact(contract.lot_size), exact(contract.tick_size)
    if kind == SPOT:
        coins = size * minor_of(minor_units, contract.base_currency)
        if coins != contract.base_lot:
            allowed = f"{_plain(coins)}: lot_size {contract.lot_size:g} x minor units of {contract.base_currency}"
            return [Problem("", f"{key}.base_lot", contract.base_lot, allowed)]
    elif kind not in _IN_UNITS:
        return []
    minor = minor_of(minor_units, contract.currency)
    worth = size * minor / tick if kind in INVERSE_KINDS else size * minor * tick
    if worth == contract.tick_value:
        return []
    sign = "/" if kind in INVERSE_KINDS else "x"
    if worth.denominator != 1:
        allowed = f"a lot_size with which lot_size x {minor} minor units {sign} tick_size is a whole number"
        return [Problem("", f"{key}.lot_size", contract.lot_size, allowed)]
    allowed = f"{_plain(worth)}: lot_size {contract.lot_size:g} x {minor} minor units {sign} tick_size"
    return [Problem("", f"{key}.tick_value", contract.tick_value, allowed)]


def _plain(number: Any) -> str:
    return str(number.numerator) if number.denominator == 1 else f"{float(number):g}"


def _option(contract: Contract, reference: Contract) -> list[Problem]:
    key = f"contracts.{contract.name}"
    if reference.is_option:
        allowed = "the underlying of another contract that is no option: its index prices this one"
        return [Problem("", f"{key}.underlying", contract.underlying or None, allowed)]
    strike = strike_subticks(contract, reference)
    if strike.denominator != 1:
        allowed = f"a multiple of a sixteenth of the tick_size {reference.tick_size:g} of {reference.name}"
        return [Problem("", f"{key}.strike", contract.strike, allowed)]
    if payoff(contract, reference).numerator * contract.max_lots >= OVERFLOW_BOUND:
        return [Problem("", f"{key}.max_lots", contract.max_lots, "fewer: the pay-off of so many lots would overflow")]
    return []


def overflow(contracts: Sequence[Contract], accounts: int, account_minor: int) -> list[Problem]:
    """Prove that no sum of money can leave a 64-bit integer, in any currency nor when converted.

    The sum over contracts of the largest positions of all accounts must stay below the bound. Where it does not, the
    contracts are named that would be too large if all were like them.
    """
    rules = exchange_rules(contracts, account_minor)
    names = currencies_of(contracts)
    largest: list[tuple[int, str]] = []
    for contract in contracts:
        price = 1 if contract.is_inverse else contract.max_price
        product = overflow_product(contract.max_lots, price, contract.tick_value, 1, accounts)
        formula = "max_lots x tick_value x 16" if contract.is_inverse else "max_lots x max_price x tick_value x 16"
        rate = _largest_rate(contracts, rules[names.index(contract.currency)])
        if rate > 1:
            product, formula = int(product * rate), f"{formula} x the rate of {contract.currency}"
        coins = overflow_product(contract.max_lots, 1, contract.base_lot, 1, accounts)
        largest.append(max((product, formula), (coins, "max_lots x base_lot x 16")))
    if sum(product for product, _ in largest) < OVERFLOW_BOUND:
        return []
    found = []
    for contract, (one, formula) in zip(contracts, largest, strict=True):
        product = one * len(contracts)
        if product < OVERFLOW_BOUND:
            continue
        scales = [("max_lots", contract.max_lots)]
        if KINDS[contract.kind] not in (*_IN_UNITS, SPOT):  # of those the tick value follows from the lot
            scales += [("max_price", contract.max_price), ("tick_value", contract.tick_value)]
        scale, limit = max(scales, key=lambda item: item[1])
        allowed = (
            f"a smaller scale: {formula} x {len(contracts)} contracts x {accounts} "
            f"accounts is {product:.3g}, and must stay below 2^62 = {OVERFLOW_BOUND:.3g}; {scale} of at most "
            f"{max(1, int(limit / (product / OVERFLOW_BOUND) * 0.999))} does it"
        )
        found.append(Problem("", f"contracts.{contract.name}.{scale}", limit, allowed))
    return found


def _largest_rate(contracts: Sequence[Contract], rule: Any) -> float:
    """Most that a minor unit of a currency can be worth in minor units of the account currency."""
    if rule[XR_MODE] == 0:
        return 1.0
    if rule[XR_MODE] < 0:
        return float(rule[XR_TIMES] / rule[XR_OVER])
    return float(rule[XR_TIMES] * contracts[rule[XR_CONTRACT]].max_price * SUBTICKS / rule[XR_OVER])
