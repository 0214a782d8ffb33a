import json

import pytest

from fullchain.dag.parts import part, text
from fullchain.errors import InputError

VALUES = {"seed": 1, "jets": {"radius": 0.8, "cuts": {"pt": 500, "eta": 2}}, "paper": {}}


def test_only_what_was_asked_for() -> None:
    assert part(VALUES, "seed", "jets.cuts.pt") == {"seed": 1, "jets": {"cuts": {"pt": 500}}}


def test_text_does_not_depend_on_the_order_of_keys() -> None:
    swapped = {"jets": {"cuts": {"eta": 2, "pt": 500}, "radius": 0.8}, "seed": 1}
    assert text(VALUES, "seed", "jets") == text(swapped, "jets", "seed")
    assert json.loads(text(VALUES, "paper")) == {"paper": {}}


def test_unknown_path_is_named() -> None:
    with pytest.raises(InputError, match=r"jets\.cuts\.mass"):
        part(VALUES, "jets.cuts.mass")


def test_braces_in_strings_are_no_wildcards() -> None:
    values = {"a": {"label": r"$\tau_{21}$", "names": ["{x}"]}, "b": {}}
    found = text(values, "a", "b")
    assert "{21}" not in found and "{x}" not in found
    assert json.loads(found) == values
