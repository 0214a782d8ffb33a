"""The documentation builds, loads nothing from elsewhere, and keeps in step with the code."""

import importlib.util
import os
import re
import subprocess
import sys
import typing
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from fullchain.cli import steps
from fullchain.settings import Settings, validate

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)],
        cwd=PROJECT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    return folder


class Loads(HTMLParser):
    """Addresses that a browser fetches by itself."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag in ("img", "script", "iframe", "source"):
            self.found.append(given.get("src") or "")
        if tag == "link" and given.get("rel") in ("stylesheet", "preload", "icon"):
            self.found.append(given["href"])


def test_the_site_builds_and_loads_nothing_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert {"settings", "tour", "contributing"} <= {page.parent.name for page in pages}
    for page in pages:
        for address in Loads(page.read_text(encoding="utf-8")).found:
            assert not re.match(r"(https?:)?//", address), f"{page.name} loads {address}"


@pytest.fixture(scope="module")
def settings_page():
    place = PROJECT / "docs/_hooks/settings_page.py"
    specification = importlib.util.spec_from_file_location("settings_page", place)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.settings_page()


def models_of(model):
    """A model and all models in its fields, however deep."""
    yield model
    for field in model.model_fields.values():
        waiting = [field.annotation]
        while waiting:
            annotation = waiting.pop()
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                yield from models_of(annotation)
            waiting.extend(typing.get_args(annotation))


def test_every_setting_is_explained(settings_page):
    rows = re.findall(r"^\| `([^`]+)` \| (.+?) \| (.+) \|$", settings_page, re.MULTILINE)
    explained = {key.rpartition(".")[2] for key, _, _ in rows}
    for model in set(models_of(Settings)) - {Settings}:
        missing = set(model.model_fields) - explained
        assert not missing, f"{model.__name__}: {missing}"
    for key, default, meaning in rows:
        assert default.strip() and len(meaning) > 3, key


def test_settings_have_their_default_and_limits(settings_page):
    assert "| `seed` | `20261` |" in settings_page
    assert re.search(r"\| `paper\.jobs_listed` \| `40` \| .* \(≥\u00a00\) \|", settings_page)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_within_the_project_lead_somewhere(name):
    text = (PROJECT / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    assert links
    for link in links:
        if not link.startswith(("https://", "http://")):
            assert (PROJECT / link).exists(), link


def yaml_examples():
    pages = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
    for page in pages:
        blocks = re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
        for number, block in enumerate(blocks):
            yield pytest.param(block, id=f"{page.name}-{number}")


@pytest.mark.parametrize("example", list(yaml_examples()))
def test_configurations_in_the_text_are_valid(example):
    validate(yaml.safe_load(example))


def test_the_picture_of_the_dag_has_every_step():
    root = ET.parse(PROJECT / "docs/dag.svg").getroot()
    svg = "{http://www.w3.org/2000/svg}"
    drawn = {
        (element.get("data-stage"), element.text)
        for element in root.iter(f"{svg}text")
        if element.get("class") == "name"
    }
    expected = {(stage, step) for stage, modules in steps().items() for step in modules}
    # Steps that the default configuration does not need are not in its DAG.
    others = {
        ("ntuples", "ingest"),
        ("ntuples", "convert"),
        ("ntuples", "generate_parameterised"),
        ("ntuples", "generate_learned"),
        ("tagging", "export_friend"),
        ("tagging", "import_weights"),
        ("pileup", "weights"),
        ("pileup", "train"),
        ("pileup", "apply"),
        ("pileup", "compare"),
        ("unfolding", "pair"),
        ("inference", "adopt"),
        ("calorimetry", "distil"),
        ("calorimetry", "control"),
        ("calorimetry", "vary"),
        ("calorimetry", "refine"),
        ("firmware", "build"),
        ("firmware", "place"),
        ("firmware", "grow"),
        ("firmware", "convert_trees"),
    }
    assert drawn == expected - others
