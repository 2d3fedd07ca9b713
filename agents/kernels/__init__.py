"""Compiled decisions, one file per kind: arrays in, messages out."""
