"""Particle Flow Network (1810.05165) for weaver, which has none: as one would write it with torch.

Sizes, initial weights (He uniform, as published) and normalisation of the sum are ours. Linear
layers on the last dimension: convolutions of length one, with which weaver's own networks treat
particles, are slower here. Read by weaver itself.
"""

import torch
from torch import nn


class ParticleFlowNetwork(nn.Module):
    def __init__(self, features, classes, phi=(100, 100, 256), f=(100, 100, 100)):
        super().__init__()
        self.phi = nn.Sequential(*self._layers(features, phi))
        self.f = nn.Sequential(*self._layers(phi[-1], f))
        self.output = nn.Linear(f[-1], classes)

    @staticmethod
    def _layers(inputs, sizes):
        layers = []
        for size in sizes:
            linear = nn.Linear(inputs, size)
            nn.init.kaiming_uniform_(linear.weight, nonlinearity="relu")
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.ReLU()]
            inputs = size
        return layers

    def forward(self, features, mask):
        latent = self.phi(features.transpose(1, 2)) * mask.transpose(1, 2)
        return self.output(self.f(latent.sum(dim=1) / features.shape[-1]))


def get_model(data_config, **options):
    features = len(data_config.input_dicts["pf_features"])
    model = ParticleFlowNetwork(features, len(data_config.label_value))
    shapes = {name: (1, *shape[1:]) for name, shape in data_config.input_shapes.items()}
    return model, {"input_names": list(data_config.input_names), "input_shapes": shapes}


def get_loss(data_config, **options):
    return torch.nn.CrossEntropyLoss()
