"""A run exported as a Workflow Run RO-Crate: its graph, what is packed, and who accepts it."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fullchain import further_outputs
from fullchain.dag import crate, verify
from fullchain.dag.crate_entities import moment
from fullchain.dag.crate_workflow import read_workflow
from fullchain.errors import InputError
from fullchain.ntuples.manifests import PartManifest, SourceFile, write_part
from fullchain.provenance import Record, provenance_of

CODE = {
    "modules": {"fullchain.some": "aa"},
    "packages": {"python": "3.11", "numpy": "2.4.0", "torch": "2.13.0+cpu"},
}
SETTINGS = {"seed": 7, "jets": {"figures": {"bins": 20}}}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of four jobs: a user's file and its manifest, jets, figures, and the numbers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fullchain.provenance.code", lambda step: json.dumps(CODE))
    Path("Snakefile").write_text("rule all:\n    input: []\n")
    Path("my data.root").write_bytes(b"root")
    folder = Path("results/mine")
    manifest, jets = folder / "ntuples/data/0000.json", folder / "jets/data/0000.parquet"
    index, metrics = folder / "jets/figures/index.json", folder / "jets/metrics.json"
    for path in (manifest, jets, index):
        path.parent.mkdir(parents=True)
    with Record("ntuples.ingest", {"seed": 7}, [], [manifest]):
        write_part(manifest, manifest_of("my data.root"))
    with Record("jets.cluster", {"seed": 7}, [manifest], [jets]):
        jets.write_bytes(b"jets" * 1000)
    with Record("jets.plot", SETTINGS, [jets], [index]):
        for name in ("mass.pdf", "mass.png"):
            (index.parent / name).write_text(name)
            further_outputs.tell(index.parent / name)
        index.write_text("[]")
    with Record("jets.measure", {}, [jets], [metrics]):
        metrics.write_text("{}")
    return folder


def manifest_of(path: str) -> PartManifest:
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    known = SourceFile(path, "Events", 3, 3.0, sha256=digest, size=4)
    remote = SourceFile("root://eos.example//a.root", "Events", 2, 2.0, size=9)
    lost = SourceFile("gone.root", "", 0, 0.0, status="skipped", reason="no tree")
    files = (known, remote, lost)
    return PartManifest("data", "0000", "pfnano", files, relative_to="working_directory")


def exported(run: Path, *arguments: str) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Export to a ZIP; give its entities by name and the paths in it."""
    crate.main([str(run), "--to", "out.zip", *arguments])
    with zipfile.ZipFile("out.zip") as archive:
        graph = json.loads(archive.read("ro-crate-metadata.json"))["@graph"]
        return {entity["@id"]: entity for entity in graph}, archive.namelist()


def pointed(value: Any) -> list[str]:
    """Names that a property points to."""
    return [one["@id"] for one in (value if isinstance(value, list) else [value])]


def jobs(entities: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: one for name, one in entities.items() if name.startswith("#job/")}


def test_every_record_is_an_action_with_the_checksums_of_its_files(run: Path) -> None:
    entities, _ = exported(run)
    written = verify.records(run)
    assert len(jobs(entities)) == len(written) == 4
    for record in written:
        action = entities[f"#job/{record['outputs'][0]}"]
        assert action["@type"] == "CreateAction"
        tool = entities[action["instrument"]["@id"]]
        assert tool["name"] == f"fullchain {record['step'].replace('.', ' ')}"
        found = {name.removeprefix("#"): entities[name] for name in pointed(action["result"])}
        assert {path: one["sha256"] for path, one in found.items()} == record["output_checksums"]
        read = {name.removeprefix("#"): entities[name] for name in pointed(action["object"])}
        for path, digest in record["inputs"].items():
            assert read[path]["sha256"] == digest
        (settings,) = (one["value"] for one in read.values() if one["@type"] == "PropertyValue")
        assert json.loads(settings) == record["settings"]
        assert action["startTime"] == moment(record["started"])


