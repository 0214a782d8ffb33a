"""Names that would leave their folder, and secrets, are refused before anything is planned."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullchain.errors import InputError
from fullchain.unsafe_settings import check


@pytest.mark.parametrize(
    "values",
    [
        {"tagging": {"taggers": {"../../etc": {}}}},
        {"calorimetry": {"models": {"a/b": {"kind": "vae"}}}},
        {"jets": {"shifts": {".hidden": {}}}},
        {"inference": {"analyses": {"a b": {}}}},
        {"unfolding": {"measurements": {"": {}}}},
        {"list": [{"in": {"x;rm": 1}}]},
    ],
)
def test_names_that_are_no_file_names_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="is no name"):
        check(values, "mine.yaml")


def test_the_message_has_file_and_path() -> None:
    with pytest.raises(InputError, match=r"mine.yaml:\n  tagging.taggers.\.\./x: the key"):
        check({"tagging": {"taggers": {"../x": {}}}}, "mine.yaml")


def test_numbers_may_be_keys() -> None:
    check({"pileup_profile": {"30": 1.0, "45.5": 0.5, "1e2": 0.1, 50.0: 1.0}}, "mine.yaml")


@given(st.text(max_size=8))
def test_no_name_that_passes_leaves_its_folder(name: str) -> None:
    try:
        check({"samples": {name: {}}}, "mine.yaml")
    except InputError:
        return
    assert name and not set(name) & set("/\\\0 ~$*?;|&<>'\"`\n") and name.strip(".") == name


@pytest.mark.parametrize(
    ("url", "held"),
    [
        ("https://me:hunter2@example.org/a.root", "a password"),
        ("root://host//a.root?authz=abc", "'authz'"),
        ("https://bucket/a.root?X-Amz-Signature=abc&b=1", "'X-Amz-Signature'"),
    ],
)
def test_secrets_are_refused_and_not_repeated(url: str, held: str) -> None:
    with pytest.raises(InputError, match=held) as refused:
        check({"ntuples": {"samples": {"x": {"files": ["a.root", url]}}}}, "mine.yaml")
    assert "hunter2" not in str(refused.value) and "abc" not in str(refused.value)
    assert "ntuples.samples.x.files[1]" in str(refused.value)


def test_urls_without_secrets_pass() -> None:
    check({"files": ["root://eospublic.cern.ch//eos/a.root", "https://example.org/a?b=c"]}, "m")
