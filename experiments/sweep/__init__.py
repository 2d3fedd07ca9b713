"""Studies from files: factors, regimes and seeds, carried out by any engine, kept in a store, resumed by default."""
