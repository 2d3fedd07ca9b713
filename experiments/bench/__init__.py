"""Speed, measured: every figure beside a calibration loop of the same minute. ``python -m experiments.bench``."""
