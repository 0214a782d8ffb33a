"""The listing of a HEPData submission, submission.yaml: which files belong to it."""

from pathlib import Path

import yaml

from fullchain.errors import InputError

SUBMISSION = "submission.yaml"


def referenced(folder: Path) -> set[str]:
    """Names of the files that belong to the submission in a folder; none where there is none.

    Raises InputError where its submission.yaml is none of ours.
    """
    place = folder / SUBMISSION
    if not place.is_file():
        return set()
    try:
        documents = list(yaml.safe_load_all(place.read_text(encoding="utf-8")))
        names = {str(one["data_file"]) for one in documents if "data_file" in one}
        for one in documents:
            names |= {str(found["location"]) for found in one.get("additional_resources", [])}
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as problem:
        raise InputError(f"{place}: not a submission ({problem}); remove it") from None
    return {SUBMISSION, *(name for name in names if "/" not in name)}
