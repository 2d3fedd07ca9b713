"""How often a design finds what it looks for: repeated disjoint batches of seeds, placebos and true nulls."""
