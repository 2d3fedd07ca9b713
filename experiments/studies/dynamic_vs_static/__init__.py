"""The built-in study ``dynamic-vs-static``: what margin that follows volatility buys and costs at equal mean margin.

The design (rules, outcomes, seeds) stands in ``experiments/studies/dynamic-vs-static*.toml``; here is what a study file
cannot say: equal cost through the window of a fork, measures of procyclicality and coverage, each tool against the bare
rule, who paid.
"""
