"""Shares of the moves in a change of the mark, and the family tree of liquidations. Plain arrays, linear in their rows.

A mark is carried along a line of levels. Each level between where it was and where it is now is charged to the move
that crossed it last: a recovery undoes the newest moves first, and what is left, in order of time, sums to the change.
A mark that lags (averages, index plus basis) takes over the levels between itself and the mid in order, oldest first.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.state import (
    CAUSE_INDEX,
    MARK_EMA,
    MARK_INDEX,
    MARK_LAST,
    MARK_MID,
    MARK_TWAP,
)

# Classes of causes, in the order of ``sim.causes.CLASSES``
C_LIQUIDATIONS, C_ORDERS, C_SCRIPT, C_LIQUIDATORS, C_ADVERSARY, C_QUOTES, C_INDEX, C_RULE = range(8)
C_MARGIN, C_FUNDING, C_OWN = 8, 9, 10
CLASS_COUNT = 11
RULE_MOVE = -1  # a change of the mark that no move explains: the rule's own (carry, clamps, medians)


@kernel()
def _undo(amounts, owners, head, tail, amount, owner):
    """Put a signed move at the end of a list of moves of one sign; opposite ones are cancelled first, newest first.

    Returns:
        The new end of the list.
    """
    while amount != 0 and tail > head and (amounts[tail - 1] > 0) != (amount > 0):
        if abs(amounts[tail - 1]) > abs(amount):
            amounts[tail - 1] += amount
            amount = 0
        else:
            amount += amounts[tail - 1]
            tail -= 1
    if amount != 0:
        amounts[tail] = amount
        owners[tail] = owner
        tail += 1
    return tail


@kernel()
def _is_exact(rule):
    return rule == MARK_LAST or rule == MARK_MID or rule == MARK_INDEX


@kernel()
def _exact_move(rule, cause, last, mid):
    """How far a move carries a mark that follows last price, mid or index at once, sub-ticks."""
    if rule == MARK_LAST:
        return 16 * last if cause != CAUSE_INDEX else np.int64(0)
    if (rule == MARK_INDEX) == (cause == CAUSE_INDEX):
        return mid
    return np.int64(0)


@kernel()
def mark_moves(mark, mid, rule, reading, cause, last_moves, mid_moves):
    """Split the path of one contract's mark into signed pieces, each with the move that it is due to.

    Args:
        mark: int64[R] marks by reading, sub-ticks.
        mid: int64[R] mids, sub-ticks.
        rule: int64[R] rule of the mark.
        reading: int64[M] reading in which each move first shows, not falling.
        cause: int64[M].
        last_moves: int64[M] change of the last price, ticks.
        mid_moves: int64[M] change of the mid (cause index: of the index), sub-ticks.

    Returns:
        int64[F] readings (not falling), int64[F] moves (``RULE_MOVE``: none), int64[F] amounts in sub-ticks; the
        amounts of a reading sum to the change of the mark.
    """
    room = 3 * (len(mark) + len(reading)) + 4
    where, owner, amount = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    waiting, waiting_for = np.empty(2 * len(reading) + 2, np.int64), np.empty(2 * len(reading) + 2, np.int64)
    n, head, tail, m = 0, 0, 0, 0
    kept = np.int64(0)  # sum of what waits
    while m < len(reading) and reading[m] < 1:
        m += 1
    for r in range(1, len(mark)):
        change = mark[r] - mark[r - 1]
        begin = m
        while m < len(reading) and reading[m] == r:
            m += 1
        if _is_exact(rule[r]):
            head = tail = 0
            kept = np.int64(0)
            for i in range(begin, m):
                moved = _exact_move(rule[r], cause[i], last_moves[i], mid_moves[i])
                if moved != 0:
                    where[n], owner[n], amount[n] = r, i, moved
                    n += 1
                    change -= moved
        else:
            if head == tail:
                head = tail = 0
            anchored = rule[r] != MARK_EMA and rule[r] != MARK_TWAP
            for i in range(begin, m):
                if cause[i] != CAUSE_INDEX:
                    tail = _undo(waiting, waiting_for, head, tail, mid_moves[i], i)
                    kept += mid_moves[i]
                elif anchored:  # index plus average basis: the index carries the mark, and the basis the other way
                    where[n], owner[n], amount[n] = r, i, mid_moves[i]
                    n += 1
                    change -= mid_moves[i]
                    tail = _undo(waiting, waiting_for, head, tail, -mid_moves[i], i)
                    kept -= mid_moves[i]
            while change != 0 and head < tail and (waiting[head] > 0) == (change > 0):
                part = waiting[head]
                if abs(part) > abs(change):
                    part = change
                where[n], owner[n], amount[n] = r, waiting_for[head], part
                n += 1
                change -= part
                kept -= part
                waiting[head] -= part
                if waiting[head] == 0:
                    head += 1
            # what waits are the levels between mark and mid; what the rule has passed by is gone
            gap = mid[r] - mark[r]
            while head < tail and ((waiting[head] > 0) != (gap > 0) or abs(kept) > abs(gap)):
                over = kept - gap
                if gap != 0 and (waiting[head] > 0) == (gap > 0) and abs(waiting[head]) > abs(over):
                    waiting[head] -= over
                    kept = gap
                    break
                kept -= waiting[head]
                head += 1
        if change != 0:
            where[n], owner[n], amount[n] = r, RULE_MOVE, change
            n += 1
    return where[:n].copy(), owner[:n].copy(), amount[:n].copy()


@kernel()
def window_shares(begin, end, owner, amount):
    """Shares of the moves in the change of the mark over windows of its pieces.

    Args:
        begin: int64[W] first piece of each window.
        end: int64[W] piece after its last.
        owner: int64[F] move of each piece.
        amount: int64[F] signed pieces.

    Returns:
        int64[W + 1] starts, int64[I] moves in order of time, float64[I] shares; those of a window sum to one, and a
        window over which the mark did not change has none.
    """
    total = np.int64(0)
    for w in range(len(begin)):
        total += end[w] - begin[w]
    starts = np.zeros(len(begin) + 1, np.int64)
    moves, shares = np.empty(total, np.int64), np.empty(total, np.float64)
    longest = np.int64(0)
    for w in range(len(begin)):
        longest = max(longest, end[w] - begin[w])
    left, left_of = np.empty(longest + 1, np.int64), np.empty(longest + 1, np.int64)
    n = 0
    for w in range(len(begin)):
        tail = 0
        for i in range(begin[w], end[w]):
            tail = _undo(left, left_of, 0, tail, amount[i], owner[i])
        net = np.int64(0)
        for i in range(tail):
            net += left[i]
        for i in range(tail):
            moves[n], shares[n] = left_of[i], left[i] / net
            n += 1
        starts[w + 1] = n
    return starts, moves[:n].copy(), shares[:n].copy()


@kernel()
def _summarise(w, starts, moves, shares, move_class, move_parent, mean_generation, classes, sums, heaviest, held, seen):
    """Aggregates of one window: shares by class, heaviest parent, mean generation that its forced fills hand down.

    ``held`` and ``seen`` are scratch, one cell per liquidation: ``seen`` holds the window that wrote ``held`` last.
    """
    handed = 0.0
    best, most = np.int64(-1), 0.0
    for i in range(starts[w], starts[w + 1]):
        move = moves[i]
        kind = move_class[move] if move >= 0 else C_RULE
        classes[w, kind] += shares[i]
        parent = move_parent[move] if move >= 0 else np.int64(-1)
        if parent >= 0:
            handed += shares[i] * (1.0 + mean_generation[parent])
            if seen[parent] != w:
                seen[parent] = w
                held[parent] = 0.0
            held[parent] += shares[i]
            if held[parent] > most:
                best, most = parent, held[parent]
    sums[w] = handed
    heaviest[w] = best
    return most


@kernel()
def family(
    first, price, window, margin, funding, own, shortfall, headroom, starts, moves, shares, move_class, move_parent
):
    """Weights of all causes of every liquidation, and its place in the tree.

    Parts that helped the account carry no weight; the others are scaled to one. The trigger is the cause that took the
    excess below zero when the parts are laid end to end in order of time: funding, own trades, the moves of marks,
    margin rates.

    Args:
        first: int64[L + 1] first record row of each liquidation, in the order in which they began.
        price: float64[rows] price parts.
        window: int64[rows] window of each price part, -1: none.
        margin: float64[L] part of risen margin rates.
        funding: float64[L] part of funding.
        own: float64[L] own part.
        shortfall: float64[L], maintenance less equity.
        headroom: float64[L], excess at the safe reading.
        starts: of :func:`window_shares`.
        moves: of :func:`window_shares`.
        shares: of :func:`window_shares`.
        move_class: int64[M] class of each move.
        move_parent: int64[M] liquidation that the move is a forced fill of, -1.

    Returns:
        float64[L, classes] weights; int64[L] class of the trigger; int64[L] liquidation whose forced fill it was, -1;
        int64[L] heaviest parent, -1; float64[L] its weight; int64[L] generation; float64[L] mean generation; int64[L]
        root.
    """
    count, windows = len(first) - 1, len(starts) - 1
    weights = np.zeros((count, CLASS_COUNT))
    trigger, tree = np.zeros(count, np.int64), np.full(count, -1, np.int64)
    heaviest, heaviest_weight = np.full(count, -1, np.int64), np.zeros(count)
    generation, mean_generation, root = np.zeros(count, np.int64), np.zeros(count), np.arange(count)
    classes, handed = np.zeros((windows, CLASS_COUNT)), np.zeros(windows)
    window_best, window_most = np.full(windows, -1, np.int64), np.zeros(windows)
    ready = np.zeros(windows, np.bool_)
    upto = np.zeros(len(shares) + 1)
    for i in range(len(shares)):
        upto[i + 1] = upto[i] + shares[i]
    held, seen = np.zeros(count), np.full(count, -1, np.int64)
    for c in range(count):
        total = max(margin[c], 0.0) + max(funding[c], 0.0) + max(own[c], 0.0)
        for row in range(first[c], first[c + 1]):
            w = window[row]
            if price[row] > 0.0:
                total += price[row]
                if w >= 0 and not ready[w]:
                    window_most[w] = _summarise(
                        w, starts, moves, shares, move_class, move_parent, mean_generation, classes, handed,
                        window_best, held, seen,
                    )  # fmt: skip
                    ready[w] = True
        if total <= 0.0:  # nothing but rounding
            weights[c, C_OWN] = 1.0
            trigger[c] = C_OWN
            continue
        weights[c, C_MARGIN] = max(margin[c], 0.0) / total
        weights[c, C_FUNDING] = max(funding[c], 0.0) / total
        weights[c, C_OWN] = max(own[c], 0.0) / total
        goal = headroom[c] / max(headroom[c] + shortfall[c], 1e-300)
        found = False
        passed = weights[c, C_FUNDING]
        if passed > goal + 1e-12:
            trigger[c], found = C_FUNDING, True
        passed += weights[c, C_OWN]
        if not found and passed > goal + 1e-12:
            trigger[c], found = C_OWN, True
        last_class, last_tree = np.int64(C_OWN if weights[c, C_OWN] > 0.0 else C_FUNDING), np.int64(-1)
        for row in range(first[c], first[c + 1]):
            if price[row] <= 0.0:
                continue
            w, part = window[row], price[row] / total
            if w < 0 or starts[w] == starts[w + 1]:  # the index moved a conversion, or the mark came back
                weights[c, C_INDEX] += part
                last_class, last_tree = np.int64(C_INDEX), np.int64(-1)
                if not found and passed + part > goal + 1e-12:
                    trigger[c], found = C_INDEX, True
                passed += part
                continue
            for kind in range(CLASS_COUNT):
                weights[c, kind] += part * classes[w, kind]
            mean_generation[c] += part * handed[w]
            # the share of this window at which the excess is used up
            inside = (goal - passed) / part
            low, high = starts[w], starts[w + 1] - 1
            while low < high:
                middle = (low + high) // 2
                if upto[middle + 1] - upto[starts[w]] > inside + 1e-12:
                    high = middle
                else:
                    low = middle + 1
            move = moves[low]
            last_class = move_class[move] if move >= 0 else np.int64(C_RULE)
            last_tree = move_parent[move] if move >= 0 else np.int64(-1)
            if not found and passed + part > goal + 1e-12:
                trigger[c], tree[c], found = last_class, last_tree, True
            passed += part
            candidate, candidate_weight = window_best[w], part * window_most[w]
            if candidate >= 0 and candidate == heaviest[c]:
                heaviest_weight[c] += candidate_weight  # it moved several marks
            elif candidate_weight > heaviest_weight[c]:
                heaviest[c], heaviest_weight[c] = candidate, candidate_weight
        if not found:
            if weights[c, C_MARGIN] > 0.0:
                trigger[c] = C_MARGIN
            else:  # rounding at the very end
                trigger[c], tree[c] = last_class, last_tree
        if tree[c] >= 0:
            generation[c] = generation[tree[c]] + 1
            root[c] = root[tree[c]]
    return weights, trigger, tree, heaviest, heaviest_weight, generation, mean_generation, root


@kernel()
def expand(first, price, window, totals, starts, parents_of, shares, least):
    """Edges of the graph: every parent of every liquidation whose weight is at least ``least``.

    Linear in the edges found where liquidations have one price part each: a window's parents stand in falling order.

    Args:
        first: int64[L + 1] first record row of each liquidation.
        price: float64[rows] price parts.
        window: int64[rows] window of each price part, -1: none.
        totals: float64[L] sum of the positive parts of each liquidation.
        starts: int64[W + 1] first parent of each window.
        parents_of: int64[I] parents of the windows, the heaviest of each first.
        shares: float64[I] their shares.
        least: smallest weight.

    Returns:
        int64[E] parents, int64[E] children (not falling), float64[E] weights.
    """
    count = len(first) - 1
    parents, children, found = np.empty(1024, np.int64), np.empty(1024, np.int64), np.empty(1024)
    merged, touched = np.zeros(count), np.empty(count, np.int64)
    n = 0
    for c in range(count):
        priced, listed = 0, 0
        for row in range(first[c], first[c + 1]):
            if price[row] > 0.0 and window[row] >= 0:
                priced += 1
        for row in range(first[c], first[c + 1]):
            w = window[row]
            if price[row] <= 0.0 or w < 0:
                continue
            part = price[row] / totals[c]
            for i in range(starts[w], starts[w + 1]):
                if priced == 1 and part * shares[i] < least:
                    break
                parent = parents_of[i]
                if merged[parent] == 0.0:
                    touched[listed] = parent
                    listed += 1
                merged[parent] += part * shares[i]
        for j in range(listed):
            parent = touched[j]
            if merged[parent] >= least:
                if n == len(parents):
                    parents = np.concatenate((parents, np.empty(n, np.int64)))
                    children = np.concatenate((children, np.empty(n, np.int64)))
                    found = np.concatenate((found, np.empty(n)))
                parents[n], children[n], found[n] = parent, c, merged[parent]
                n += 1
            merged[parent] = 0.0
    return parents[:n].copy(), children[:n].copy(), found[:n].copy()
