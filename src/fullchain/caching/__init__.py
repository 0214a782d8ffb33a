"""Results of steps that somebody has computed before, in a folder that several users may share.

The `fullchain` command looks here before it imports a step. A step is no part of this, and this is
in the import closure of no step: whether a result is computed or restored changes no number.
"""
