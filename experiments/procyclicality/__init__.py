"""How a margin rule moves with the market, and the market with the rule."""
