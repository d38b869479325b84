"""How fast the course trains and generates, as ratios to what a reader would write otherwise."""
