"""Pile-up mitigation: weights of candidates (PUPPI, SoftKiller), and how well they work.

Comes in: candidates of events (`fullchain.ntuples`). Goes out: one weight in [0, 1] for each
candidate, which the stage `jets` can apply, and the resolutions of jets and missing momentum with
each method.

PUPPI (Bertolini, Harris, Low, Tran, arXiv:1407.6013), SoftKiller (Cacciari, Salam, Soyez,
arXiv:1407.0408), charged-hadron subtraction (CMS, arXiv:1706.04965). What is measured follows PUMML
(Komiske, Metodiev, Nachman, Schwartz, arXiv:1707.08600).
"""
