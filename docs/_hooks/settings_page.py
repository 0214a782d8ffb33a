"""The page of all settings, made from the pydantic models."""

import inspect
import json
import types
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from fullchain.settings import Settings

HEADER = """# Settings

Every setting with its default and meaning. This page is made from the models that check the
configuration; `config/config.yaml` holds the same defaults, and `config/schema.json` gives
completion in an editor. Lay your own values over them with `snakemake --configfile mine.yaml`:
mappings are merged, lists and single values are replaced, and `null` in the place of a named entry,
such as a sample, removes it.

`<name>` stands for any name you choose.
"""


def settings_page() -> str:
    """Give the page as Markdown."""
    lines = [HEADER, *_table(Settings, "", Settings())]
    written: dict[type[BaseModel], str] = {}
    for name, field in Settings.model_fields.items():
        for _, model in _models(field, name):
            lines += [f"\n## {name}\n", f"{_sentence(field.description)}\n"]
            lines += _section(model, name, 3, written)
    return "\n".join(lines) + "\n"


def _section(
    model: type[BaseModel], path: str, level: int, written: dict[type[BaseModel], str]
) -> list[str]:
    written[model] = path
    lines = _table(model, path, None)
    for name, field in model.model_fields.items():
        for place, inner in _models(field, f"{path}.{name}"):
            kind = _kind(inner)
            title = f"`{place}`" + (f", kind `{kind}`" if kind else "")
            lines.append(f"\n{'#' * min(level, 5)} {title}\n")
            if inner in written:
                lines.append(f"The same settings as `{written[inner]}`.\n")
                continue
            lines.append(f"{_sentence(_summary(inner))}\n")
            lines += _section(inner, place, level + 1, written)
    return lines


def _table(model: type[BaseModel], path: str, defaults: BaseModel | None) -> list[str]:
    rows = []
    for name, field in model.model_fields.items():
        inner = _models(field, name)
        if inner and defaults is not None:
            continue
        key = f"`{path}.{name}`" if path else f"`{name}`"
        default = "below" if inner else _default(field)
        rows.append(f"| {key} | {default} | {_cell(field.description or '')}{_limits(field)} |")
    return ["| key | default | meaning |", "| --- | --- | --- |", *rows] if rows else []


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "needed"
    text = json.dumps(_plain(value), ensure_ascii=False)
    return f"`{_cell(text)}`" if len(text) <= 60 else f"`{_cell(text[:57])}...`"


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(entry) for entry in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _limits(field: FieldInfo) -> str:
    """Say what values are allowed, where the type does."""
    found = []
    for sign, attribute in ((">", "gt"), ("≥", "ge"), ("<", "lt"), ("≤", "le")):
        for limit in field.metadata:
            if (bound := getattr(limit, attribute, None)) is not None:
                found.append(f"{sign}\u00a0{bound}")
    for option in _options(field.annotation):
        if typing.get_origin(option) is typing.Literal:
            found.append("one of " + ", ".join(f"`{word}`" for word in typing.get_args(option)))
    return f" ({'; '.join(found)})" if found else ""


def _options(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) is typing.Annotated:
        return _options(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [one for part in typing.get_args(annotation) for one in _options(part)]
    return [annotation]


def _models(field: FieldInfo, path: str) -> list[tuple[str, type[BaseModel]]]:
    """Give the models that may stand in a field, each with the path to it."""
    return list(_inner_models(field.annotation, path))


def _inner_models(annotation: Any, path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    for option in _options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel):
            yield path, option
        elif typing.get_origin(option) is dict:
            yield from _inner_models(typing.get_args(option)[1], f"{path}.<name>")
        elif typing.get_origin(option) in (list, tuple):
            for inner in typing.get_args(option):
                yield from _inner_models(inner, f"{path}[]")


def _kind(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("kind")
    words = typing.get_args(field.annotation) if field else ()
    return str(words[0]) if len(words) == 1 else None


def _summary(model: type[BaseModel]) -> str:
    return (inspect.getdoc(model) or "").partition("\n\n")[0].replace("\n", " ")


def _sentence(text: str | None) -> str:
    text = _cell(text or "").strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") or not text else ".")


def _cell(text: str) -> str:
    # A bar would end the cell, a pointed bracket start a tag.
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
