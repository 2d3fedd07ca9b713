"""The exchange and the world it stands in: contracts, order book, ledger, clearing, waterfall, the step."""
