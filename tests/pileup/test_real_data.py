"""Our PUPPI against the weights in a CMS file, made with CMSSW 10_6."""

from pathlib import Path

import pytest

from fullchain.ntuples.inspection import inspect_file
from fullchain.ntuples.manifests import PartManifest, SourceFile, write_part
from fullchain.pileup.classical_settings import ComparisonSettings
from fullchain.pileup.compare import compare

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def manifest(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = shared_data / "pfnano.root"
    if not path.is_file():
        pytest.skip(f"no real CMS file {path.name} in {shared_data.name}")
    found = inspect_file(
        str(path), layout="auto", tree=None, is_data=False, max_events=None, timeout=10
    )
    source = SourceFile(str(path), found.tree, found.events, found.sum_of_weights)
    made = tmp_path_factory.mktemp("real") / "0000.json"
    write_part(made, PartManifest("real", "0000", found.layout, (source,)))
    return made


def test_weights_of_neutral_candidates_and_jets_agree(manifest: Path) -> None:
    """Measured: correlation 0.981, 0.979, 0.971; ratio of jet pT 1.0001 with a width of 0.0003."""
    found = compare([manifest], ComparisonSettings(), 1)
    for region, number, correlation, close in (
        ("0-2.5", 3039, 0.97, 0.98),
        ("2.5-3", 363, 0.96, 0.99),
        ("3-10", 6742, 0.95, 0.995),
    ):
        agreement = found["regions"][region]
        assert agreement["candidates"] == number
        assert agreement["correlation"][0] > correlation
        assert agreement["close"][0] > close
        assert agreement["kept_pt_ratio"][0] == pytest.approx(1, abs=0.06)
    assert found["regions"]["0-2.5"]["kept_pt_ratio"][0] == pytest.approx(1, abs=0.003)
    jets = found["jets"]
    assert jets["jets"] >= 20
    assert jets["pt"]["median"][0] == pytest.approx(1, abs=0.001)
    assert jets["pt"]["half_width"][0] < 0.002
    assert jets["mass"]["median"][0] == pytest.approx(1, abs=0.005)
