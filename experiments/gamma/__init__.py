"""What the sign of dealers' gamma does to prices: one market, forked where dealers get their options."""
