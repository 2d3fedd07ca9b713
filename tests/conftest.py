"""Shared set-up of all tests.

Hypothesis profiles (choose with ``HYPOTHESIS_PROFILE``): ``dev`` while working, ``ci`` (the default where ``CI`` is
set: more examples, the same ones every time), ``quick`` for repeated passes of the suite (bounds checking, other
Pythons).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Compiled kernels are shared by this session and the commands that tests start, whatever a test does to HOME. It must
# be set before the first import of a kernel.
_CACHE_HOME = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
os.environ.setdefault("MARGINLAB_CACHE_DIR", str(_CACHE_HOME / "marginlab"))
# No test opens a window.
os.environ.setdefault("MPLBACKEND", "Agg")

from hypothesis import HealthCheck, settings  # noqa: E402  (after the environment is set)

# The first example of a property may compile a kernel, so there is no deadline.
_ALWAYS = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("dev", max_examples=40, **_ALWAYS)
settings.register_profile("ci", max_examples=120, derandomize=True, print_blob=True, **_ALWAYS)
settings.register_profile("quick", max_examples=12, derandomize=True, print_blob=True, **_ALWAYS)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev"))

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The folder that holds pyproject.toml."""
    return ROOT


@pytest.fixture(scope="session")
def cache_dir() -> Path:
    """Where compiled kernels are kept during this session."""
    return Path(os.environ["MARGINLAB_CACHE_DIR"])
