"""Learning machinery that several stages share.

In: tensors with one row per example and a weight per row; a model and an objective.
Out: a trained model and its history; receiver operating characteristics with uncertainties.

`training` is the loop, `checkpoint` lets a killed training go on where it stood, `schedule` is the
learning rate, `optimisers` and `precision` take the steps, `rows` keeps what exceeds a budget of
memory in files, `distributed` shares a training among processes, `shared_sums` adds up what they
see of a batch, `split` divides events into training, validation and test, `standardise` scales
inputs, `roc` and `calibration` measure a classifier.
"""
