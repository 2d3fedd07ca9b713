"""Bands that a good simulator meets, measured."""
