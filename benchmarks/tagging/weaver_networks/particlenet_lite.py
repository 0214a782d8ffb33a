"""ParticleNet-Lite (1902.08570) with weaver's own class. Read by weaver in its own environment."""

import torch
from weaver.nn.model.ParticleNet import ParticleNet


def get_model(data_config, **options):
    # The class takes points, features and mask, in the order of the data configuration.
    model = ParticleNet(
        input_dims=len(data_config.input_dicts["pf_features"]),
        num_classes=len(data_config.label_value),
        conv_params=[(7, (32, 32, 32)), (7, (64, 64, 64))],
        fc_params=[(128, 0.1)],
        use_fusion=False,
        use_fts_bn=True,
        use_counts=True,
    )
    shapes = {name: (1, *shape[1:]) for name, shape in data_config.input_shapes.items()}
    return model, {"input_names": list(data_config.input_names), "input_shapes": shapes}


def get_loss(data_config, **options):
    return torch.nn.CrossEntropyLoss()
