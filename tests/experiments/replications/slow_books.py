"""The two models in plain Python: queues in dictionaries, the same keyed draws, nothing of the exchange."""

import math

from sim.kernels.keyed import uniform4

CST_STREAM, ZI_STREAM = 0x43535431, 0x5A494E54


def race(limit, cancel, market, spread, bids, asks, watch, seed, step, most=100_000):
    """One path of the queue model: (outcome, time)."""
    ask0 = 1_000
    bid0 = ask0 - spread
    book = {1: {bid0: ["other"] * bids}, -1: {ask0: ["other"] * asks}}
    if watch >= 1:
        book[1][bid0][-1] = "own"
    if watch == 2:
        book[-1][ask0][-1] = "own"
    missing, clock = watch, 0.0
    for k in range(most):
        events = [(market[0], ("take", -1)), (market[1], ("take", 1))]
        for i in range(len(limit[0])):
            low, high = ask0 - 1 - i, bid0 + 1 + i
            events.append((limit[0][i], ("add", 1, low)))
            events.append((limit[1][i], ("add", -1, high)))
            events.append((cancel[0][i] * book[1].get(low, []).count("other"), ("drop", 1, low)))
            events.append((cancel[1][i] * book[-1].get(high, []).count("other"), ("drop", -1, high)))
        total = 0.0
        total += events[0][0] + events[1][0]
        for rate, _ in events[2:]:
            total += rate
        u0, u1, u2, _ = uniform4(seed, CST_STREAM, step, k, 0)
        clock += -math.log(1.0 - u0) / total
        reached, chosen = events[0][0], 0
        while reached <= u1 * total and chosen < len(events) - 1:
            chosen += 1
            reached += events[chosen][0]
        what, side, *rest = events[chosen][1]
        if what == "take":
            best = max(book[1]) if side == 1 else min(book[-1])
            gone = book[side][best].pop(0)
            if not book[side][best]:
                del book[side][best]
            if gone == "own":
                missing -= 1
                if missing == 0:
                    return 2, clock
        elif what == "add":
            book[side].setdefault(rest[0], []).append("other")
        else:
            queue = book[side][rest[0]]
            others = [place for place, name in enumerate(queue) if name == "other"]
            del queue[others[int(u2 * len(others))]]
            if not queue:
                del book[side][rest[0]]
        bid, ask = max(book[1], default=None), min(book[-1], default=None)
        if bid != bid0 or ask != ask0:
            return (1 if bid is not None and (bid > bid0 or ask is None or ask > ask0) else -1), clock
    return 0, clock


def zero_intelligence(limit, market, cancel, window, seed, burn_in, sample, count):
    """Mids and spreads at each sample, ticks, and the spread's mean over time, 0 where a side is empty."""
    live, bid_ref, ask_ref = [], 0, 1  # live: [side, price] in the order that cancels draw from
    queues = {}
    clock, k, mids, spreads, integral = 0.0, 0, [], [], 0.0

    def best(side):
        prices = [price for (s, price), queue in queues.items() if s == side and queue]
        return (max(prices) if side == 1 else min(prices)) if prices else None

    def leave(order):
        place = next(i for i, other in enumerate(live) if other is order)
        live[place] = live[-1]
        live.pop()

    while len(mids) < count:
        total = 2.0 * (limit * window + market) + cancel * len(live)
        u0, u1, u2, u3 = uniform4(seed, ZI_STREAM, 0, k, 0)
        k += 1
        until = clock - math.log(1.0 - u0) / total
        bid, ask = best(1), best(-1)
        if until > burn_in and bid is not None and ask is not None:
            integral += (until - max(clock, burn_in)) * (ask - bid)
        while burn_in + len(mids) * sample < until and len(mids) < count:
            mids.append(0.5 * (bid_ref + ask_ref))
            spreads.append(math.nan if bid is None or ask is None else ask - bid)
        clock = until
        pick = u1 * total
        if pick < 2.0 * limit * window:
            offset = 1 + int(u2 * window)
            order = [1, ask_ref - offset] if u3 < 0.5 else [-1, bid_ref + offset]
            queues.setdefault(tuple(order), []).append(order)
            live.append(order)
        elif pick < 2.0 * (limit * window + market):
            side = -1 if u3 < 0.5 else 1
            at = best(side)
            if at is not None:
                leave(queues[side, at].pop(0))
        elif live:
            order = live[int(u2 * len(live))]
            queue = queues[tuple(order)]
            del queue[next(i for i, other in enumerate(queue) if other is order)]
            leave(order)
        bid_ref = best(1) if best(1) is not None else bid_ref
        ask_ref = best(-1) if best(-1) is not None else ask_ref
    return mids, spreads, integral / (clock - burn_in)
