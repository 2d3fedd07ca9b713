"""Compiled code: arrays in, arrays out; no Mesa, no tables, no files."""
