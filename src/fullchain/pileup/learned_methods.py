"""The learned methods that a configuration can name."""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from fullchain.pileup.graph_settings import GraphSettings
from fullchain.pileup.pumml_settings import PummlSettings

Method = Annotated[PummlSettings | GraphSettings, Field(discriminator="kind")]

_ADAPTER: TypeAdapter[PummlSettings | GraphSettings] = TypeAdapter(Method)


def method_of(values: Any) -> PummlSettings | GraphSettings:
    """Read settings of a method from plain values; raises pydantic.ValidationError."""
    return _ADAPTER.validate_python(values)
