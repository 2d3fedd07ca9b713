"""Sorting by uniform keys: the same order as Python's, whatever the place in the buffer."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sim.kernels.sorting import sort_uniform

KEYS = st.lists(
    st.one_of(st.integers(0, (1 << 64) - 1), st.integers(0, 3), st.integers((1 << 64) - 4, (1 << 64) - 1)), max_size=80
)


def order_of(keys: list[int], ids: list[int]) -> list[int]:
    n = len(keys)
    order = np.full(n + 3, -1, np.int64)
    room = [np.array([*values, 0, 0, 0], kind) for values, kind in ((keys, np.uint64), (ids, np.int64))]
    sort_uniform(*room, order, np.zeros(n + 1, np.int64), n)
    assert (order[n:] == -1).all()
    return [int(i) for i in order[:n]]


@given(KEYS, st.randoms())
def test_sorts_by_key_then_by_id(keys: list[int], random: object) -> None:
    ids = list(range(len(keys)))
    random.shuffle(ids)  # type: ignore[attr-defined]
    assert order_of(keys, ids) == sorted(range(len(keys)), key=lambda i: (keys[i], ids[i]))


@given(KEYS, st.randoms())
def test_does_not_depend_on_the_place_in_the_buffer(keys: list[int], random: object) -> None:
    ids = list(range(len(keys)))
    places = list(range(len(keys)))
    random.shuffle(places)  # type: ignore[attr-defined]
    plain = [ids[i] for i in order_of(keys, ids)]
    moved = order_of([keys[i] for i in places], [ids[i] for i in places])
    assert [ids[places[i]] for i in moved] == plain


def test_equal_ids_keep_their_place() -> None:
    assert order_of([5] * 20, [1] * 20) == list(range(20))


def test_a_long_list() -> None:
    keys = np.random.Generator(np.random.Philox(1)).integers(0, 1 << 64, 5000, np.uint64, endpoint=False)
    assert order_of([int(k) for k in keys], [0] * 5000) == [int(i) for i in np.argsort(keys, kind="stable")]
