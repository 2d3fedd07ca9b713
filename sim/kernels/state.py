"""The whole state of one market as arrays, held in one compiled struct.

Everything that a run is made of lives here: books, ledger, marks, risk parameters, traders' columns, world, records
(:mod:`sim.kernels.layout` lists them). A copy of these arrays is a fork, their bytes on disk are a snapshot, and every
kernel takes the struct as its first argument. Kernels mutate only what they say they mutate.

Arrays may be replaced by larger ones inside a kernel (order pool, ladder, message buffer, tape, events): read them
through the struct each time, and never keep an alias across a call that may grow them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.kernels.jit import JIT_DISABLED, kernel
from sim.kernels.layout import *  # noqa: F403  (the names of the layout are had from here)
from sim.kernels.layout import (
    ADDON_COEFFICIENTS,
    ADDON_MEMORY,
    ADDON_PARAMS,
    BREAKER_CELLS,
    FEATURE_COLUMNS,
    FEW,
    FIELD_NAMES,
    FIELDS,
    FLOW_CELLS,
    GROWING,
    M_ACCOUNTS,
    M_CONTRACTS,
    M_HISTORY,
    M_LEDGER,
    M_LIQUIDATE,
    M_NOTICE,
    M_PUBLISHERS,
    M_RECORD_EVERY,
    M_RISK_SLOTS,
    M_TRADERS,
    MAP_BUCKETS,
    MARKING_CELLS,
    META_SIZE,
    MODEL_PARAMS,
    MODEL_STATE,
    NO_PRICE,
    OR_OWN,
    ORACLE_CELLS,
    POLICY_CELLS,
    POPULATION_PARAMS,
    POPULATION_STATE,
    POPULATIONS_MAX,
    PUBLISHERS_MAX,
    RATE_ONE,
    REC_CONTRACT,
    REC_GLOBAL,
    SCENARIOS_MAX,
    SCHEDULE_COLUMNS,
    SPECIAL_ACCOUNTS,
    SURFACE_CELLS,
    SURFACE_RECORD,
    TRADER_FLOATS,
    TRADER_INTS,
    W_VAULT,
    WATERFALL_CELLS,
)

if JIT_DISABLED:

    class Row(np.record):
        """A record whose field ``flags`` is not hidden by NumPy's attribute of that name."""

        def __getattribute__(self, name: str) -> Any:
            """Read a field or an attribute."""
            return self["flags"] if name == "flags" else super().__getattribute__(name)

        def __setattr__(self, name: str, value: Any) -> None:
            """Write a field."""
            if name == "flags":
                self["flags"] = value
            else:
                super().__setattr__(name, value)

    class State:  # plain Python for debuggers and coverage
        """The arrays of a market as attributes (uncompiled form)."""

        __slots__ = FIELD_NAMES

        def __init__(self, *arrays: np.ndarray) -> None:
            for (name, _, _), array in zip(FIELDS, arrays, strict=True):
                setattr(self, name, array)

        def __setattr__(self, name: str, array: np.ndarray) -> None:
            """Replace an array; records become rows with attributes."""
            object.__setattr__(self, name, array.view(np.dtype((Row, array.dtype))) if array.dtype.names else array)

    STATE_TYPE: Any = None
    DECIDE: Any = None
    PUBLISH: Any = None
    REQUIREMENT: Any = None
    DECIDE_TYPE: Any = None
    PUBLISH_TYPE: Any = None
    REQUIREMENT_TYPE: Any = None
    PHASE_TYPE: Any = None
    EXCESS: Any = None
    CALL_OR_WAIT: Any = None
    WITH_EVALUATOR: Any = None
    IN_BREACH: Any = None
    COLLECT: Any = None
    CLEAR_ROUND: Any = None
    CLEAR_ROUND_OF: Any = None
    RUN_CLEARING: Any = None
    CLEAR_STEP: Any = None
    LIQUIDATE: Any = None
    RECORD_EVENT: Any = None
    PUSH: Any = None
    REFUSE: Any = None
    SELL_TO_BIDS: Any = None
    OF_POSITION: Any = None
    RACE: Any = None
    SHARE_RACE: Any = None
    TERMS: Any = None
    BEGIN_CAUSE: Any = None
    EXCESS_OF: Any = None
    APPORTION: Any = None
    WALK: Any = None
    BEAR: Any = None
    ADVANCE: Any = None
