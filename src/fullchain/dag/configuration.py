"""Show the effective configuration, or write the default one and its schema."""

import argparse
from pathlib import Path

import yaml

from fullchain.atomic import write_text
from fullchain.defaults import default_yaml, schema_json
from fullchain.settings import load


def main(arguments: list[str]) -> None:
    """Run ``fullchain config``."""
    parser = argparse.ArgumentParser(
        prog="fullchain config",
        description="Show the effective configuration of YAML files laid over the defaults.",
    )
    parser.add_argument("files", type=Path, nargs="*", help="configuration files, in order")
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FOLDER",
        help="write config.yaml (all defaults, explained) and schema.json there instead",
    )
    chosen = parser.parse_args(arguments)
    if chosen.write:
        write_text(chosen.write / "config.yaml", default_yaml())
        write_text(chosen.write / "schema.json", schema_json())
        return
    values = load(*chosen.files).model_dump(mode="json")
    print(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), end="")
