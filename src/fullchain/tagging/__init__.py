"""Jet taggers: networks that tell the origin of a jet from its constituents.

In: jets with truth labels: Parquet of the stage `jets`, or ROOT files with one jet per entry.
Out: trained models per tagger (`model.pt`, `model.onnx` with its preprocessing inside the graph),
its score for every jet of every sample and variation, its performance with uncertainties, figures.

`settings` says what a tagger is, `views` what it sees of a jet, `architectures` which networks
there are: Particle and Energy Flow Networks (Komiske, Metodiev, Thaler 1810.05165), ParticleNet
(Qu, Gouskos 1902.08570), the Particle Transformer (Qu, Li, Qian 2202.03772), L-GATr (Brehmer et al.
2411.00446), LundNet (Dreyer, Qu 2012.08526), and dense networks and boosted trees on observables.
`bayesian` gives the weights of any of the networks a distribution, and scores an uncertainty
(Bollweg et al. 1904.10004).
`explain` says what they learned (after Vent, Winterhalder, Plehn 2507.21214).
"""
