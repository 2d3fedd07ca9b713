"""Who is owed what when losses exceed everything: the claims of all accounts, and what of them cannot be paid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.kernels import ledger
from sim.kernels import state as s

if TYPE_CHECKING:
    import pandas as pd

    from sim.market import Market

SPECIAL = ("fund", "fees", "residue", "script")


def shares(amount: int, weights: list[int]) -> list[int]:
    """An amount shared in proportion to weights >= 0 by cumulative floors, so that the shares sum to it exactly.

    Examples:
        >>> shares(10, [1, 1, 1])
        [3, 3, 4]
        >>> shares(5, [0, 0])
        [0, 0]
    """
    total, seen, before, out = sum(weights), 0, 0, []
    for weight in weights:
        seen += weight
        upto = amount * seen // total if total else 0
        out.append(upto - before)
        before = upto
    return out


def statement(market: Market) -> pd.DataFrame:
    """Claims of every account if the market stopped now and everything settled at its marks.

    An account with positive equity has a claim of that much. What accounts with negative equity cannot pay, the fund
    with its debt among them, is missing; every claim is paid less the same share of it.

    Args:
        market: the market; it is not changed.

    Returns:
        A row per account with a claim: ``account``, ``population``, ``claim``, ``paid``, ``owed`` (what is missing of
        the claim), minor units of the account currency; ``claim = paid + owed``, and ``owed`` sums to what is missing.
    """
    import pandas as pd

    state = market.state
    traders = int(state.meta[s.M_TRADERS])
    names = [population.name for population in market.populations]
    equity = [int(ledger.equity(state, account)) for account in range(len(state.accounts))]
    claims = [max(own, 0) for own in equity]
    missing = min(-sum(min(own, 0) for own in equity), sum(claims))
    owed = shares(missing, claims)
    rows = [account for account, claim in enumerate(claims) if claim]
    population = [names[number] for number in state.accounts["population"][:traders].tolist()] + list(SPECIAL)
    return pd.DataFrame(
        {
            "account": np.array(rows, np.int64),
            "population": [population[account] for account in rows],
            "claim": np.array([claims[account] for account in rows], np.int64),
            "paid": np.array([claims[account] - owed[account] for account in rows], np.int64),
            "owed": np.array([owed[account] for account in rows], np.int64),
        }
    )
