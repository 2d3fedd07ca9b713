"""``marginlab feedback``: what prices around the mark would set off, at one moment of a run."""
