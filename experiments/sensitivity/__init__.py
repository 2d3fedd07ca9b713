"""Which parameters matter: Morris's elementary effects and Sobol's variance shares over keys of a scenario."""
