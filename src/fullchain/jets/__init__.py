"""Jets: clustering, substructure, truth and systematic shifts of AK8 jets.

In: ROOT ntuples of any layout that `fullchain.ntuples.layouts` reads, by part manifest.
Out: one Parquet file per part with one row per jet and variation (`columns`), a JSON file with the
cut flow beside it, histograms in ROOT, numbers, control plots.

Anti-kT (Cacciari, Salam, Soyez, arXiv:0802.1189) with fastjet (arXiv:1111.6097); soft drop
(arXiv:1402.2657); N-subjettiness (arXiv:1011.2268, 1108.2701); D2 (arXiv:1409.6298); N2
(arXiv:1609.07483); primary Lund plane (arXiv:1807.04758).
"""
