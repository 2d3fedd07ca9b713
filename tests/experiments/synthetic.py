"""Made-up outcomes in the form that comparisons have, for tests of statistics, figures and reports."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from experiments.statistics import incidence_summary, paired_summary

REGIMES = ("static", "dynamic", "portfolio", "isolated")
PULL = {"static": 0.0, "dynamic": 0.035, "portfolio": -0.008, "isolated": 0.012}


def steps(
    regime: str,
    *,
    contracts: tuple[str, ...] = ("SPX",),
    n: int = 720,
    event: int = 240,
    dt: float = 60.0,
    seed: int = 7,
) -> pd.DataFrame:
    """Rows of ``steps.parquet`` of one run with a fall at the event; regimes share the path before it."""
    frames = []
    t = np.arange(n + 1)
    for c, contract in enumerate(contracts):
        noise = np.random.default_rng([seed, c]).normal(0.0, 4e-4, (2, n + 1)).cumsum(axis=1)
        after = np.clip((t - event) / 30.0, 0.0, 1.0)
        value = 1250.0 * np.exp(noise[0] - 0.02 * after)
        swing = after * np.exp(-np.maximum(t - event - 30, 0) / 200.0)
        mark = value * np.exp(0.3 * (noise[1] - noise[0]) - (0.05 + PULL.get(regime, 0.0)) * swing)
        rate = np.full(n + 1, 0.04)
        if regime == "dynamic":
            rate = 0.04 + 0.05 * swing
        interest = 4000.0 + 800.0 * np.sin(t / 150.0) - (900.0 + 9000.0 * PULL.get(regime, 0.0)) * after
        liquidated = np.round((400.0 + 6000.0 * PULL.get(regime, 0.0)) * np.clip((t - event) / 120.0, 0.0, 1.0))
        calls = np.floor((30.0 + 800.0 * PULL.get(regime, 0.0)) * np.clip((t - event) / 200.0, 0.0, 1.0))
        netting = 0.5 if regime == "portfolio" else 1.0
        notional = 2.0 * interest * mark * 50.0
        frames.append(
            pd.DataFrame(
                {
                    "step": t, "time_s": t * dt, "day": (t * dt // 86_400).astype(int), "contract": contract,
                    "last": mark * (1.0 + 2e-4 * (-1.0) ** t), "mid": mark, "bid": mark - 0.1, "ask": mark + 0.1,
                    "mark": mark, "index": value, "value": value, "volume": t * 7,
                    "open_interest": interest.astype(int),
                    "depth_bid": 900, "depth_ask": 900, "liquidated": liquidated.astype(int), "rate_initial": rate,
                    "rate_maintenance": rate / 2.0, "funding_rate": 0.0, "calls": calls.astype(int),
                    "calls_met": (calls * 0.6).astype(int), "call_amount": (calls * 1e6).astype(int),
                    "liquidations": (calls * 0.4).astype(int),
                    "bad_debt": (np.maximum(PULL.get(regime, 0.0), 0.0) * 4e8 * after).astype(int),
                    "fund_equity": (5e9 + liquidated * 2e5).astype(int), "fund_paid": 0,
                    "socialised": 0, "refusals": 0,
                    "initial_requirement": (rate * notional * netting).astype(int),
                    "maintenance_requirement": (rate / 2.0 * notional * netting).astype(int),
                    "equity": (notional / 6.0).astype(int), "notional": notional.astype(int), "called_now": 0,
                }
            )
        )  # fmt: skip
    return pd.concat(frames, ignore_index=True).sort_values(["step", "contract"], kind="stable", ignore_index=True)


def events(regime: str, event: int = 240) -> pd.DataFrame:
    """Rows of ``events.parquet``: liquidations of a few accounts."""
    count = int(12 + 300 * max(PULL.get(regime, 0.0), 0.0))
    return pd.DataFrame(
        {
            "step": event + 3 * np.arange(count), "time_s": 60.0 * (event + 3 * np.arange(count)),
            "kind": "liquidation", "contract": "SPX", "account": np.arange(count) % 9, "population": "leveraged",
            "reason": 1, "a": -20, "b": 20, "c": -1,
        }
    )  # fmt: skip


def values(n: int = 30, regimes: tuple[str, ...] = REGIMES, seed: int = 3) -> dict[str, dict[str, np.ndarray]]:
    """Measures over paired seeds: drawdown deeper under dynamic, bad debt rare, the state at the event common."""
    rng = np.random.default_rng(seed)
    base = {
        "drawdown": rng.normal(0.082, 0.02, n), "volatility": rng.normal(0.31, 0.05, n),
        "liquidated_share": rng.beta(2, 8, n), "margin_calls": rng.poisson(40, n).astype(float),
        "bad_debt": np.where(rng.random(n) < 0.2, rng.exponential(3e7, n), 0.0),
        "mean_initial_rate": np.full(n, 0.04), "mean_initial_margin": rng.normal(2.4e9, 2e8, n),
        "spread_bp": rng.normal(8.0, 1.0, n),
        "r0_event": rng.normal(1.1, 0.15, n), "open_interest_event": rng.normal(4000, 300, n),
    }  # fmt: skip
    out = {}
    for regime in regimes:
        pull = PULL.get(regime, 0.0)
        mine = {name: sample.copy() for name, sample in base.items()}
        if regime != "static":
            mine["drawdown"] += 0.4 * pull + rng.normal(0.0, 0.004, n)
            mine["volatility"] += rng.normal(0.002, 0.01, n) + pull * 0.5
            mine["liquidated_share"] = np.clip(mine["liquidated_share"] + pull + rng.normal(0, 0.03, n), 0, 1)
            mine["margin_calls"] += np.round(rng.normal(400 * pull, 6, n))
            mine["mean_initial_margin"] *= 0.55 if regime == "portfolio" else 1.0 + 3 * pull
            mine["spread_bp"] += rng.normal(0.15, 0.35, n)
        if regime == "dynamic":
            mine["mean_initial_rate"] = np.abs(rng.normal(0.062, 0.004, n))
        out[regime] = mine
    return out


def comparison(n: int = 30, regimes: tuple[str, ...] = REGIMES, **extra: Any) -> dict[str, Any]:
    """A whole comparison as ``marginlab compare`` writes it."""
    sample = values(n, regimes)
    rng = np.random.default_rng(5)
    people = {"leveraged": (-3e8, 400.0), "makers": (1.2e8, 20.0), "hedgers": (4e7, 0.0), "noise": (9e7, 0.0)}
    incidence = {
        regime: {
            name: {
                "pnl": rng.normal(gain * (1 + 4 * PULL.get(regime, 0.0)), 3e7, n),
                "liquidated": rng.poisson(lots * (1 + PULL.get(regime, 0.0)), n).astype(float),
                "share": np.full(n, 0.25),
            }
            for name, (gain, lots) in people.items()
        }
        for regime in regimes
    }
    summary = paired_summary(sample, regimes[0], sample[regimes[0]])
    return summary | {
        "scenario": "shock", "reading": "forked at sale", "event_name": "sale", "event_step": 240,
        "seeds": list(range(n)), "regimes": list(regimes), "baseline": regimes[0],
        "incidence": incidence_summary(incidence), "runs": [], "results_hash": "3f9a" * 16,
        "scales": {"dynamic": {"mean": 0.8731, "smallest": 0.81, "largest": 0.94}}, "placebo_identical": True,
        "parameters": {r: {"regime": r, "params": {"initial": 0.04, "maintenance": 0.02}} for r in regimes},
        "money": {"currency": "USD", "minor_per_unit": 100},
        "command": "marginlab compare shock --margin static,dynamic,portfolio,isolated --fork-at sale --seeds 30",
        "versions": {"marginlab": "0.1.0", "python": "3.11.9", "numpy": "2.4.6"},
    } | extra  # fmt: skip
