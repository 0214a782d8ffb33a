"""ParT-tiny (2202.03772 at a smaller size) with weaver's own class. Read by weaver itself."""

import torch
from weaver.nn.model.ParticleTransformer import ParticleTransformer


class _InOrder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, features, vectors, mask):
        return self.model(features, v=vectors, mask=mask)


def get_model(data_config, **options):
    model = ParticleTransformer(
        input_dim=len(data_config.input_dicts["pf_features"]),
        num_classes=len(data_config.label_value),
        embed_dims=(32, 64, 32),
        pair_embed_dims=(8, 8),
        num_heads=4,
        num_layers=2,
        num_cls_layers=1,
        # As published, and as ours: a GELU after the last layer on pairs, too.
        use_pre_activation_pair=False,
    )
    shapes = {name: (1, *shape[1:]) for name, shape in data_config.input_shapes.items()}
    return _InOrder(model), {"input_names": list(data_config.input_names), "input_shapes": shapes}


def get_loss(data_config, **options):
    return torch.nn.CrossEntropyLoss()
