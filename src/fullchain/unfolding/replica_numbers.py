"""The number of replicas of a bootstrap, as a setting."""

from typing import Annotated

from pydantic import AfterValidator


def _not_one(number: int) -> int:
    if number == 1:
        raise ValueError("one replica has no spread: take at least two, or 0 for none")
    return number


Replicas = Annotated[int, AfterValidator(_not_one)]
"""None, or two and more."""
