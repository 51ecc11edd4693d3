"""How fast the product is, as ratios to a floor: the least work that could possibly do the same."""
