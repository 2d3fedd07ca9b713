"""`marginlab validate`: what the simulator reproduces, and where it falls short."""
