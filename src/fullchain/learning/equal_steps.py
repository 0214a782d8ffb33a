"""What methods of equal steps cost, for settings, which cannot import `fullchain.learning.ode`.

They must not import torch: whoever reads a configuration would wait for it.
"""

EVALUATIONS_OF_STEP = {"euler": 1, "midpoint": 2, "rk4": 4}
"""Evaluations of the velocity in each step of a method."""
