"""Readers of ROOT ntuples, one module per layout, with one vocabulary for all.

`detect` knows by which branches a layout is told and what it needs; `base` defines what a reader
offers; `nanoaod`, `pfnano` and `jetclass` are the readers; `registry` finds a reader by name. A new
layout is one signature in `detect.SIGNATURES`, one reader, and one line in `registry`.
"""
