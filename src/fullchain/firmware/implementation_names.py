"""Names of implementations of a model, in reports; emulations have names of their own."""

FLOAT, QUANTISED, LEVEL1 = "float", "quantised", "level-1"
"""In floating point, in fixed point, and the level-1 trigger on the jet pT."""
