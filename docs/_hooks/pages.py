"""Pages that are made when the documentation is built: settings, contributing, changelog, order."""

import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from settings_page import settings_page  # noqa: E402

from fullchain.settings import Settings  # noqa: E402

PROJECT = HERE.parents[1]
FROM_PROJECT = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}


def stage_pages(folder: Path) -> list[dict[str, str]]:
    """Pages in the order of the data flow, `<stage>_*` behind `<stage>`; others follow."""
    flow = [name for name in Settings.model_fields if name not in ("run", "seed")]
    names = sorted(path.stem for path in (folder / "stages").glob("*.md"))
    stages = {name: name.split("_")[0] for name in names}
    names.sort(key=lambda name: flow.index(stages[name]) if stages[name] in flow else len(flow))
    return [{name: f"stages/{name}.md"} for name in names]


def benchmark_pages(folder: Path) -> list[dict[str, str]]:
    """Pages with the numbers of the last benchmark run, where there are any."""
    return [
        {path.stem: f"benchmarks/{path.name}"}
        for path in sorted((folder / "benchmarks").glob("*.md"))
    ]


def batch_pages() -> list[str | dict[str, str]]:
    """What holds for all batch systems, each system, each site."""
    return [
        "batch/index.md",
        {"SLURM": "batch/slurm.md"},
        {"HTCondor": "batch/htcondor.md"},
        {"Kubernetes": "batch/kubernetes.md"},
        {"CERN": "batch/cern.md"},
        {"DESY": "batch/desy.md"},
        {"Another SLURM site": "batch/slurm-site.md"},
    ]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Set the order of the pages."""
    folder = Path(config.docs_dir)
    config.nav = [
        {"What it is": "index.md"},
        {"A tour": "tour.md"},
        {"One's own data": "own-data.md"},
        {"Files on other machines": "remote.md"},
        {"Batch systems": batch_pages()},
        {"Dask": "dask.md"},
        {"Shared cache": "cache.md"},
        {"When things go wrong": "faults.md"},
        {"Provenance": "provenance.md"},
        {"Security": "security.md"},
        {"Settings": "settings.md"},
        {"Architecture": "architecture.md"},
        {"Stages": stage_pages(folder)},
    ]
    if pages := benchmark_pages(folder):
        config.nav.append({"Benchmarks": pages})
    config.nav += [{"Contributing": "contributing.md"}, {"Changelog": "changelog.md"}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that do not lie in docs/."""
    files.append(File.generated(config, "settings.md", content=settings_page()))
    for name, source in FROM_PROJECT.items():
        text = (PROJECT / source).read_text(encoding="utf-8").replace("](docs/", "](")
        for other, place in FROM_PROJECT.items():
            text = text.replace(f"]({place})", f"]({other})")
        files.append(File.generated(config, name, content=text))
    return files
