"""Statistical inference: from jets and tagger scores to a fitted signal strength.

In: ``jets/{sample}/{part}.parquet``, ``tagging/{tagger}/scores/{sample}.parquet``, and the sum of
weights and cross section in ``ntuples/{sample}/manifest.json``.

Out: ``inference/templates.root`` and ``templates.json`` (efficiencies per bin of each sample and
variation), ``workspace.json`` (pyhf) and ``model.json`` (what was pruned or mirrored),
``fit.json``, ``metrics.json``, figures.

The statistical model is HistFactory: K. Cranmer et al., CERN-OPEN-2012-016, in the implementation
of pyhf: L. Heinrich et al., JOSS 6 (2021) 2823. The discovery significance is that of G. Cowan et
al., EPJ C 71 (2011) 1554.
"""
