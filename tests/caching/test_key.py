"""Every ingredient of a result changes its key, and what changes no result does not."""

import importlib.metadata
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fullchain.caching import key, machine, policy
from fullchain.processor import instructions, processor
from fullchain.provenance import checksum, provenance_of


def change_input(bench: Any) -> None:
    bench.jets[0].write_text("other jets")


def rename_input(bench: Any) -> None:
    bench.jets[0] = bench.jets[0].rename(bench.folder / "c.parquet")


def reorder_inputs(bench: Any) -> None:
    bench.jets.reverse()


def change_settings(bench: Any) -> None:
    bench.settings = {"seed": 2}


def change_option(bench: Any) -> None:
    bench.sample = "tt"


def set_flag(bench: Any) -> None:
    bench.more = ["--fast"]


def rename_output(bench: Any) -> None:
    bench.history = bench.history.with_name("other.json")


@pytest.mark.parametrize(
    "change",
    [
        change_input,
        rename_input,
        reorder_inputs,
        change_settings,
        change_option,
        set_flag,
        rename_output,
    ],
)
def test_what_is_given_changes_the_key(bench: Any, change: Callable[[Any], None]) -> None:
    before = bench.question().key
    change(bench)
    assert bench.question().key != before


@pytest.mark.parametrize("part", ["modules", "packages"])
def test_code_and_packages_change_the_key(bench: Any, code: dict[str, object], part: str) -> None:
    before = bench.question().key
    code[part] = {"fullchain.twice": "2", "torch": "3"}
    assert bench.question().key != before


