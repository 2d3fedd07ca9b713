"""Experiments: scenario files, runs, paired comparisons, measures, stores, reports and the command line."""
