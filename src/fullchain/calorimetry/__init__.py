"""Fast generative calorimetry: showers from a parameterisation, learned, generated, and judged.

In: nothing, or HDF5 files of showers in the format of the CaloChallenge.

Out, in ``calorimetry/``: ``showers/{set}/`` (training, test and reference showers, HDF5, with the
XML of the geometry), ``models/{model}/model.pt``, ``samples/{model}.h5``, ``evaluation/``,
``classifiers/``, ``timing/`` and ``control/`` (JSON for each model), ``metrics.json``,
``tables.json``, figures.

Showers are those of G. Grindhammer and S. Peters (hep-ex/0001020); the format and the judging of
generated ones are those of the CaloChallenge (C. Krause et al., 2410.21611).
"""
