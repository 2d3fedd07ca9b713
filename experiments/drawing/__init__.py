"""What figures are made of: palette, canvas, time axis, forest plot."""
