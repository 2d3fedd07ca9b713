"""Kernels run as plain Python give the same bytes, so that a debugger or a coverage run shows what really happens."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from sim.kernels import state as s
from tests.sim.exchange import Exchange

ROOT = Path(__file__).resolve().parents[2]


def example() -> str:
    """A batch of orders and a default that goes down the whole waterfall; the hash of what is left."""
    exchange = Exchange(5, fund=300, limit=s.LIMIT_BANKRUPTCY)
    for account, cash in enumerate((1000, 10**6, 10**6, 10**6, 2000)):
        exchange.deposit(account, cash)
    exchange.trade(0, 1, 10)
    exchange.rest(2, s.BUY, 20, 80)
    exchange.rest(3, s.SELL, 1, 90)
    exchange.remark()
    for account in range(5):
        for lots in (1, 2):
            exchange.send(account, side=s.BUY if account % 2 else s.SELL, lots=lots, price=84 + account)
    exchange.batch()
    exchange.clear()
    assert exchange.meta(s.M_SOCIALISED) > 0
    digest = hashlib.sha256()
    for name in ("positions", "wallets", "quotes", "events", "fills", "accounts"):
        table = getattr(exchange.state, name)
        for field in table.dtype.names or [None]:
            digest.update(table[field].tobytes() if field else table.tobytes())
    return digest.hexdigest()


def test_plain_python_gives_the_same_bytes() -> None:
    code = "from tests.sim.test_uncompiled import example; print(example())"
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == example()
