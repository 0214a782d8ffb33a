"""The examples in the docstrings are true."""

import doctest

import pytest

from fullchain.paper import footnotes, page, rounding, tables


@pytest.mark.parametrize("module", [footnotes, page, rounding, tables])
def test_examples(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
