"""Studies: each asks one question of a scenario over many paired seeds."""
