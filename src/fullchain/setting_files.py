"""Files of settings: reading them, and laying one over another."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from fullchain.errors import InputError


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML configuration file.

    Raises
    ------
    InputError
        The file is missing, is not YAML, has a key twice, or does not hold a mapping.
    """
    try:
        # a subclass of SafeLoader
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506
    except FileNotFoundError:
        raise InputError(f"{path}: no such configuration file") from None
    # of impossible dates and numbers, mappings as keys, lists in lists without end
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as problem:
        raise InputError(f"{path}: not valid YAML: {problem}") from None
    except OSError as problem:
        raise InputError(f"{path}: cannot be read ({problem.strerror})") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(f"{path}: a configuration must be a mapping of keys to values")
    return content


def read_files(paths: Iterable[Path]) -> dict[str, Any]:
    """Read configuration files, each laid over the ones before it.

    Raises
    ------
    InputError
        As `read_yaml`.
    """
    values: dict[str, Any] = {}
    for path in paths:
        values = merge(values, read_yaml(path))
    return values


class _StrictLoader(yaml.SafeLoader):
    """YAML in which the same key twice is an error: the first would be lost in silence."""


def _mapping_without_duplicates(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    # Before what `<<` merges in is added, which keys of the mapping's own replace.
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} stands twice", key_node.start_mark
            )
        seen.add(key)
    loader.flatten_mapping(node)
    return {
        loader.construct_object(key_node, deep=True): loader.construct_object(value_node, deep=True)
        for key_node, value_node in node.value
    }


_StrictLoader.add_constructor(
    yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_duplicates
)


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `overlay` over `base`, deeply.

    A mapping whose ``kind`` changes replaces the whole mapping: the other keys of a generated
    sample mean nothing to an ingested one.
    """
    merged = dict(base)
    for key, value in overlay.items():
        below = merged.get(key)
        if (
            isinstance(value, Mapping)
            and isinstance(below, Mapping)
            and not _other_kind(below, value)
        ):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def _other_kind(below: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    return "kind" in value and value["kind"] != below.get("kind")