def test_figures_are_results_of_the_job_that_drew_them(run: Path) -> None:
    entities, names = exported(run)
    drawn = "results/mine/jets/figures/mass.pdf"
    assert drawn in pointed(entities["#job/results/mine/jets/figures/index.json"]["result"])
    assert drawn in names


def test_each_input_is_the_result_of_a_job_or_an_external_file(run: Path) -> None:
    entities, _ = exported(run)
    results = {name for job in jobs(entities).values() for name in pointed(job["result"])}
    external = set(pointed(entities["#run"]["object"])) - {"configuration.json"}
    assert external == {"#my%20data.root", "root://eos.example//a.root"}
    for job in jobs(entities).values():
        for name in pointed(job["object"]):
            if entities[name]["@type"] == "File":
                assert name in results | external
    assert set(pointed(entities["#run"]["result"])) == {
        "results/mine/jets/figures/index.json",
        "results/mine/jets/figures/mass.pdf",
        "results/mine/jets/figures/mass.png",
        "results/mine/jets/metrics.json",
    }


def test_the_graph_points_only_to_what_it_holds(run: Path) -> None:
    entities, names = exported(run, "--with-data", "all")
    outside = {"https://w3id.org/ro/crate/1.1", "https://doi.org/10.1093/bioinformatics/bts480"}
    outside.add("https://snakemake.readthedocs.io")

    def inside(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [value["@id"]]
        return [name for one in value for name in inside(one)] if isinstance(value, list) else []

    for entity in entities.values():
        for value in entity.values():
            assert set(inside(value)) <= entities.keys() | outside
    files = [name for name, one in entities.items() if "File" in one["@type"]]
    assert {name for name in files if not name.startswith("#") and "://" not in name} <= set(names)


def test_steps_stand_in_order_and_say_who_gives_to_whom(run: Path) -> None:
    entities, _ = exported(run)
    order = {one["name"]: int(one["position"]) for one in entities.values() if "position" in one}
    assert order["ntuples.ingest"] < order["jets.cluster"] < order["jets.plot"]
    assert "#connection/jets.cluster/jets.plot" in entities


def test_tools_name_the_packages_that_they_ran_with(run: Path) -> None:
    entities, _ = exported(run)
    (tool,) = (one for one in entities.values() if one.get("name") == "fullchain jets plot")
    versions = {
        entities[name]["name"]: entities[name]["softwareVersion"]
        for name in pointed(tool["softwareRequirements"])
    }
    assert versions == CODE["packages"]


def test_what_is_packed_can_be_chosen(run: Path) -> None:
    def packed(choice: str) -> set[str]:
        _, names = exported(run, "--with-data", choice)
        results = {name for name in names if name.startswith("results/") and name[-1] != "/"}
        return {name for name in results if not name.endswith(".provenance.json")}

    jets = "results/mine/jets/data/0000.parquet"
    assert packed("none") == set()
    assert len(packed("figures")) == 5
    assert packed("all") == packed("figures") | {jets}
    entities, names = exported(run, "--with-data", "none")
    assert f"{jets}.provenance.json" in names
    assert entities[f"#{jets}"]["contentSize"] == "4000"
    assert jets in entities[f"#{jets}"]["description"]


def test_the_same_run_gives_the_same_bytes(run: Path) -> None:
    exported(run)
    first = Path("out.zip").read_bytes()
    Path("Snakefile").touch()
    exported(run)
    assert Path("out.zip").read_bytes() == first


def test_a_folder_holds_what_the_archive_holds_and_verifies(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, names = exported(run, "--with-data", "all")
    crate.main([str(run), "--to", "out", "--with-data", "all"])
    found = {path.relative_to("out").as_posix() for path in Path("out").rglob("*")}
    assert found == {name.rstrip("/") for name in names}
    Path("my data.root").rename("out/my data.root")
    capsys.readouterr()
    verify.main(["out/results/mine", "--root", "out"])
    assert "nothing is changed or gone" in capsys.readouterr().out
    with pytest.raises(InputError, match="out: is there already"):
        crate.main([str(run), "--to", "out", "--force"])


def test_the_settings_are_packed(run: Path) -> None:
    exported(run)
    with zipfile.ZipFile("out.zip") as archive:
        assert json.loads(archive.read("configuration.json")) == SETTINGS
    report = run / "paper/index.html"
    report.parent.mkdir()
    with Record("paper.report", {"run": "mine", "seed": 7}, [], [report]):
        report.write_text("<html>")
    exported(run)
    with zipfile.ZipFile("out.zip") as archive:
        assert json.loads(archive.read("configuration.json")) == {"run": "mine", "seed": 7}


def test_a_changed_file_is_refused_or_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "jets/metrics.json").write_text("changed")
    with pytest.raises(InputError, match=r"jets/metrics\.json: changed since jets\.measure"):
        exported(run)
    entities, names = exported(run, "--force")
    assert "metrics.json: changed since jets.measure" in capsys.readouterr().out
    assert "metrics.json: changed since jets.measure" in entities["./"]["description"]
    assert "results/mine/jets/metrics.json" not in names
    digest = hashlib.sha256(b"{}").hexdigest()
    assert entities["#results/mine/jets/metrics.json"]["sha256"] == digest


@pytest.mark.parametrize("content", ["{", '{"sample": "data", "part": "0000", "files": 3}', "[]"])
def test_a_damaged_manifest_is_named_and_its_files_are_not_followed(
    run: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (run / "ntuples/data/0000.json").write_text(content)
    with pytest.raises(InputError, match=r"0000\.json: changed since ntuples\.ingest"):
        exported(run)
    entities, _ = exported(run, "--force")
    assert "0000.json: changed since ntuples.ingest" in capsys.readouterr().out
    assert "#my%20data.root" not in entities


def test_a_manifest_that_was_written_wrong_ends_the_export(run: Path) -> None:
    manifest = run / "ntuples/data/0000.json"
    with Record("ntuples.ingest", {"seed": 7}, [], [manifest]):
        manifest.write_text('{"sample": "data", "part": "0000", "files": [{}]}')
    with pytest.raises(InputError, match=r"0000\.json: files\[0\]: incomplete part manifest"):
        exported(run, "--force")


def test_each_file_is_read_once_for_its_checksum(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    digest = hashlib.file_digest

    def counted(stream: Any, name: str) -> Any:
        read.append(stream.name)
        return digest(stream, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    _, names = exported(run, "--with-data", "all")
    results = [name for name in names if name.startswith(f"{run}/") and name[-1] != "/"]
    packed = [name for name in results if not name.endswith(".provenance.json")]
    assert len(packed) == 6
    assert sorted(set(read)) == sorted(read) and set(packed) <= set(read)


def test_a_version_that_was_made_again_is_another_file(run: Path) -> None:
    with Record("ntuples.ingest", {}, [], [run / "ntuples/data/0000.json"]):
        (run / "ntuples/data/0000.json").write_text("{}")
    entities, _ = exported(run, "--force")
    (old,) = (name for name in entities if name.startswith("#results/mine/ntuples/data/0000.json@"))
    assert old in pointed(entities["#job/results/mine/jets/data/0000.parquet"]["object"])


def test_nobody_is_named_unless_the_user_says_so(run: Path) -> None:
    entities, _ = exported(run)
    assert "Person" not in {str(one["@type"]) for one in entities.values()}
    assert entities["./"]["license"] == {"@id": "#licence-not-stated"}
    licence, person = "https://spdx.org/licenses/CC-BY-4.0", "https://orcid.org/0000-0002-1825-0097"
    named = ("--agent-name", "Josiah Carberry", "--agent-orcid", "0000-0002-1825-0097")
    entities, _ = exported(run, *named, "--license", licence, "--name", "My run")
    assert entities[person]["name"] == "Josiah Carberry"
    assert all(job["agent"] == {"@id": person} for job in jobs(entities).values())
    assert entities["./"]["license"] == {"@id": licence}
    assert entities["./"]["name"] == "My run"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--agent-name", "A", "--agent-orcid", "0000-0002-1825-0098"], "not an ORCID iD"),
        (["--agent-name", "A", "--agent-orcid", "Carberry"], "not an ORCID iD"),
        (["--agent-orcid", "0000-0002-1825-0097"], "say the name, too"),
        (["--license", "CC-BY"], "give its URL"),
        (["--configfile", "none.yaml"], "none.yaml: no such configuration file"),
    ],
)
def test_wrong_words_are_named(run: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        crate.main([str(run), *arguments])


def test_what_is_no_run_or_no_workflow_is_named(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="no such folder"):
        crate.main(["results/other"])
    record = provenance_of(run / "jets/metrics.json")
    content = json.loads(record.read_text())
    del content["platform"]
    record.write_text(json.dumps(content))
    with pytest.raises(InputError, match="lacks 'platform': an older version wrote it"):
        crate.main([str(run)])
    monkeypatch.setattr("fullchain.dag.crate_workflow.PACKAGE_FOLDER", tmp_path / "a/b")
    Path("Snakefile").unlink()
    with pytest.raises(InputError, match="no Snakefile there"):
        read_workflow(Path(), [])


def test_the_authors_and_the_address_are_those_of_the_citation(run: Path) -> None:
    Path("CITATION.cff").write_text(
        "authors:\n  - {given-names: Ada, family-names: Lovelace}\n  - name: Others\n"
        "repository-code: https://code.example/fullchain\n"
    )
    entities, _ = exported(run)
    assert entities["#developers"]["name"] == "Ada Lovelace; Others"
    tools = [one for one in entities.values() if str(one.get("name")).startswith("fullchain jets")]
    assert len(tools) == 3
    assert all(one["@id"].startswith("https://code.example/fullchain#") for one in tools)


def test_rocrate_reads_it_back(run: Path) -> None:
    from rocrate.rocrate import ROCrate

    exported(run)
    read = ROCrate("out.zip")
    assert read.mainEntity.id == "Snakefile"
    assert len(read.get_by_type("CreateAction")) == 5
    (root,) = (one for one in read.get_by_type("File") if one.id == "#my%20data.root")
    assert root["sha256"] == hashlib.sha256(b"root").hexdigest()


Validate = Callable[..., tuple[bool, list[list[str]]]]


@pytest.mark.slow
def test_the_public_validator_accepts_it(run: Path, validate: Validate) -> None:
    exported(run, "--with-data", "all")
    assert validate("out.zip") == (True, [])
    _, wishes = validate("out.zip", "RECOMMENDED")
    # What is not known is not made up: who ran it, an address of the project. XRootD is not asked.
    assert {wish[2] for wish in wishes} == {
        "The Action SHOULD have an agent that is a Person or Organization",
        "The SoftwareApplication id SHOULD be an absolute URI",
        "The Application SHOULD have a url",
        "The organization SHOULD have a URL.",
        "The Root Data Entity SHOULD have a link to a Contextual Entity representing the `author` "
        "of the RO-Crate",
        "The `publisher` property of a `Root Data Entity` SHOULD be an `Organization`",
        "Web-based Data Entity root://eos.example//a.root uses scheme 'root' which is not natively "
        "supported by the validator; availability could not be verified",
    }


@pytest.mark.slow
def test_the_public_validator_sees_what_is_missing(run: Path, validate: Validate) -> None:
    crate.main([str(run), "--to", "out"])
    metadata = Path("out/ro-crate-metadata.json")
    content = json.loads(metadata.read_text())
    name = "#job/results/mine/jets/metrics.json"
    (action,) = (one for one in content["@graph"] if one["@id"] == name)
    del action["instrument"]
    metadata.write_text(json.dumps(content))
    (Path("out") / run / "jets/figures/mass.pdf").unlink()
    passed, findings = validate("out")
    assert not passed
    assert any("MUST have an instrument" in finding[2] for finding in findings)
    assert any("mass.pdf" in finding[2] for finding in findings)
