"""Weights in the format of weaver-core give the same scores here."""

from pathlib import Path
from typing import Any

import pytest
import torch

from fullchain.errors import InputError
from fullchain.tagging import weaver_weights
from fullchain.tagging.cloud import ParticleCloud
from fullchain.tagging.particlenet import ParticleNet
from weaver_network import Weaver, with_moments

FEATURES, CLASSES, K, N = 5, 3, 4, 16
BLOCKS = ((8, 8, 8), (12, 12, 12), (12, 12))


def weaver(*, fusion: bool = False, fc: tuple[int, ...] = (10,)) -> Weaver:
    """A network whose batch norms have seen something."""
    torch.manual_seed(4)
    sizes: dict[str, Any] = {"neighbours": K, "blocks": BLOCKS, "fc": fc, "fusion": fusion}
    return with_moments(Weaver(FEATURES, CLASSES, **sizes), 4)


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
        weaver_weights.load(tmp_path / "weaver.pt", network, outputs=CLASSES, rows=range(CLASSES))
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
        weaver_weights.load(path, network, outputs=network.output.out_features, rows=range(CLASSES))
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def load(path: Path) -> None:
    weaver_weights.load(path, ours(), outputs=CLASSES, rows=range(CLASSES))


class Code:
    """What a pickled object would be: never made again from a file."""


def test_a_pickled_network_is_not_unpickled(tmp_path: Path) -> None:
    torch.save(weaver(), tmp_path / "whole.pt")
    torch.save({"state": Code()}, tmp_path / "object.pt")
    for name in ("whole", "object"):
        with pytest.raises(InputError, match=rf"{name}\.pt: no file of weights \(.*eights.?only"):
            load(tmp_path / f"{name}.pt")


def test_weights_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    state = weaver().state_dict()
    state["fc.0.0.bias"][1] = float("nan")
    torch.save(state, tmp_path / "nan.pt")
    with pytest.raises(InputError, match=r"nan\.pt: .*not finite: fc\.0\.0\.bias"):
        load(tmp_path / "nan.pt")


def test_outputs_are_taken_by_their_places(tmp_path: Path) -> None:
    reference = weaver()
    torch.save(reference.state_dict(), tmp_path / "weaver.pt")
    network, jets = ours(classes=2).double(), cloud()
    weaver_weights.load(tmp_path / "weaver.pt", network, outputs=CLASSES, rows=[2, 0])
    with torch.no_grad():
        expected = reference(jets.angles.mT, jets.features.mT, jets.mask[:, None].double())
        torch.testing.assert_close(network(jets), expected[:, [2, 0]], rtol=1e-9, atol=1e-9)


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.pt: no such file"):
        load(tmp_path / "absent.pt")
    (tmp_path / "text.pt").write_text("weights")
    with pytest.raises(InputError, match=r"text\.pt: no file of weights"):
        load(tmp_path / "text.pt")
    torch.save({"epoch": 3}, tmp_path / "epoch.pt")
    with pytest.raises(InputError, match=r"epoch\.pt: .*missing: bn_fts.*unexpected: epoch"):
        load(tmp_path / "epoch.pt")
