"""Commands that ask which parameters matter, and how many seeds a result needs."""
