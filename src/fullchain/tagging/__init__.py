"""Jet taggers: networks that tell the origin of a jet from its constituents.

In: jets (Parquet, from the stage `jets`) with truth labels.
Out: a trained model per tagger (`model.pt`, `model.onnx` with its preprocessing inside the graph),
its score for every jet of every sample and variation, its performance with uncertainties, figures.

Implements Particle Flow Networks, that is Deep Sets for jets (Komiske, Metodiev, Thaler
1810.05165), on the kinematic inputs of the Particle Transformer (Qu, Li, Qian 2202.03772).
"""
