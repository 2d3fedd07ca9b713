"""Commands that carry out studies from files and look into what they stored."""