def test_a_package_that_a_package_requires_changes_the_key(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bench.question()
    found = before.ingredients["packages"]
    assert "pydantic-core" in found, "pydantic requires it"
    kept = machine._distribution

    def other(name: str) -> tuple[str | None, tuple[str, ...]]:
        version, required = kept(name)
        return ("0.0" if name == "pydantic-core" else version), required

    monkeypatch.setattr(machine, "_distribution", other)
    assert bench.question().key != before.key


def test_the_machine_and_its_threads_change_the_key(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one = bench.question().key
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    two = bench.question().key
    monkeypatch.setattr(machine, "_machine", lambda: {"processor": "another", "gpus": []})
    other = bench.question().key
    monkeypatch.setenv(machine.MACHINE, "ours")
    named = bench.question().key
    assert len({one, two, other, named}) == 4
    monkeypatch.setattr(machine, "_machine", lambda: {"processor": "a third", "gpus": []})
    assert bench.question().key == named, "what is named alike counts as equal"


def test_what_changes_no_result_does_not_change_the_key(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bench.question().key
    bench.more = ["--workers", "4"]
    bench.jets[0].write_text("a.parquet")  # a new time, the same content
    monkeypatch.setenv("FULLCHAIN_SOMETHING", "1")
    assert bench.question().key == before


def test_order_of_settings_does_not_change_the_key(bench: Any) -> None:
    bench.settings = {"a": 1, "b": {"c": 2, "d": 3}}
    before = bench.question().key
    bench.settings = {"b": {"d": 3, "c": 2}, "a": 1}
    assert bench.question().key == before


def manifest(folder: Path, path: str, sha256: str | None = None) -> Path:
    part = {
        "relative_to": "manifest",
        "files": [{"path": path, "sha256": sha256, "size": 6}],
    }
    (folder / "0000.json").write_text(json.dumps(part))
    (folder / "manifest.json").write_text(json.dumps({"sample": "qcd", "parts": [part]}))
    return folder / "0000.json"


@pytest.mark.parametrize("name", ["0000.json", "manifest.json"])
def test_files_that_a_manifest_lists_change_the_key(bench: Any, name: str) -> None:
    bench.jets = [manifest(bench.folder, "0000.root").with_name(name)]
    absent = bench.question().key
    events = bench.folder / "0000.root"
    events.write_text("events")
    first = bench.question()
    assert str(events) in first.inputs
    events.write_text("others")
    assert len({absent, first.key, bench.question().key}) == 3


def test_a_large_file_has_the_checksum_of_its_manifest_until_it_changes(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key, "LARGE", 5)
    bench.jets = [manifest(bench.folder, "0000.root", "0" * 64)]
    events = bench.folder / "0000.root"
    events.write_text("events")
    os.utime(events, (1, 1))
    assert bench.question().inputs[str(events)] == "0" * 64
    os.utime(events)
    os.utime(bench.jets[0], (1, 1))
    assert bench.question().inputs[str(events)] == checksum(events)


def test_remote_files_need_a_checksum(bench: Any) -> None:
    bench.jets = [manifest(bench.folder, "root://host//a.root")]
    with pytest.raises(key.NotCached, match=r"root://host//a\.root without a checksum"):
        bench.question()
    manifest(bench.folder, "root://host//a.root", "0" * 64)
    assert bench.question().key


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--unknown", "1"], "--unknown"),
        (["--workers"], "--workers"),
        (["--workers", "1", "2"], "--workers"),
        (["--sample", "tt"], "--sample"),
    ],
)
def test_an_unusual_command_line_is_not_cached(bench: Any, more: list[str], message: str) -> None:
    bench.more = more
    with pytest.raises(key.NotCached, match=message):
        bench.question()


def test_a_folder_as_input_is_not_cached(bench: Any) -> None:
    bench.jets = [bench.folder]
    with pytest.raises(key.NotCached, match="is no file"):
        bench.question()


def test_a_file_that_a_setting_names_changes_the_key(bench: Any) -> None:
    """As a geometry of one's own: no rule has to declare it."""
    own = bench.folder / "own.xml"
    bench.settings = {"detector": [{"geometry": str(own), "name": "x" * 5000, "odd": "a\0b"}]}
    keys = {bench.question().key}
    for content in ("one", "two"):
        own.write_text(content)
        keys.add(bench.question().key)
    assert len(keys) == 3
    assert str(own) in bench.question().inputs


def test_data_files_of_a_stage_change_the_key(
    bench: Any, code: dict[str, object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code["modules"] = {"fullchain": "1", "fullchain.calorimetry.geometry": "1"}
    found = bench.question().ingredients["data"]
    assert "calorimetry/geometries/set1_photons.xml" in found
    assert not any(name.endswith((".py", ".pyc")) for name in found)
    monkeypatch.setattr(key, "PACKAGE_FOLDER", tmp_path)
    folder = tmp_path / "calorimetry"
    folder.mkdir()
    (folder / "voxels.xml").write_text("one")
    before = bench.question().key
    (folder / "voxels.xml").write_text("two")
    assert bench.question().key != before


def test_outputs_have_the_order_of_the_signature(bench: Any) -> None:
    """The record of a step stands beside the first output of its signature."""
    words = bench.words()
    a, b = words.index("--model"), words.index("--history")
    swapped = [*words[:a], *words[b : b + 2], *words[a:b], *words[b + 2 :]]
    asked = key.question(bench.step, bench.source, swapped)
    assert asked.outputs == (bench.model, bench.history)
    bench.words = lambda: swapped
    bench.run()
    assert provenance_of(bench.model).is_file()
    assert bench.entry().is_dir()
    bench.clear()
    assert not bench.run()
    assert provenance_of(bench.model).is_file()


def test_settings_from_a_file_are_not_cached(bench: Any) -> None:
    words = bench.words()
    words[words.index("--settings") + 1] = "config/config.yaml"
    with pytest.raises(key.NotCached, match="JSON"):
        key.question(bench.step, bench.source, words)


def test_a_program_counts_by_its_content(
    bench: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tmp_path / "bin" / "compile"
    tool.parent.mkdir()
    monkeypatch.setenv("PATH", str(tool.parent), prepend=":")
    monkeypatch.setitem(policy.PROGRAMS, bench.step, ("compile",))
    keys = {bench.question().key}
    for content in (b"\x7fELF 1", b"\x7fELF 2", b"#!/bin/sh\nexec elsewhere"):
        tool.write_bytes(content)
        tool.chmod(0o755)
        keys.add(bench.question().key)
    assert len(keys) == 4


def test_processor_is_model_and_vector_instructions(tmp_path: Path) -> None:
    source = tmp_path / "cpuinfo"
    source.write_text(
        "processor\t: 0\nmodel name\t: X 1\nflags\t\t: fpu avx2 fma\n\nprocessor : 1\n"
    )
    assert processor(source) == {"model name": "X 1", "vectors": "avx2 fma"}
    assert "name" in processor(tmp_path / "none")
    assert instructions(source) == "fpu avx2 fma"
    assert instructions(tmp_path / "none") == ""


def test_distributions_are_those_of_the_library() -> None:
    """Versions and requirements, read by hand, are what `importlib.metadata` says."""
    found = machine.distributions(["pyhf"])
    assert {"pyhf", "scipy", "numpy", "pyyaml", "python"} <= set(found)
    assert "not-there" not in machine.distributions(["not-there"])
    for name, version in found.items():
        if name != "python":
            assert version == importlib.metadata.version(name)
