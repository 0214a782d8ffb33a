"""Errors of settings in words: which key is wrong, and what was probably meant."""

import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel


def nearest(name: str, known: Sequence[str]) -> str:
    """Give ``"; did you mean 'x'?"``, or the list of known names when none is near."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known are {', '.join(map(repr, known))}" if known else "; none is defined"


def explain(error: Any, model: type[BaseModel]) -> str:
    """Turn one pydantic error of a model into a line that says which key, and what to do."""
    location = tuple(error["loc"])
    tags = _tags(location, model)
    path = ".".join(str(word) for place, word in enumerate(location) if place not in tags)
    if error["type"] == "extra_forbidden":
        return f"{path}: unknown key{nearest(str(location[-1]), _keys_at(location[:-1], model))}"
    message = error["msg"].removeprefix("Value error, ")
    given = error.get("input")
    if path and not isinstance(given, Mapping) and error["type"] != "value_error":
        message += f" (given: {given!r})"
    return f"{path}: {message}" if path else message


def _models_at(location: Sequence[str | int], model: type[BaseModel]) -> list[tuple[Any, bool]]:
    """Follow a location through the models: (annotation, whether the last word was a tag)."""
    here: list[tuple[Any, bool]] = [(model, False)]
    for word in location:
        there: list[tuple[Any, bool]] = []
        for annotation, _ in here:
            for option in _options(annotation):
                if isinstance(option, type) and issubclass(option, BaseModel):
                    if word in option.model_fields:
                        there.append((option.model_fields[str(word)].annotation, False))
                    elif _tag(option) == word:
                        there.append((option, True))
                elif typing.get_origin(option) in (dict, list, tuple):
                    there.append((typing.get_args(option)[-1], False))
        here = there
    return here


def _options(annotation: Any) -> list[Any]:
    """Unfold Annotated and unions."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _options(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [option for part in typing.get_args(annotation) for option in _options(part)]
    return [annotation]


def _tag(model: type[BaseModel]) -> str | None:
    """The value of ``kind`` by which a union tells its members apart."""
    kind = model.model_fields.get("kind")
    values = typing.get_args(kind.annotation) if kind else ()
    return str(values[0]) if len(values) == 1 else None


def _tags(location: Sequence[str | int], model: type[BaseModel]) -> set[int]:
    """The places in a location of words that are tags of unions and not keys."""
    return {
        index - 1
        for index in range(1, len(location) + 1)
        if any(is_tag for _, is_tag in _models_at(location[:index], model))
    }


def _keys_at(location: Sequence[str | int], model: type[BaseModel]) -> list[str]:
    return [
        key
        for annotation, _ in _models_at(location, model)
        for option in _options(annotation)
        if isinstance(option, type) and issubclass(option, BaseModel)
        for key in option.model_fields
    ]
