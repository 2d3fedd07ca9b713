"""Published laws of market impact, as functions of all their inputs.

Prices move by fractions of the price (0.002 is 20 bp), volumes are in shares or lots per day, times in trading days.
Every law is also an entry of :data:`LAWS`, from which the command ``marginlab impact-laws`` is made.

References:
    Almgren, R., Thum, C., Hauptmann, E. and Li, H. (2005). Direct estimation of equity market impact. Risk 18(7),
        58-62.
    Bouchaud, J.-P., Gefen, Y., Potters, M. and Wyart, M. (2004). Fluctuations and response in financial markets.
        Quantitative Finance 4(2), 176-190 (the propagator, and its exponent from the memory of signs).
    Toth, B. et al. (2011). Anomalous price impact and the critical nature of liquidity. Phys. Rev. X 1, 021006.
    Caccioli, F., Bouchaud, J.-P. and Farmer, J. D. (2012). A proposal for impact-adjusted valuation: critical leverage
        and execution risk. arXiv:1204.0922.
    Farmer, J. D., Gerig, A., Lillo, F. and Waelbroeck, H. (2013). How efficiency shapes market impact. Quantitative
        Finance 13(11), 1743-1758 (the fair price: 2/3 of the peak for a square root).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sim.errors import ConfigError
from sim.problems import one_of

MOST_ROWS = 10_000


def almgren(
    shares: float,
    daily_volume: float,
    daily_volatility: float,
    shares_outstanding: float,
    duration: float,
    gamma: float = 0.314,
    eta: float = 0.142,
    size_exponent: float = 1.0,
    turnover_exponent: float = 0.25,
    rate_exponent: float = 0.6,
) -> dict[str, float]:
    """Permanent impact and cost of a trade (Almgren et al. 2005).

    I = gamma sigma sgn(X) |X / V|^alpha (Theta / V)^delta,  J = I / 2 + eta sigma sgn(X) |X / (V T)|^beta.

    Args:
        shares: X, signed: negative sells.
        daily_volume: V, shares per day.
        daily_volatility: sigma, fraction of the price per square root of a day.
        shares_outstanding: Theta.
        duration: T, trading days of volume over which the trade is spread evenly.
        gamma: coefficient of the permanent impact.
        eta: coefficient of the temporary impact.
        size_exponent: alpha, 1 in the paper (only then is there no price manipulation).
        turnover_exponent: delta, 1/4 in the paper.
        rate_exponent: beta, 3/5 in the paper.

    Returns:
        ``permanent`` (I), ``temporary`` (the second term), ``cost`` (J), fractions of the price, positive for a buy;
        ``participation``: X / (V T).

    Examples:
        >>> found = almgren(656_100, 6_561_000, 0.0157, 1.728e9, 0.2)
        >>> round(1e4 * found["permanent"], 1), round(1e4 * found["cost"], 1)
        (19.9, 24.6)
    """
    sign = math.copysign(1.0, shares) if shares else 0.0
    share = abs(shares) / daily_volume
    turnover = (shares_outstanding / daily_volume) ** turnover_exponent
    permanent = gamma * daily_volatility * sign * share**size_exponent * turnover if sign else 0.0
    temporary = eta * daily_volatility * sign * (share / duration) ** rate_exponent if sign else 0.0
    return {
        "permanent": permanent,
        "temporary": temporary,
        "cost": permanent / 2.0 + temporary,
        "participation": share / duration,
    }


def power_impact(
    size: float, daily_volatility: float, prefactor: float = 1.0, exponent: float = 0.5
) -> dict[str, float]:
    """Impact I = Y sigma (Q / V)^d of a metaorder at its end; the square-root law for d = 1/2 (Toth et al. 2011).

    Args:
        size: Q / V, share of daily volume.
        daily_volatility: sigma, fraction per square root of a day.
        prefactor: Y, about one.
        exponent: d.

    Returns:
        ``impact``; ``cost``: mean over the execution at an even pace, I / (1 + d); both fractions of the price.
    """
    impact = prefactor * daily_volatility * size**exponent
    return {"impact": impact, "cost": impact / (1.0 + exponent)}


def propagator_path(time: float, decay: float = 0.5) -> dict[str, float]:
    """Impact of a metaorder worked at an even pace, over the impact at its end, where one trade's decays as t^-beta.

    u^(1-beta) while it is worked (u < 1) and u^(1-beta) - (u - 1)^(1-beta) afterwards, u being the time in durations.

    Args:
        time: u, durations since the start.
        decay: beta, from 0 (permanent) to below 1.
    """
    power = 1.0 - decay
    if time <= 1.0:
        return {"relative_impact": time**power}
    return {"relative_impact": time**power - (time - 1.0) ** power}


def propagator_decay(sign_decay: float = 0.5) -> dict[str, float]:
    """Decay of one trade's impact that keeps prices diffusive, and what follows from it (Bouchaud et al. 2004).

    With signs whose autocorrelation falls as lag^-g the price is diffusive for beta = (1 - g) / 2; the impact of a
    metaorder at an even pace then grows as time^(1 - beta).

    Args:
        sign_decay: g, from 0 to 1.

    Returns:
        ``decay`` (beta), ``growth`` (1 - beta), ``half_decay``: durations from the metaorder's end until half of its
        impact at the end is left.
    """
    from scipy import optimize

    decay = (1.0 - sign_decay) / 2.0
    if decay == 0.0:
        return {"decay": 0.0, "growth": 1.0, "half_decay": math.inf}

    def above_half(log_time: float) -> float:
        return propagator_path(1.0 + math.exp(log_time), decay)["relative_impact"] - 0.5

    top = 1.0
    while above_half(top) > 0.0 and top < 700.0:
        top = min(2.0 * top, 700.0)
    half = math.exp(float(optimize.brentq(above_half, -100.0, top, xtol=1e-12))) if above_half(top) <= 0.0 else math.inf
    return {"decay": decay, "growth": 1.0 - decay, "half_decay": half}


def fair_level(exponent: float = 0.5) -> dict[str, float]:
    """Share of the peak that is kept where the price reverts to what was paid on average, 1 / (1 + d).

    2/3 for the square root (Farmer et al. 2013).

    Args:
        exponent: d, of the impact's growth while the metaorder is worked.
    """
    return {"kept": 1.0 / (1.0 + exponent)}


def critical_leverage(impact: float, leverage: float = 1.0, exponent: float = 0.5) -> dict[str, float]:
    """Leverage from which a position cannot be sold out without ruin, (1 + d) / I: 3 / (2 I) for the square root.

    Selling everything moves the price down by I and fetches I / (1 + d) less than the mark on average. Assets valued
    so are A (1 - k) with k = I / (1 + d), equity is E - A k, and their ratio diverges at leverage A / E = 1 / k
    (Caccioli, Bouchaud and Farmer 2012).

    Args:
        impact: I, fraction of the price by which selling the whole position moves it.
        leverage: A / E at the mark.
        exponent: d, of the impact.

    Returns:
        ``critical_leverage``; ``adjusted_leverage``: assets over equity at impact-adjusted values, infinite from the
        critical one on; ``discount``: k.
    """
    discount = impact / (1.0 + exponent)
    left = 1.0 - leverage * discount
    return {
        "critical_leverage": 1.0 / discount,
        "adjusted_leverage": leverage * (1.0 - discount) / left if left > 0.0 else math.inf,
        "discount": discount,
    }


def amplification(gain: float) -> dict[str, float]:
    """Factor by which forced sales amplify a fall when each unit of fall brings down g more: 1 / (1 - g).

    The sum of the geometric series; infinite from g = 1 on. Measured on the exchange's own book by
    ``marginlab flat-book``.

    Args:
        gain: g, forced sales per unit of fall times impact per unit sold.
    """
    return {"amplification": 1.0 / (1.0 - gain) if gain < 1.0 else math.inf}


@dataclass(frozen=True)
class Input:
    """One input of a law.

    Attributes:
        name: as the function calls it.
        default: what it is when nothing is said.
        low: smallest value.
        high: largest.
        meaning: with its unit.
        strict: whether the smallest value itself is refused.
    """

    name: str
    default: float
    low: float
    high: float
    meaning: str
    strict: bool = False

    def check(self, key: str, value: float) -> float:
        """The value, if it is allowed.

        Raises:
            ConfigError: it is not.
        """
        above = self.low < value if self.strict else self.low <= value
        if not (above and value <= self.high):
            words = [f"above {self.low:g}" if self.strict else f"at least {self.low:g}"] if self.low > -math.inf else []
            words += [f"at most {self.high:g}"] if self.high < math.inf else []
            raise ConfigError.of(key, value, "a number " + ", ".join(words))
        return value


@dataclass(frozen=True)
class Law:
    """A published law with its inputs.

    Attributes:
        summary: one line.
        formula: of its outputs.
        source: where it was published.
        function: from inputs by name to outputs by name.
        inputs: in order.
        prices: outputs that are fractions of a price; they are shown in bp.
    """

    summary: str
    formula: str
    source: str
    function: Callable[..., dict[str, float]]
    inputs: tuple[Input, ...]
    prices: tuple[str, ...] = ()


_ANY = math.inf
_VOLATILITY = Input("daily_volatility", 0.0157, 0.0, 10.0, "fraction of the price per square root of a day", True)
LAWS: dict[str, Law] = {
    "almgren": Law(
        "permanent impact and cost of an equity trade",
        "I = gamma sigma (X/V)^a (Theta/V)^d,  J = I/2 + eta sigma |X/(V T)|^b",
        "Almgren, Thum, Hauptmann, Li (2005), Risk 18(7), 58-62",
        almgren,
        (
            Input("shares", 656_100.0, -_ANY, _ANY, "X, shares traded; negative sells"),
            Input("daily_volume", 6_561_000.0, 0.0, _ANY, "V, shares per day", True),
            _VOLATILITY,
            Input("shares_outstanding", 1.728e9, 0.0, _ANY, "Theta, shares", True),
            Input("duration", 0.2, 0.0, _ANY, "T, days of volume", True),
            Input("gamma", 0.314, 0.0, _ANY, "coefficient of the permanent impact"),
            Input("eta", 0.142, 0.0, _ANY, "coefficient of the temporary impact"),
            Input("size_exponent", 1.0, 0.0, 5.0, "a"),
            Input("turnover_exponent", 0.25, -5.0, 5.0, "d"),
            Input("rate_exponent", 0.6, 0.0, 5.0, "b"),
        ),
        ("permanent", "temporary", "cost"),
    ),
    "power": Law(
        "impact of a metaorder; the square-root law at exponent 1/2",
        "I = Y sigma (Q/V)^d, mean cost I / (1 + d)",
        "Toth et al. (2011), Phys. Rev. X 1, 021006",
        power_impact,
        (
            Input("size", 0.01, 0.0, _ANY, "Q/V, share of daily volume"),
            _VOLATILITY,
            Input("prefactor", 1.0, 0.0, _ANY, "Y"),
            Input("exponent", 0.5, 0.0, 5.0, "d"),
        ),
        ("impact", "cost"),
    ),
    "propagator": Law(
        "path of the impact over its value at the end, each trade's impact fading as t^-beta",
        "u^(1-beta), after the end u^(1-beta) - (u-1)^(1-beta)",
        "Bouchaud, Gefen, Potters, Wyart (2004), Quantitative Finance 4, 176-190",
        propagator_path,
        (
            Input("time", 2.0, 0.0, _ANY, "u, durations of the metaorder since its start"),
            Input("decay", 0.5, 0.0, 0.999, "beta"),
        ),
    ),
    "decay": Law(
        "decay of one trade's impact that keeps prices diffusive under long memory of signs",
        "beta = (1 - g) / 2; half decay: u^(1-beta) - (u-1)^(1-beta) = 1/2 at u - 1",
        "Bouchaud, Gefen, Potters, Wyart (2004), Quantitative Finance 4, 176-190",
        propagator_decay,
        (Input("sign_decay", 0.5, 0.0, 1.0, "g, exponent of the decay of the signs' autocorrelation"),),
    ),
    "fair-price": Law(
        "share of the peak that is kept where the price reverts to the average paid",
        "1 / (1 + d); 2/3 for a square root",
        "Farmer, Gerig, Lillo, Waelbroeck (2013), Quantitative Finance 13, 1743-1758",
        fair_level,
        (Input("exponent", 0.5, 0.0, 5.0, "d, of the impact's growth"),),
    ),
    "critical-leverage": Law(
        "leverage from which a position cannot be sold out without ruin",
        "(1 + d) / I; 3 / (2 I) for a square root",
        "Caccioli, Bouchaud, Farmer (2012), arXiv:1204.0922",
        critical_leverage,
        (
            Input("impact", 0.1, 0.0, 1.0, "I, fraction by which selling everything moves the price", True),
            Input("leverage", 5.0, 0.0, _ANY, "assets over equity at the mark"),
            Input("exponent", 0.5, 0.0, 5.0, "d"),
        ),
        ("discount",),
    ),
    "amplification": Law(
        "factor by which forced sales amplify a fall",
        "1 / (1 - g)",
        "geometric series; measured on the exchange's book by `marginlab flat-book`",
        amplification,
        (Input("gain", 0.5, 0.0, _ANY, "g, what a unit of fall brings down in turn"),),
    ),
}  # fmt: skip


def evaluate(name: str, given: Mapping[str, Sequence[float]]) -> list[dict[str, float]]:
    """Values of a law for every combination of the inputs given.

    Args:
        name: of the law, a key of :data:`LAWS`.
        given: values by input; inputs left out have their default.

    Returns:
        One row per combination: all inputs, then all outputs.

    Raises:
        ConfigError: no such law or input, a value out of range, more than ten thousand combinations.
    """
    if name not in LAWS:
        raise ConfigError.of("NAME", name, one_of(name, LAWS))
    law = LAWS[name]
    known = {entry.name: entry for entry in law.inputs}
    for key in given:
        if key not in known:
            raise ConfigError.of(f"--set {key}", ",".join(f"{v:g}" for v in given[key]), one_of(key, known))
    columns = [[entry.check(entry.name, v) for v in given.get(entry.name, [entry.default])] for entry in law.inputs]
    if math.prod(len(column) for column in columns) > MOST_ROWS:
        raise ConfigError.of("--set", "too many values", f"at most {MOST_ROWS} combinations")
    rows = []
    for values in itertools.product(*columns):
        inputs = dict(zip(known, values, strict=True))
        rows.append(inputs | law.function(**inputs))
    return rows


def described(name: str) -> dict[str, Any]:
    """A law and its inputs as plain data."""
    if name not in LAWS:
        raise ConfigError.of("NAME", name, one_of(name, LAWS))
    law = LAWS[name]
    return {
        "name": name,
        "summary": law.summary,
        "formula": law.formula,
        "source": law.source,
        "inputs": [{"name": e.name, "default": e.default, "meaning": e.meaning} for e in law.inputs],
    }