else:
    import numba
    from numba import types
    from numba.core import cgutils
    from numba.core.datamodel import models
    from numba.core.imputils import lower_getattr_generic, lower_setattr_generic
    from numba.core.typing.templates import AttributeTemplate, infer_getattr
    from numba.experimental import structref
    from numba.extending import NativeValue, intrinsic, register_model, unbox

    class StateType(types.StructRef):
        """Numba type of :class:`State`.

        Inside kernels a state is a bare pointer and its arrays are borrowed: no reference is counted, neither of the
        struct nor of an array that is read from it. (Numba's own struct counts both, with two atomic operations at each
        read and at each call: most of the time of an order.) The Python object that was passed in owns everything and
        outlives the kernel. So what the module docstring demands is not only a matter of stale values: an alias that is
        kept across a growth dangles, and no kernel may return a state or one of its arrays.
        """

        def preprocess_fields(self, fields: Any) -> Any:
            """Types of the fields, literals widened."""
            return tuple((name, types.unliteral(kind)) for name, kind in fields)

        @property
        def mangling_args(self) -> Any:
            """A short name in symbols."""
            # the default spells every record type into every symbol name
            return "State", ()

    class State(structref.StructRefProxy):  # type: ignore[no-redef]
        """The arrays of a market in one reference-counted compiled struct.

        Fields are listed with dtype and shape in ``FIELDS``; each is an attribute. Those that kernels may replace by
        larger arrays (``GROWING``) are read from the struct at each access, the others are kept beside it.
        """

        def __new__(cls, *arrays: np.ndarray) -> State:
            """Make the struct of arrays in the order of ``FIELDS``."""
            self: State = cls._numba_box_(STATE_TYPE, _make(tuple(arrays)))
            for name, array in zip(FIELD_NAMES, arrays, strict=True):
                if name not in GROWING:
                    self.__dict__[name] = array
            return self

        def __getattr__(self, name: str) -> np.ndarray:
            if name in GROWING:
                return _growing(self)[GROWING.index(name)]
            raise AttributeError(name)

    @register_model(StateType)
    class _StateModel(models.StructModel):
        def __init__(self, manager: Any, kind: Any) -> None:
            super().__init__(manager, kind, [("payload", types.voidptr)])

    @infer_getattr
    class _StateAttributes(AttributeTemplate):
        key = StateType

        def generic_resolve(self, kind: Any, name: str) -> Any:
            return kind.field_dict.get(name)

    def _fields(context: Any, builder: Any, kind: Any, pointer: Any) -> Any:
        """The struct of arrays at a raw pointer."""
        layout = context.data_model_manager[kind.get_data_type()].get_value_type()
        typed = builder.bitcast(pointer, layout.as_pointer())
        return cgutils.create_struct_proxy(kind.get_data_type())(context, builder, ref=typed)

    def _fields_of(context: Any, builder: Any, kind: Any, value: Any) -> Any:
        """The struct of arrays behind a state."""
        return _fields(context, builder, kind, cgutils.create_struct_proxy(kind)(context, builder, value=value).payload)

    @lower_getattr_generic(StateType)
    def _borrow(context: Any, builder: Any, kind: Any, value: Any, name: str) -> Any:
        field = kind.field_dict[name]
        owned = getattr(_fields_of(context, builder, kind, value), name)
        array = context.make_array(field)(context, builder, value=owned)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        array.parent = cgutils.get_null_value(array.parent.type)
        return array._getvalue()

    @lower_setattr_generic(StateType)
    def _put(context: Any, builder: Any, signature: Any, args: Any, name: str) -> None:
        kind, given = signature.args
        fields = _fields_of(context, builder, kind, args[0])
        array = context.cast(builder, args[1], given, kind.field_dict[name])
        old = getattr(fields, name)
        context.nrt.incref(builder, given, array)
        setattr(fields, name, array)
        context.nrt.decref(builder, given, old)

    @unbox(StateType)
    def _unbox(kind: Any, state: Any, c: Any) -> Any:
        memory_kind = types.MemInfoPointer(types.voidptr)
        holder = c.pyapi.object_getattr_string(state, "_meminfo")
        memory = c.unbox(memory_kind, holder).value
        native = cgutils.create_struct_proxy(kind)(c.context, c.builder)
        native.payload = c.context.nrt.meminfo_data(c.builder, memory)
        # the Python object keeps the memory for as long as the kernel runs
        c.context.nrt.decref(c.builder, memory_kind, memory)
        c.pyapi.decref(holder)
        return NativeValue(native._getvalue())

    def _array_type(dtype: Any, ndim: int) -> Any:
        return numba.typeof(np.zeros((1,) * ndim, dtype))

    _ARRAY_TYPES = tuple(_array_type(dtype, ndim) for _, dtype, ndim in FIELDS)
    STATE_TYPE = StateType(tuple(zip(FIELD_NAMES, _ARRAY_TYPES, strict=True)))

    @intrinsic
    def _new_state(typing_context: Any, arrays: Any) -> Any:
        """Allocate the struct and move a tuple of arrays into its fields (one cached compilation for all processes)."""
        from numba.experimental.jitclass.base import imp_dtor

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            layout = context.data_model_manager[STATE_TYPE.get_data_type()].get_value_type()
            memory = context.nrt.meminfo_alloc_dtor(
                builder,
                context.get_constant(types.uintp, context.get_abi_sizeof(layout)),
                imp_dtor(context, builder.module, STATE_TYPE),
            )
            pointer = context.nrt.meminfo_data(builder, memory)
            builder.store(cgutils.get_null_value(layout), builder.bitcast(pointer, layout.as_pointer()))
            fields = _fields(context, builder, STATE_TYPE, pointer)
            for position, name in enumerate(FIELD_NAMES):
                array = builder.extract_value(args[0], position)
                context.nrt.incref(builder, _ARRAY_TYPES[position], array)
                setattr(fields, name, array)
            return memory

        return types.MemInfoPointer(types.voidptr)(arrays), generate

    @intrinsic
    def _owned(typing_context: Any, state: Any) -> Any:
        """The arrays that grow, each with a reference of its own: for Python, which keeps them."""
        kinds = tuple(STATE_TYPE.field_dict[name] for name in GROWING)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            fields = _fields_of(context, builder, STATE_TYPE, args[0])
            arrays = [getattr(fields, name) for name in GROWING]
            for kind, array in zip(kinds, arrays, strict=True):
                context.nrt.incref(builder, kind, array)
            return context.make_tuple(builder, signature.return_type, arrays)

        return types.Tuple(kinds)(state), generate

    @kernel(types.MemInfoPointer(types.voidptr)(types.Tuple(_ARRAY_TYPES)))
    def _make(arrays):  # type: ignore[no-untyped-def]
        return _new_state(arrays)

    @kernel()
    def _growing(state):  # type: ignore[no-untyped-def]
        return _owned(state)

    # The sockets: signatures of functions that other rooms hand to the step.
    DECIDE = types.void(STATE_TYPE, types.int64)  # (state, population)
    PUBLISH = types.void(STATE_TYPE, types.int64)  # (state, publisher slot)
    REQUIREMENT = types.int64(STATE_TYPE, types.int64, types.int64, types.int64)  # (state, account, contract, which)
    DECIDE_TYPE = types.FunctionType(DECIDE)
    PUBLISH_TYPE = types.FunctionType(PUBLISH)
    REQUIREMENT_TYPE = types.FunctionType(REQUIREMENT)
    # Kernels that take an evaluator
    EXCESS = types.int64(STATE_TYPE, types.int64, REQUIREMENT_TYPE)
    WITH_EVALUATOR = types.void(STATE_TYPE, REQUIREMENT_TYPE)
    CALL_OR_WAIT = EXCESS
    # Functions that many others call with literals: one compiled form, not one for each combination of literals
    RECORD_EVENT = types.void(STATE_TYPE, *[types.int64] * 7)
    PUSH = types.void(STATE_TYPE, *[types.int64] * 12)
    REFUSE = types.void(STATE_TYPE, types.int64, types.int64)
    # Whole phases are handed over as values, so that the fused loop does not compile them a second time
    PHASE_TYPE = types.FunctionType(types.void(STATE_TYPE, REQUIREMENT_TYPE, types.UniTuple(types.int64, 4)))
    PHASES = types.UniTuple(PHASE_TYPE, 2)
    IN_BREACH = types.boolean(STATE_TYPE, types.int64, types.int64, REQUIREMENT_TYPE)
    COLLECT = types.int64(STATE_TYPE, types.int64, types.int64, types.int64, REQUIREMENT_TYPE)
    CLEAR_ROUND = types.int64(STATE_TYPE, REQUIREMENT_TYPE)
    CLEAR_ROUND_OF = types.int64(STATE_TYPE, REQUIREMENT_TYPE, types.int64, types.boolean)
    RUN_CLEARING = types.int64(STATE_TYPE, REQUIREMENT_TYPE, types.int64)
    CLEAR_STEP = types.void(STATE_TYPE, REQUIREMENT_TYPE, types.UniTuple(types.int64, 4))
    LIQUIDATE = types.int64(STATE_TYPE, types.int64, types.int64, types.boolean, REQUIREMENT_TYPE)
    BEGIN_CAUSE = types.void(STATE_TYPE, types.int64, types.int64, REQUIREMENT_TYPE)
    EXCESS_OF = types.int64(STATE_TYPE, types.int64, types.int64, REQUIREMENT_TYPE)
    APPORTION = types.int64(STATE_TYPE, types.int64, types.int64, types.int64, REQUIREMENT_TYPE)
    SELL_TO_BIDS = types.int64(
        STATE_TYPE, types.int64, types.int64, types.int64, types.int64, types.int64, REQUIREMENT_TYPE
    )
    OF_POSITION = types.int64(STATE_TYPE, types.int64, types.int64, REQUIREMENT_TYPE)  # (state, account, contract)
    RACE = types.int64(STATE_TYPE, *[types.int64] * 7, REQUIREMENT_TYPE)
    SHARE_RACE = types.int64(STATE_TYPE, *[types.int64] * 4, REQUIREMENT_TYPE)
    TERMS = types.UniTuple(types.int64, 3)(STATE_TYPE, types.int64, types.int64, types.int64, REQUIREMENT_TYPE)
    WALK = types.int64(STATE_TYPE, types.int64, types.int64, types.int64)
    BEAR = types.int64(STATE_TYPE, types.int64, types.int64, REQUIREMENT_TYPE)
    ADVANCE = types.int64(
        STATE_TYPE,
        types.int64,  # steps
        types.UniTuple(DECIDE_TYPE, POPULATIONS_MAX),
        types.UniTuple(PUBLISH_TYPE, PUBLISHERS_MAX),
        REQUIREMENT_TYPE,
        types.UniTuple(types.int64, 4),  # streams: arrival, liquidation, and two spare
        PHASES,
    )


