"""Published models of the order book, solved and simulated on the book of this exchange."""
