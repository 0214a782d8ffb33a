"""Generate ROOT ntuples (Pythia 8, parametric detector), or ingest those of others.

In: settings of samples; for an ingested sample ROOT files in the layout of CMS NanoAOD,
PFNano or JetClass, or jets of the top-tagging reference set (HDF5, arXiv:1902.09914) or of
EnergyFlow (npz, arXiv:1810.05165).
Out: per part of a sample a manifest and, where generated, a NanoAOD file, where converted, a file
in the layout of JetClass; the pool of pile-up.
Implements: Pythia 8.3 (arXiv:2203.11601) with shower weights (arXiv:1605.08352); a detector in the
manner of Delphes 3 (arXiv:1307.6346) that resembles CMS (particle flow, arXiv:1706.04965; tracking,
arXiv:1405.6569).
"""
