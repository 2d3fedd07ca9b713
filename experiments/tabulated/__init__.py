"""Results of each command as tables, from what ``summary.json`` holds: one module a subject.

Every module has ``tables(result)``, a list of :class:`experiments.tables.Table`.
"""
