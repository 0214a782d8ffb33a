"""Numbers of the judgement of showers for the metrics and tables of the stage."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fullchain.calorimetry import evaluation_physics_numbers
from fullchain.calorimetry import published_evaluation as published
from fullchain.calorimetry.geometry import Geometry, parse
from fullchain.calorimetry.published_models import KIND, beside, note
from fullchain.metrics import Metric
from fullchain.stage_tables import Cell, Number, Table

Content = Mapping[str, Any]

WORDS = {
    "E_tot": "E_tot / E_inc",
    "E_layer": "energy of layers",
    "EC_eta": "centres in eta",
    "EC_phi": "centres in phi",
    "EC_r": "mean radii",
    "width_eta": "widths in eta",
    "width_phi": "widths in phi",
    "width_r": "widths in radius",
    "sparsity": "sparsity",
    "voxels": "voxel energies",
}

SHOWN = ("E_tot", "E_layer", "EC_eta", "EC_r", "width_eta", "width_r", "sparsity", "voxels")
"""Separations in the table, where the geometry has them."""

NEAR = ("precision", "recall", "density", "coverage")


def geometry_of(content: Content) -> Geometry:
    """Give the geometry that a content was made with."""
    return parse(content["geometry"], f"evaluation of {content['name']}")


def by_set(contents: Sequence[Content]) -> dict[str, list[Content]]:
    """Contents of each set of showers, the references first."""
    found: dict[str, list[Content]] = {}
    for content in contents:
        found.setdefault(content["set"], []).append(content)
    return {
        name: sorted(some, key=lambda one: one["role"] != "reference")
        for name, some in found.items()
    }


def key_of(content: Content) -> str:
    """Beginning of the names of metrics: references of several sets may have one name."""
    if content["role"] == "reference":
        return f"evaluation.{content['set']}.reference"
    return f"evaluation.{content['name']}"


def words_of(content: Content) -> str:
    """What is compared with the test showers."""
    if content["role"] == "reference":
        return f"{content['set']}, full simulation against itself"
    return str(content["name"])


def metrics(contents: Sequence[Content]) -> list[Metric]:
    """Give the metrics."""
    found: list[Metric] = []
    for content in contents:
        found += _separations(content)
        found += _distances(content)
        found += _response(content)
        found += evaluation_physics_numbers.metrics(content, key_of(content), words_of(content))
        found += _energies(content)
    return found


def _separations(content: Content) -> Iterator[Metric]:
    voxels = geometry_of(content).voxels
    model = beside(content["role"], voxels)
    known = published.separations(voxels).get(model, {})
    for kind, entry in content["means"].items():
        value = known.get(kind)
        text = f"expected of equal distributions {entry['expected']:.2g}"
        if value is not None:
            text += f"; {model}: {note(content.get(KIND), voxels)}"
        yield Metric(
            f"{key_of(content)}.separation.{kind}", entry["value"], entry["error"], "bootstrap",
            f"{words_of(content)}: separation, {WORDS.get(kind, kind)}", note=text,
            **published.fields(value),
        )  # fmt: skip


def _distances(content: Content) -> Iterator[Metric]:
    key, words, found = key_of(content), words_of(content), content["distances"]
    voxels = geometry_of(content).voxels
    model = beside(content["role"], voxels)
    value = published.fpd(voxels).get(model)
    yield Metric(
        f"{key}.fpd", found["fpd"]["value"], found["fpd"]["error"], "fit and jackknife",
        f"{words}: FPD, extrapolated",
        note=None if value is None else f"{model}: {note(content.get(KIND), voxels)}",
        **published.fields(value),
    )  # fmt: skip
    yield Metric(
        f"{key}.fpd_subsampled", found["fpd_subsampled"]["value"],
        found["fpd_subsampled"]["error"], "fit and jackknife",
        f"{words}: FPD from samples without replacement",
        note="0 on average for equal distributions",
    )  # fmt: skip
    yield Metric(
        f"{key}.kpd", found["kpd"]["value"], found["kpd"]["error"], "separate batches",
        f"{words}: KPD", note="0 on average for equal distributions",
    )  # fmt: skip
    size = content["settings"]["coverage_size"]
    for name in NEAR:
        yield Metric(
            f"{key}.{name}", found[name]["value"], found[name]["error"], "separate subsamples",
            f"{words}: {name}",
            note=f"{content['settings']['neighbours']} neighbours, {size} showers at most",
        )  # fmt: skip


def _response(content: Content) -> Iterator[Metric]:
    key, words = key_of(content), words_of(content)
    bias, error = content["response"]["bias"]
    yield Metric(
        f"{key}.response_bias", 100 * bias, 100 * error, "bootstrap",
        f"{words}: mean of E_tot / E_inc, relative to the full simulation", unit="%",
    )  # fmt: skip
    difference = content["correlations"]["difference"]
    if difference is not None:
        yield Metric(
            f"{key}.correlations", difference["value"], difference["error"], "bootstrap",
            f"{words}: root mean square difference of correlations between layers",
            note=f"expected of equal distributions {difference['expected']:.2g}",
        )  # fmt: skip


def _energies(content: Content) -> Iterator[Metric]:
    for one in content["energies"]["neighbours"]:
        for kind, pair in one["separations"].items():
            (own, spread), (value, error) = pair["own"], pair["neighbours"]
            yield Metric(
                f"{key_of(content)}.energy_{one['energy']:.0f}.{kind}", own, spread, "bootstrap",
                f"{words_of(content)}: separation at {energy_text(one['energy'])}, {one['kind']}, "
                f"{WORDS.get(kind, kind)}",
                note=f"nearest trained energies {value:.2g} +- {error:.1g}",
            )  # fmt: skip


def energy_text(energy: float) -> str:
    """Give an energy [MeV] with its unit.

    Examples
    --------
    >>> energy_text(256.0), energy_text(16384.0), energy_text(4194304.0)
    ('256 MeV', '16.4 GeV', '4.19 TeV')
    """
    for unit, size in (("TeV", 1e6), ("GeV", 1e3)):
        if energy >= size:
            return f"{energy / size:.3g} {unit}"
    return f"{energy:.3g} MeV"


def tables(contents: Sequence[Content]) -> list[Table]:
    """Give the tables of each set: separations, distances, physics, energies not trained."""
    found = []
    for name, some in by_set(contents).items():
        found += [_table_of_separations(name, some), _table_of_distances(name, some)]
        physics = evaluation_physics_numbers.table(name, some, list(map(words_of, some)))
        if physics is not None:
            found.append(physics)
        rows = list(_rows_of_energies(some))
        if rows:
            found.append(_table_of_energies(name, rows))
    return found


def _shown(contents: Sequence[Content]) -> list[str]:
    return [kind for kind in SHOWN if all(kind in one["means"] for one in contents)]


def _published_statement(content: Content) -> str:
    voxels = geometry_of(content).voxels
    if not published.fpd(voxels):
        return ""
    return (
        f" Rows with a source in brackets are published ({published.SOURCE}) "
        f"{note(content.get(KIND), voxels)}."
    )


def _table_of_separations(name: str, contents: Sequence[Content]) -> Table:
    kinds = _shown(contents)
    voxels = geometry_of(contents[0]).voxels
    rows: list[list[Cell]] = []
    for one in contents:
        entries = [one["means"][kind] for kind in kinds]
        rows.append([words_of(one), *(_thousandfold(entry) for entry in entries)])
    first = contents[0]["means"]
    rows.append(
        [
            "expected of equal distributions",
            *(Number(1e3 * first[kind]["expected"], None, 2) for kind in kinds),
        ]
    )
    for model, known in published.separations(voxels).items():
        cells = [Number(1e3 * known[kind], None, 2) if kind in known else None for kind in kinds]
        rows.append([f"{model} (CaloChallenge)", *cells])
    return Table(
        f"evaluation_separations_{name}",
        f"Separations of generated and simulated showers, {name}",
        f"Separations x 1000 from {contents[-1]['showers'][1]} test showers, of layers the mean; "
        "errors by bootstrap. Full simulation against itself is the floor."
        + _published_statement(contents[0]),
        ["showers", *(WORDS[kind] for kind in kinds)],
        rows,
        list(range(len(contents))),
    )


def _thousandfold(entry: Mapping[str, float]) -> Number:
    return Number(1e3 * entry["value"], 1e3 * entry["error"])


def _table_of_distances(name: str, contents: Sequence[Content]) -> Table:
    voxels = geometry_of(contents[0]).voxels
    rows: list[list[Cell]] = []
    for one in contents:
        found = one["distances"]
        bias, error = one["response"]["bias"]
        rows.append(
            [
                words_of(one),
                *(_thousandfold(found[key]) for key in ("fpd", "fpd_subsampled", "kpd")),
                *(Number(found[key]["value"], found[key]["error"]) for key in NEAR),
                Number(100 * bias, 100 * error),
            ]
        )
    for model, value in published.fpd(voxels).items():
        cell = Number(1e3 * value, None, 2)
        rows.append([f"{model} (CaloChallenge)", cell, *([None] * 7)])
    return Table(
        f"evaluation_distances_{name}",
        f"Distances of generated and simulated showers, {name}",
        f"On {contents[0]['distances']['features']} high-level features: FPD and KPD x 1000 (FPD "
        "as in the challenge, which keeps what the finite samples add, and from samples without "
        "replacement, which does not), precision, recall, density and coverage, and the relative "
        "bias of the mean of E_tot / E_inc." + _published_statement(contents[0]),
        ["showers", "FPD", "FPD, subsampled", "KPD", *NEAR, "bias of the response [%]"],
        rows,
        list(range(len(contents))),
    )


def _rows_of_energies(contents: Sequence[Content]) -> Iterator[list[Cell]]:
    for content in contents:
        biases = {one["energy"]: one["response"]["bias"] for one in content["energies"]["groups"]}
        for one in content["energies"]["neighbours"]:
            bias, error = biases[one["energy"]]
            cells: list[Cell] = [words_of(content), energy_text(one["energy"]), one["kind"]]
            for kind in ("E_tot", "E_layer", "EC_r"):
                pair = one["separations"][kind]
                cells += [
                    Number(1e3 * value, 1e3 * spread)
                    for value, spread in (pair["own"], pair["neighbours"])
                ]
            yield [*cells, Number(100 * bias, 100 * error)]


def _table_of_energies(name: str, rows: Sequence[Sequence[Cell]]) -> Table:
    return Table(
        f"evaluation_energies_{name}",
        f"Energies that were not trained, {name}",
        "Separations x 1000 at energies that were left out of training or lie beyond it, and the "
        "mean of those at the nearest trained energies (near), with the same numbers of showers "
        "and bins of each energy; errors by bootstrap.",
        ["model", "energy", "kind", "E_tot", "near", "E_layer", "near", "mean radii", "near",
         "bias of the response [%]"],
        rows,
    )  # fmt: skip
