"""Replications: a scenario beside what was published about a real event, measure by measure, misses included."""

from __future__ import annotations

REPLICATIONS = {"october-2025": "a venue with vault and auto-deleveraging beside what was published of 10 October 2025"}
"""Name: what it is, in one line."""
