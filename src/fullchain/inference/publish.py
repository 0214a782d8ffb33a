"""Write the HEPData submission of an analysis: regions, fit, limits, and the full likelihood."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from fullchain.checksums import checksum
from fullchain.errors import InputError
from fullchain.hepdata_submission import Submission, check_name, write
from fullchain.inference.collected import Collected, collect
from fullchain.inference.hepdata_record import documents
from fullchain.inference.likelihood import load_model
from fullchain.inference.presentation_settings import PublicationSettings
from fullchain.step import Given, Input, Option, Output

NOT_A_MEASUREMENT = {
    "pseudo": "The data are drawn from the model (pseudo-data): this is a test of the method and "
    "no measurement.",
    "asimov": "The data are the expectation itself (Asimov data): these are expected results.",
}

LIKELIHOOD = "HistFactory"
"""Type by which HEPData and its readers find likelihoods."""


def main(
    *,
    fit: Annotated[Path, Input("fit.json of the analysis, in a folder of its name")],
    workspace: Annotated[Path, Input("its pyhf workspace")],
    model: Annotated[Path, Input("what the workspace was built from")],
    patchset: Annotated[list[Path], Input("its pyhf patchset, if it has one")] = [],  # noqa: B006
    impacts: Annotated[list[Path], Input("its impacts.json, if it has one")] = [],  # noqa: B006
    limits: Annotated[list[Path], Input("its limits.json, if it has one")] = [],  # noqa: B006
    analysis: Annotated[str, Option("name of the analysis")],
    submission: Annotated[Path, Output("archive for upload to HEPData, tar.gz")],
    listing: Annotated[Path, Output("submission.yaml of the same as a folder")],
    settings: Given,
) -> None:
    """Read the results, write and validate the submission.

    Raises
    ------
    InputError
        A file is unusable or of another analysis, or HEPData would refuse the tables.
    """
    check_name(listing)
    chosen = settings.model(f"inference.publication.{analysis}", PublicationSettings)
    (one,) = collect(
        fit=[fit], workspace=[workspace], model=[model], impacts=impacts, limits=limits
    )
    if one.name != analysis:
        raise InputError(f"{fit}: of the analysis {one.name!r}, not of {analysis!r}")
    _check_likelihood(one, workspace)
    resources, attached = _likelihood([workspace, *patchset])
    whole = Submission(
        _comment(one, chosen),
        {
            "reactions": list(chosen.reactions),
            "observables": list(chosen.observables),
            "cmenergies": [chosen.energy],
            "phrases": list(chosen.phrases),
        },
        {"name": chosen.licence.name, "url": chosen.licence.url},
        documents(one, chosen),
        resources,
        attached,
    )
    write(whole.files(), listing, submission, analysis)


def _check_likelihood(one: Collected, path: Path) -> None:
    """Check that the likelihood is that of the fit."""
    found, _ = load_model(one.workspace)
    fitted = [row["name"] for row in one.result["parameters"]]
    if sorted(fitted) != sorted(found.config.par_names):
        raise InputError(f"{path}: its parameters are not those of the fit; fit again")


def _likelihood(
    paths: Sequence[Path],
) -> tuple[tuple[dict[str, str], ...], dict[str, bytes]]:
    resources, attached = [], {}
    for path in paths:
        what = (
            "Full likelihood of the first hypothesis, HistFactory workspace for pyhf"
            if path is paths[0]
            else "Patches of the workspace for all other hypotheses, pyhf patchset"
        )
        attached[path.name] = path.read_bytes()
        resources.append(
            {
                "location": path.name,
                "description": f"{what}, JSON; SHA-256 {checksum(path)}",
                "type": LIKELIHOOD,
            }
        )
    return tuple(resources), attached


def _comment(one: Collected, chosen: PublicationSettings) -> str:
    parts = [f"{chosen.title}. {chosen.abstract}"]
    kind = "asimov" if one.blind else str(one.fit.get("data_kind"))
    if kind in NOT_A_MEASUREMENT:
        parts.append(NOT_A_MEASUREMENT[kind])
    parts.append(
        f"Analysis {one.name!r}. The likelihood is attached as a workspace for pyhf (HistFactory)."
    )
    return " ".join(parts)
