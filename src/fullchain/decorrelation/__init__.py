"""Mass-decorrelated classifiers: taggers whose score says little about the mass of a jet.

In come the jets and the settings of a tagger; out go models, scores of all jets, the correlation
left between score and mass, and what it costs in rejection.

Papers: planing (1709.10106, 1908.08959), adversaries (1611.01046, 1703.03507), distance
correlation (DisCo, 2001.05310), moment decomposition (MoDe, 2010.09745), uBoost (1305.7248), the
flatness loss (1410.4140), quantile morphing by conditional flows (2211.02486).
"""
