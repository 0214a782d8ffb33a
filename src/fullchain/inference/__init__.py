"""Statistical inference: from jets and tagger scores to signal strengths and limits.

In: ``jets/{sample}/{part}.parquet``, ``tagging/{tagger}/scores/{sample}.parquet``, and the sum of
weights and cross section in ``ntuples/{sample}/manifest.json``.

Out, for each analysis in ``inference/{analysis}/``: ``templates.root`` and ``templates.json``
(efficiencies per bin of each sample and variation), ``workspace.json`` (pyhf), ``patchset.json``
(its signal hypotheses) and ``model.json`` (what was smoothed, pruned or mirrored), a datacard of
Combine, ``fit.json``, ``impacts.json``, ``scans.json``, ``limits.json``, ``toys.json``, and a
record for HEPData. A workspace or datacard of the user may take the place of the templates. Of all
together: ``metrics.json``, ``tables.json``, figures.

Beside them ``synthetic/`` (the published benchmark of INFERNO), ``summaries/`` (networks trained
for the uncertainty of an analysis) and ``ratio/`` (learned likelihood ratios).

The statistical model is HistFactory: K. Cranmer et al., CERN-OPEN-2012-016, with the files of pyhf:
L. Heinrich et al., JOSS 6 (2021) 2823, and a likelihood in torch. Significances and asymptotic
limits are those of G. Cowan et al., EPJ C 71 (2011) 1554.
"""
