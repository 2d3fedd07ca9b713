"""Calibration by the method of simulated moments, and the series it takes."""
