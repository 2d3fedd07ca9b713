"""Rate models and anti-procyclicality tools measured on a price series."""
