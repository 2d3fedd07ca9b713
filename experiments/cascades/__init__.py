"""Cascades of liquidations: settings of an experiment, critical R0, sizes, shapes, tables.

:mod:`experiments.studies.cascades` is the study that ``marginlab cascade`` runs; what it measures stands here.
"""
