"""Compiled code of published models; arrays in, arrays out."""
