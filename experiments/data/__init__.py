"""Readers of public trade, quote and bar files."""
