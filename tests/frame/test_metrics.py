import math
from pathlib import Path

import pytest

from fullchain.errors import InputError
from fullchain.metrics import Metric, read_metrics, write_metrics

AUC = Metric("pfn.auc", 0.97, 0.002, "bootstrap", "AUC", published=0.9819, source="a paper")


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_metrics(path, "tagging", [AUC])
    assert read_metrics(path) == ("tagging", [AUC])


def test_a_limit_is_read_back_and_has_a_side(tmp_path) -> None:
    limit = Metric("xs", 3.0, 0.0, "limit", "cross section", limit="upper")
    write_metrics(tmp_path / "m.json", "fit", [limit])
    assert read_metrics(tmp_path / "m.json")[1] == [limit]
    text = (tmp_path / "m.json").read_text().replace('"upper"', '"left"')
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(InputError, match="lower or upper"):
        read_metrics(tmp_path / "m.json")


def test_published_needs_its_source() -> None:
    with pytest.raises(ValueError, match="source"):
        Metric("auc", 0.9, 0.1, "bootstrap", "AUC", published=0.98)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_not_finite_is_refused(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match=r"pfn\.auc.*uncertainty"):
        bad = Metric("pfn.auc", 0.9, value, "bootstrap", "AUC")
        write_metrics(tmp_path / "metrics.json", "tagging", [bad])


def test_name_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="twice"):
        write_metrics(tmp_path / "metrics.json", "tagging", [AUC, AUC])


def test_missing_or_other_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json"):
        read_metrics(tmp_path / "none.json")
    (tmp_path / "other.json").write_text("[1]")
    with pytest.raises(InputError, match=r"other\.json"):
        read_metrics(tmp_path / "other.json")
