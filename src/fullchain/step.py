"""How a step declares its command line.

A step is a module with a function `main` whose keyword parameters are annotated with `Input`,
`Output` or `Option`, and one of type `Given`. The command line (`fullchain.cli`) is made from that
signature. Only the standard library is imported here: what a step imports is part of its identity
(`fullchain.dag.closure`), and a new version of a command-line library must not rerun the analysis.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar


@dataclass(frozen=True)
class Input:
    """A file that the step reads."""

    help: str


@dataclass(frozen=True)
class Output:
    """A file that the step writes."""

    help: str


@dataclass(frozen=True)
class Option:
    """Any other argument, such as the name of a sample."""

    help: str


class _Model(Protocol):
    @classmethod
    def model_validate(cls, obj: Any) -> Any: ...


M = TypeVar("M", bound=_Model)


class Given:
    """The settings that the rule passed: only those that the step uses.

    Parameters
    ----------
    values
        Nested mapping, for example ``{"seed": 1, "tagging": {"training": {...}}}``.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def __getitem__(self, path: str) -> Any:
        """Give the raw value at a dotted path.

        Raises
        ------
        KeyError
            The rule did not pass this setting.
        """
        value: Any = self.values
        for word in path.split("."):
            try:
                value = value[word]
            except (KeyError, TypeError):
                raise KeyError(
                    f"the setting {path!r} was not passed to this step; "
                    "add it to settings(...) in its rule, or by hand to --settings"
                ) from None
        return value

    def model(self, path: str, model: type[M]) -> M:
        """Give the settings at a dotted path as the pydantic model `model`."""
        return model.model_validate(self[path])

    @property
    def seed(self) -> int:
        """The seed of the configuration."""
        return int(self["seed"])
