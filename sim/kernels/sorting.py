"""Sorting of uniformly distributed keys in linear time."""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.wide import mul_high


@kernel()
def sort_uniform(keys, ids, order, counts, n):
    """Write into ``order[:n]`` the positions of ``keys[:n]`` in increasing order, ties by ``ids``.

    Keys are uniform 64-bit draws, so one bucket per key and an insertion pass sort in linear time.

    Args:
        keys: uint64[>= n].
        ids: int64[>= n], breaks ties, so that the order never depends on a place in a buffer.
        order: int64[>= n], written.
        counts: int64[>= n + 1], scratch.
        n: number of keys.
    """
    if n > 16:
        size = np.uint64(n)
        for i in range(n + 1):
            counts[i] = 0
        for i in range(n):
            counts[np.int64(mul_high(keys[i], size)) + 1] += 1
        for i in range(n):
            counts[i + 1] += counts[i]
        for i in range(n):
            bucket = np.int64(mul_high(keys[i], size))
            order[counts[bucket]] = i
            counts[bucket] += 1
    else:
        for i in range(n):
            order[i] = i
    for i in range(1, n):
        item = order[i]
        key = keys[item]
        j = i - 1
        while j >= 0:
            other = order[j]
            if keys[other] < key or (keys[other] == key and ids[other] <= ids[item]):
                break
            order[j + 1] = other
            j -= 1
        order[j + 1] = item
