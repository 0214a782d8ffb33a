"""The default configuration file and the JSON schema, made from the models."""

import json
import textwrap
from typing import Any

import yaml
from pydantic import BaseModel

from fullchain.settings import Settings

HEADER = """\
# The default configuration of fullchain, with the meaning and unit of every setting.
#
# This file is made from the models in src/fullchain/*/settings.py by `make config`; do not edit it.
# Lay your own values over it:  snakemake --cores 4 --configfile mine.yaml
# yaml-language-server: $schema=schema.json
"""


LONG = 90
"""Characters from which text is folded."""


def _comment(text: str, indent: int) -> list[str]:
    prefix = " " * indent + "# "
    return textwrap.wrap(text, width=100, initial_indent=prefix, subsequent_indent=prefix)


def _value(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def _entry(key: str, value: Any, indent: int) -> list[str]:
    """Write a plain value behind its key; long text is folded over several lines."""
    if not isinstance(value, str) or len(value) < LONG:
        return [f"{key} {_value(value)}"]
    margin = " " * indent
    return [
        f"{key} >-",
        *textwrap.wrap(value, 100, initial_indent=margin, subsequent_indent=margin),
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return value


def _lines(model: BaseModel, indent: int, explained: set[type]) -> list[str]:
    """Write a model's fields; explain each class once, and repeat only what differs after that."""
    first = type(model) not in explained
    explained.add(type(model))
    lines: list[str] = []
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if (
            not first
            and not field.is_required()
            and value == field.get_default(call_default_factory=True)
        ):
            continue
        if first and field.description:
            lines += _comment(field.description, indent)
        margin = " " * indent
        if isinstance(value, BaseModel):
            lines.append(f"{margin}{name}:")
            lines += _lines(value, indent + 2, explained) or [f"{margin}  {{}}"]
        elif isinstance(value, dict) and any(isinstance(v, BaseModel) for v in value.values()):
            lines.append(f"{margin}{name}:")
            for key, entry in value.items():
                lines.append(f"{margin}  {key}:")
                lines += _lines(entry, indent + 4, explained) or [f"{margin}    {{}}"]
        elif isinstance(value, list | tuple) and any(isinstance(v, BaseModel) for v in value):
            lines.append(f"{margin}{name}:")
            lines += [f"{margin}  - {_value(_plain(entry))}" for entry in value]
        else:
            plain = model.model_dump(mode="json", include={name})[name]
            lines += _entry(f"{margin}{name}:", plain, indent + 2)
    return lines


def default_yaml() -> str:
    """Give the text of `config/config.yaml`: every default, explained."""
    settings = Settings()
    explained: set[type] = {Settings}
    lines = [HEADER]
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        lines += _comment(field.description or "", 0)
        if isinstance(value, BaseModel):
            lines.append(f"{name}:")
            lines += _lines(value, 2, explained) or ["  {}"]
            lines.append("")
        else:
            lines.append(f"{name}: {_value(value)}")
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def schema_json() -> str:
    """Give the text of `config/schema.json`, for completion and checks in an editor."""
    schema = Settings.model_json_schema()
    schema["title"] = "fullchain configuration"
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"
