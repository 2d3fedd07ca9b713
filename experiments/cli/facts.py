"""Stylised facts of simulated and of real series."""
