"""Which parts and scores belong together."""

from pathlib import Path

from fullchain.inference.jet_tables import group_by_sample


def test_parts_come_in_the_order_in_which_scores_are_written() -> None:
    parts = [Path(f"jets/qcd/{number}.parquet") for number in ("10000", "9999", "0002")]
    scores = Path("scores/qcd.parquet")
    [(found, file)] = group_by_sample(parts, [scores]).values()
    assert [path.stem for path in found] == ["0002", "9999", "10000"]
    assert file == scores
