"""Unfolding: from what the detector measured to what happened, with uncertainties.

In: ntuples. Events become tables of observables at both levels (`event_table`), and from a
simulated and a measured table each method makes an unfolded sample or unfolded spectra. Out:
weights for particle-level events (`unfolded_file`), spectra with covariance (`spectrum_file`),
figures, and tables for HEPData.

IBU: D'Agostini, NIM A 362 (1995) 487. OmniFold: Andreassen et al., PRL 124 (2020) 182001,
1911.09107. Conditional INN: Bellagente et al., 2006.06685; with iterated prior: Backes et al.,
2212.08674. Flow matching: Lipman et al., 2210.02747.
"""
