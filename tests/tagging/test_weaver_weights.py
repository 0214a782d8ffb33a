"""Weights in the format of weaver-core give the same scores here."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fullchain.errors import InputError
from fullchain.tagging import weaver_weights
from fullchain.tagging.cloud import ParticleCloud
from fullchain.tagging.particlenet import ParticleNet

FEATURES, CLASSES, K, N = 5, 3, 4, 16
BLOCKS = ((8, 8, 8), (12, 12, 12), (12, 12))


class Convolution(nn.Module):
    """A block on channels first, edge by edge, with the names of weaver-core."""

    def __init__(self, inputs: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        before = [2 * inputs, *sizes]
        self.convs = nn.ModuleList(
            nn.Conv2d(one, two, 1, bias=False) for one, two in zip(before, sizes, strict=False)
        )
        self.bns = nn.ModuleList(nn.BatchNorm2d(size) for size in sizes)
        self.sc: nn.Conv1d | None = None
        if inputs != sizes[-1]:
            self.sc = nn.Conv1d(inputs, sizes[-1], 1, bias=False)
            self.sc_bn = nn.BatchNorm1d(sizes[-1])

    def forward(self, points: Tensor, features: Tensor) -> Tensor:
        order = torch.cdist(points.mT, points.mT, compute_mode="donot_use_mm_for_euclid_dist")
        nearest = order.argsort(dim=2, stable=True)[:, :, 1 : K + 1]
        jets, channels, particles = features.shape
        edges = torch.empty(jets, 2 * channels, particles, K, dtype=features.dtype)
        for jet in range(jets):
            for particle in range(particles):
                own = features[jet, :, particle, None].expand(channels, K)
                others = features[jet][:, nearest[jet, particle]]
                edges[jet, :, particle] = torch.cat([own, others - own])
        for conv, bn in zip(self.convs, self.bns, strict=True):
            edges = bn(conv(edges)).relu()
        around = features if self.sc is None else self.sc_bn(self.sc(features))
        return (around + edges.mean(dim=3)).relu()


class Weaver(nn.Module):
    """ParticleNet with padding kept, pushed far away and zeroed after each block."""

    def __init__(self, *, fusion: bool, fc: tuple[int, ...]) -> None:
        super().__init__()
        self.bn_fts = nn.BatchNorm1d(FEATURES)
        widths = [FEATURES, *(sizes[-1] for sizes in BLOCKS)]
        self.edge_convs = nn.ModuleList(
            Convolution(inputs, sizes) for inputs, sizes in zip(widths, BLOCKS, strict=False)
        )
        last = widths[-1]
        self.fusion_block: nn.Sequential | None = None
        if fusion:
            last = 128
            joined = nn.Conv1d(sum(widths[1:]), last, 1, bias=False)
            self.fusion_block = nn.Sequential(joined, nn.BatchNorm1d(last), nn.ReLU())
        layers: list[nn.Module] = []
        for size in fc:
            layers.append(nn.Sequential(nn.Linear(last, size), nn.ReLU(), nn.Dropout(0.1)))
            last = size
        self.fc = nn.Sequential(*layers, nn.Linear(last, CLASSES))

    def forward(self, points: Tensor, features: Tensor, mask: Tensor) -> Tensor:
        points, features = points * mask, features * mask
        far = 1e9 * (mask == 0)
        features = self.bn_fts(features) * mask
        outputs = []
        for number, block in enumerate(self.edge_convs):
            place = features if number else points
            features = block(place + far, features) * mask
            outputs.append(features)
        if self.fusion_block is not None:
            features = self.fusion_block(torch.cat(outputs, dim=1)) * mask
        return self.fc(features.sum(dim=2) / mask.sum(dim=2).clamp(min=1))


def weaver(*, fusion: bool = False, fc: tuple[int, ...] = (10,)) -> Weaver:
    """A network whose batch norms have seen something."""
    torch.manual_seed(4)
    network = Weaver(fusion=fusion, fc=fc).double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    return network.eval()


def ours(*, fusion: bool = False, fc: tuple[int, ...] = (10,), **changes: Any) -> ParticleNet:
    sizes: dict[str, Any] = {"features": FEATURES, "classes": CLASSES, **changes}
    return ParticleNet(
        **{"neighbours": K, "blocks": BLOCKS, "fc": fc, "fusion": fusion} | sizes
    ).eval()


def cloud() -> ParticleCloud:
    """Jets of 16 to 1 particles: of some, particles have too few neighbours."""
    torch.manual_seed(5)
    mask = torch.arange(N) < torch.arange(N, 0, -1)[:, None]
    features, angles = torch.randn(N, N, FEATURES), torch.randn(N, N, 2)
    return ParticleCloud(features.double(), mask, angles.double(), torch.randn(N, N, 4).double())


@pytest.mark.parametrize("wrapper", ["", "mod."])
@pytest.mark.parametrize("fusion, fc", [(False, (10,)), (True, (10, 6))])
def test_same_scores(tmp_path: Path, wrapper: str, fusion: bool, fc: tuple[int, ...]) -> None:
    reference = weaver(fusion=fusion, fc=fc)
    state = {wrapper + name: value for name, value in reference.state_dict().items()}
    torch.save(state, tmp_path / "weaver.pt")
    network = ours(fusion=fusion, fc=fc).double()
    jets = cloud()
    with torch.no_grad():
        expected = reference(jets.angles.mT, jets.features.mT, jets.mask[:, None].double())
        before = network(jets)
        weaver_weights.load(tmp_path / "weaver.pt", network)
        torch.testing.assert_close(network(jets), expected, rtol=1e-9, atol=1e-9)
    assert (before - expected).abs().max() > 0.01
    assert expected.std(dim=0).min() > 1e-5


def test_files_without_a_number_of_batches_load() -> None:
    state = weaver().state_dict()
    old = {name: value for name, value in state.items() if "num_batches" not in name}
    assert len(old) < len(state)
    ours().load_state_dict(weaver_weights.translated(old, ours()))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"fusion": True}, r"missing: fusion_block\.0\.weight, fusion_block\.1\.weight"),
        ({"fc": (10, 6)}, r"missing: fc\.1\.0\.weight.*shape: fc\.1\.weight \(3, 10\)"),
        ({"classes": 2}, r"shape: fc\.1\.weight \(3, 10\) instead of \(2, 10\)"),
        ({"features": 7}, r"shape: bn_fts\.weight \(5,\) instead of \(7,\)"),
        ({"blocks": BLOCKS[:2]}, r"unexpected: edge_convs\.2\.convs\.0\.weight, .* and \d+ more"),
        ({"blocks": (*BLOCKS, (9,))}, r"missing: edge_convs\.3\.convs\.0\.weight.*sc_bn"),
    ],
)
def test_another_architecture_is_named(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "other.pt"
    torch.save(weaver().state_dict(), path)
    network = ours(**changes)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(InputError, match=rf"other\.pt: not the weights .*{message}"):
        weaver_weights.load(path, network)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.pt: no such file"):
        weaver_weights.load(tmp_path / "absent.pt", ours())
    (tmp_path / "text.pt").write_text("weights")
    with pytest.raises(InputError, match=r"text\.pt: no file of weights"):
        weaver_weights.load(tmp_path / "text.pt", ours())
    torch.save({"epoch": 3}, tmp_path / "epoch.pt")
    with pytest.raises(InputError, match=r"epoch\.pt: .*missing: bn_fts.*unexpected: epoch"):
        weaver_weights.load(tmp_path / "epoch.pt", ours())
