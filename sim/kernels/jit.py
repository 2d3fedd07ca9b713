"""The one place that chooses compiler options and the cache folder.

Every compiled function of the project is made by :func:`kernel`. The cache folder is named by a hash of all kernel
sources, because the compiler's own cache only watches the file of the function itself: after an edit of a callee or of
a constant in another file it would serve stale machine code.

Set ``NUMBA_DISABLE_JIT=1`` to run kernels as plain Python (for a debugger or coverage), ``NUMBA_BOUNDSCHECK=1`` to have
every index checked.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PACKAGES = ("sim", "agents", "margin", "experiments")


def _kernel_hash() -> str:
    """Hash of every kernel source that is installed beside this file, of the interpreter and of checking flags."""
    digest = hashlib.sha256()
    root = Path(__file__).resolve().parents[2]
    for package in _PACKAGES:
        for path in sorted((root / package / "kernels").glob("*.py")):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    digest.update(sys.version.encode())
    digest.update(os.environ.get("NUMBA_BOUNDSCHECK", "").encode())
    return digest.hexdigest()[:16]


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _cache_folder() -> Path | None:
    base = os.environ.get("MARGINLAB_CACHE_DIR")
    roots = [Path(base)] if base else []
    roots.append(Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "marginlab")
    roots.append(Path(tempfile.gettempdir()) / f"marginlab-{os.getuid() if hasattr(os, 'getuid') else 'user'}")
    for root in roots:
        folder = root / f"kernels-{_kernel_hash()}"
        if _writable(folder):
            return folder
    return None


_folder = _cache_folder()
if _folder is not None:
    os.environ["NUMBA_CACHE_DIR"] = str(_folder)

import numba  # noqa: E402  (the cache folder must be known before the compiler is imported)
from numba.core import config  # noqa: E402
from numba.core.errors import NumbaExperimentalFeatureWarning  # noqa: E402

if _folder is not None:
    config.CACHE_DIR = str(_folder)

# Sockets (decide, publish, evaluate) are first-class compiled functions; the feature is marked experimental and works.
warnings.filterwarnings("ignore", category=NumbaExperimentalFeatureWarning)

CACHE = _folder is not None
JIT_DISABLED = bool(config.DISABLE_JIT)


def kernel(signature: Any = None) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function with the project's options.

    Args:
        signature: an explicit Numba signature, for functions that are passed to other kernels as values (sockets);
            ``None`` compiles lazily for the argument types of the first call.

    Returns:
        A decorator. Compiled functions never raise ZeroDivisionError (``error_model="numpy"``), never use fast-math
        (results are the same bits on every machine) and are cached on disk where a folder is writable.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        if JIT_DISABLED:
            return function
        if signature is None:
            # only sockets are called through C pointers
            return numba.njit(cache=CACHE, error_model="numpy", no_cfunc_wrapper=True)(function)
        return numba.njit([signature], cache=CACHE, error_model="numpy")(function)

    return decorate
