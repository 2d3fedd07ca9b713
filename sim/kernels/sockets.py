"""Compiled functions as cheap values.

A compiled function that is passed to a kernel is turned into an address at every call, by looking up its compiled form:
some 25 microseconds. A :class:`Socket` looks it up once.
"""

from __future__ import annotations

from typing import Any

from sim.kernels.jit import JIT_DISABLED

if JIT_DISABLED:

    def socket(function: Any, kind: Any) -> Any:
        """The function itself (uncompiled form)."""
        return function

else:
    from numba import types

    class Socket(types.WrapperAddressProtocol):
        """A compiled function with a known address, callable from Python too.

        Args:
            function: a kernel with an explicit signature.
            kind: the function type it is passed as.
        """

        def __init__(self, function: Any, kind: Any) -> None:
            """Look the address up."""
            self.function = function  # keeps the machine code alive
            self._numba_type_ = kind
            compiled = function.get_compile_result(kind.signature)
            self._address = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name)

        def __wrapper_address__(self) -> int:
            """Address of the C form."""
            return int(self._address)

        def signature(self) -> Any:
            """Signature of the function."""
            return self._numba_type_.signature

        def __call__(self, *args: Any) -> Any:
            """Call the function."""
            return self.function(*args)

    def socket(function: Any, kind: Any) -> Any:
        """A compiled function as a cheap value; see :class:`Socket`."""
        return function if isinstance(function, Socket) else Socket(function, kind)
