"""Results of each command as tables, from what ``summary.json`` holds: one module a subject.

A function takes the result and gives a list of :class:`experiments.tables.Table`.
"""
