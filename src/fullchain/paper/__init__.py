"""The report, and the figures and tables of a paper.

Comes in: `metrics.json` and the figure index of each stage, the manifests of the samples, the
cutflows, and the provenance that every step leaves beside its result. Goes out: `index.html`, one
file that opens without a network; `figures/`, all figures in one folder as PDF and PNG; `tables/`,
LaTeX tables and a macro for each number; `metrics.json`, the numbers of all stages.

Numbers are rounded as in the Review of Particle Physics (Particle Data Group, Phys. Rev. D 98
(2018) 030001, section 5.3 of the introduction).
"""
