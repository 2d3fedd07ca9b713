"""Stylised facts: estimators, their empirical ranges, the sheet."""