def allocate(
    *,
    traders: int,
    contracts: int,
    steps: int,
    currencies: int = 1,
    window: int = 8192,
    pool: int = 1 << 15,
    calendar: int = 8192,
    history: int = 4096,
    buckets: int = 2048,
    populations: int = 1,
    publishers: int = 1,
    notice: int = 1,
    scenarios: int = SCENARIOS_MAX,
    tiers: int = 1,
    record_rows: int = 1,
    wake_rows: int = 1,
    wake_starts: int = 2,
    flows: int = 1,
    tape: int = 4096,
    window_cells: int = 0,
    features: bool = False,
    oracle_columns: int = 0,
    chains: int = 0,
    surface_rows: int = 0,
) -> State:
    """Make an empty market state with free lists and empty ladders.

    Args:
        traders: number of trader accounts; special accounts are added after them.
        contracts: number of contracts (books).
        steps: length of the exogenous paths; ``value`` gets ``steps + 1`` rows.
        currencies: number of settlement currencies.
        window: ticks per ladder, a power of two of at least 4096; grows when prices spread wider.
        pool: order slots, grows.
        calendar: length of the expiry calendar, a power of two.
        history: length of the ring of past mids and marks, a power of two.
        buckets: buckets per side of the bankruptcy-price index.
        populations: rows of population parameters.
        publishers: margin models evaluated per step.
        notice: steps of notice before risk parameters bind maintenance.
        scenarios: most risk scenarios.
        tiers: rows of the table of charges by size.
        record_rows: rows of the step record.
        wake_rows: length of the wake table.
        wake_starts: length of its index.
        flows: scripted flows.
        tape: first length of tape and events, both grow.
        window_cells: floats per margin model and contract for windows of past returns.
        features: keep features of accounts, and a liquidation map.
        oracle_columns: columns of the oracle's exogenous paths, 0 where the index needs none.
        chains: option chains, each with a volatility surface.
        surface_rows: rows of the record of surfaces, 0 where none moves.

    Returns:
        The state, every array zero except links and heads (-1) and the free list.
    """
    if window < 4096 or window & (window - 1):
        raise ValueError(f"window must be a power of two of at least 4096, not {window}")
    for name, value in (("calendar", calendar), ("history", history)):
        if value & (value - 1) or value < 2:
            raise ValueError(f"{name} must be a power of two, not {value}")
    accounts = traders + SPECIAL_ACCOUNTS
    ring = notice + 2  # the row that bound maintenance in the step before stays readable
    described = accounts if features else 1
    shapes: dict[str, tuple[int, ...]] = {
        "meta": (META_SIZE,),
        "contracts": (contracts,),
        "quotes": (contracts,),
        "orders": (pool,),
        "levels": (contracts, window),
        "bits0": (contracts, window // 64),
        "bits1": (contracts, window // 4096),
        "expiry_heads": (calendar,),
        "messages": (1024,),
        "arrival": (1024,),
        "sort_keys": (1024,),
        "sort_ids": (1024,),
        "sort_counts": (1025,),
        "bids": (256,),
        "fills": (tape,),
        "events": (tape,),
        "accounts": (accounts,),
        "wallets": (accounts, currencies),
        "positions": (accounts, contracts),
        "held": (accounts, (contracts + 63) // 64),
        "bucket_heads": (contracts, 2, buckets),
        "bucket_scale": (contracts,),
        "rate_initial": (contracts,),
        "rate_maintenance": (ring, contracts),
        "scenario_pnl": (ring, contracts, scenarios),
        "scenario_weight": (scenarios,),
        "initial_factor": (1,),
        "model_params": (publishers, contracts, MODEL_PARAMS),
        "model_state": (publishers, contracts, MODEL_STATE),
        "model_rates": (publishers, contracts, 2),
        "model_rate_sum": (publishers, contracts),
        "model_scale": (publishers,),
        "history": (history, contracts),
        "mark_history": (history, contracts),
        "value": (steps + 1, contracts),
        "index_path": (steps + 1, contracts),
        "activity": (steps + 1,),
        "trader_floats": (accounts, TRADER_FLOATS),
        "trader_ints": (accounts, TRADER_INTS),
        "pop_params": (populations, POPULATION_PARAMS),
        "pop_state": (populations, POPULATION_STATE),
        "pop_ints": (populations, 16),
        "wake_rows": (wake_rows,),
        "wake_starts": (wake_starts,),
        "flows": (flows, 6),
        "record_contract": (record_rows, contracts, len(REC_CONTRACT)),
        "record_global": (record_rows, len(REC_GLOBAL)),
        "scratch_accounts": (accounts * contracts,),
        "scratch_contracts": (accounts * contracts,),
        "scratch_keys": (accounts * contracts,),
        "scratch_ids": (accounts * contracts,),
        "scratch_order": (accounts * contracts,),
        "scratch_counts": (accounts * contracts + 1,),
        "scratch_losses": (SCENARIOS_MAX,),
        "called": (accounts,),
        "py_requirement": (accounts, contracts + 1, 2),
        "multi_accounts": (accounts,),
        "multi_where": (accounts,),
        "booked": (accounts, currencies),
        "deposits": (accounts, currencies),
        "net_deposits": (currencies,),
        "conversion": (currencies,),
        "haircut": (currencies,),
        "exchange": (currencies, 4),
        "tiers": (contracts, tiers, SCHEDULE_COLUMNS),
        "model_window": (publishers, contracts, max(window_cells, 1)),
        "addon_params": (publishers, contracts, ADDON_PARAMS),
        "addon_memory": (publishers, contracts, ADDON_MEMORY),
        "addon_coefficients": (ring, contracts, 2, ADDON_COEFFICIENTS),
        "features": (publishers, described, FEATURE_COLUMNS),
        "behaviour_rate": (publishers, described),
        "entry_rate": (publishers, described, contracts),
        "seen_lots": (publishers, described, contracts),
        "liquidation_map": (contracts, 2, MAP_BUCKETS + 1 if features else 1),
        "map_own": (described, contracts, 2),
        "policy": (POLICY_CELLS,),
        "flow": (contracts, FLOW_CELLS),
        "waterfall": (WATERFALL_CELLS,),
        "breakers": (BREAKER_CELLS,),
        "breaker_state": (contracts, 8),
        "marking": (contracts, MARKING_CELLS),
        "mark_before": (contracts,),
        "auctions": (16,),
        "moves": (16,),
        "readings": (16,),
        "causes": (16,),
        "price_history": (history, contracts, 2),
        "oracle": (contracts, ORACLE_CELLS),
        "oracle_path": (steps + 1 if oracle_columns else 1, contracts, max(oracle_columns, 1)),
        "adl_heaps": (contracts, 2, 1),
        "adl_state": (contracts, 2, 5),
        "fund_peaks": (16, 2),
        "surface": (max(chains, 1), SURFACE_CELLS + SURFACE_RECORD * surface_rows),
        "noted": (contracts, 4),
    }
    arrays = {name: np.zeros(shapes[name], dtype) for name, dtype, _ in FIELDS}
    if contracts <= FEW:
        arrays["held"][:] = (1 << contracts) - 1
    orders = arrays["orders"]
    orders["next"] = np.arange(1, pool + 1)
    orders["next"][-1] = -1
    orders["generation"] = 1  # so that no order has the id 0
    for link in ("prev", "own_next", "own_prev", "exp_next", "exp_prev"):
        orders[link] = -1
    arrays["levels"]["head"] = -1
    arrays["levels"]["tail"] = -1
    arrays["expiry_heads"][:] = -1
    arrays["bucket_heads"][:] = -1
    arrays["multi_where"][:] = -1
    arrays["multi_where"][-1] = 0  # the last cell counts the members
    quotes = arrays["quotes"]
    quotes["bid"] = NO_PRICE
    quotes["ask"] = NO_PRICE
    table = arrays["accounts"]
    for link in (
        "order_head", "call_step", "last_liquidation", "key_step", "reference", "safe_reading", "auction",
        "traded",
    ):  # fmt: skip
        table[link] = -1
    arrays["waterfall"][W_VAULT] = -1
    arrays["oracle"][:, OR_OWN] = -1
    for link in ("bucket", "bucket_next", "bucket_prev"):
        arrays["positions"][link] = -1
    quotes["index_top"] = -1
    quotes["index_low"] = buckets
    table["population"] = -1
    arrays["model_scale"][:] = 1.0
    arrays["activity"][:] = 1.0
    arrays["conversion"][0] = RATE_ONE
    meta = arrays["meta"]
    meta[M_TRADERS] = traders
    meta[M_ACCOUNTS] = accounts
    meta[M_CONTRACTS] = contracts
    meta[M_HISTORY] = history
    meta[M_NOTICE] = notice
    meta[M_RISK_SLOTS] = ring
    meta[M_PUBLISHERS] = publishers
    meta[M_RECORD_EVERY] = 1
    meta[M_LEDGER] = 1
    meta[M_LIQUIDATE] = 1
    return State(*(arrays[name] for name in FIELD_NAMES))


def arrays_of(state: State) -> dict[str, np.ndarray]:
    """Every array of the state by name (views, not copies)."""
    return {name: getattr(state, name) for name in FIELD_NAMES}


def raw(array: np.ndarray) -> np.ndarray:
    """A view whose copies keep every byte: NumPy copies records field by field and leaves padding to chance."""
    return array.view(np.dtype((np.void, array.dtype.itemsize))) if array.dtype.names else array


def copy_of(state: State) -> State:
    """An independent copy of the whole state, to the byte."""
    return State(*(raw(np.asarray(getattr(state, name))).copy().view(dtype) for name, dtype, _ in FIELDS))
