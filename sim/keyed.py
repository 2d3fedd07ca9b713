"""Names of random streams.

A stream is one independent source of draws of :mod:`sim.kernels.keyed`, named in dotted words such as
``"world.value"`` or ``"population.latent"``. Its number depends on the name alone, never on the order in which
streams are made or on what else is in a scenario, so adding a population leaves the draws of the others untouched.
"""

from __future__ import annotations

import hashlib
import re

PURPOSES = 256
_NAME = re.compile(r"[^\s.]+(\.[^\s.]+)*")


def stream(name: str, purpose: int = 0) -> int:
    """The number of a named stream.

    Args:
        name: dotted name, such as ``"population.latent"``.
        purpose: one of the 256 numbers that belong to the name, for the several things one owner draws
            (``stream(name) + 3`` is ``stream(name, 3)``).

    Returns:
        A 48-bit hash of the name, times 256, plus the purpose: a non-negative integer below 2**56.

    Raises:
        ValueError: the name is not dotted words, or the purpose is not below 256.

    Examples:
        >>> stream("arrival") == stream("arrival")
        True
        >>> stream("arrival") + 1 == stream("arrival", 1)
        True
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"a stream name is words without spaces, joined by dots, not {name!r}")
    if not 0 <= purpose < PURPOSES:
        raise ValueError(f"a purpose is a number from 0 to {PURPOSES - 1}, not {purpose}")
    digest = hashlib.blake2b(name.encode(), digest_size=6, person=b"marginlab.stream").digest()
    return (int.from_bytes(digest, "big") << 8) + purpose
