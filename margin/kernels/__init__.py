"""Compiled publishers and evaluators of the margin room: arrays in, arrays out."""
