"""A HEPData submission: its files as bytes, its validation, and its archive.

Files are written here and not with `hepdata_lib`, which would bring no more than the classes around
these mappings, and puts the time of writing into its archives: equal numbers give equal bytes here.
"""

import gzip
import io
import json
import tarfile
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from fullchain import further_outputs
from fullchain.atomic import atomic
from fullchain.errors import InputError
from fullchain.hepdata_listing import SUBMISSION, referenced

LONGEST_NAME = 64


@dataclass(frozen=True)
class Document:
    """A table of a submission.

    Parameters
    ----------
    name
        Of the table, up to 64 characters.
    description
        What it shows.
    table
        Independent and dependent variables.
    """

    name: str
    description: str
    table: Mapping[str, Any]

    @property
    def file(self) -> str:
        """Name of its file."""
        return "".join(c if c.isalnum() or c in "-." else "_" for c in self.name) + ".yaml"


@dataclass(frozen=True)
class Submission:
    """All tables, what is said of all of them, and files beside them.

    Parameters
    ----------
    comment
        Of the whole record.
    keywords
        Values by name: cmenergies [GeV], observables, reactions, phrases.
    licence
        `name` and `url`.
    tables
        In their order.
    resources
        Additional resources: `location`, `description`, `type`.
    attached
        Content of the resources whose location is a file of the submission.
    """

    comment: str
    keywords: Mapping[str, list[Any]]
    licence: Mapping[str, str]
    tables: tuple[Document, ...]
    resources: tuple[Mapping[str, str], ...] = ()
    attached: Mapping[str, bytes] = field(default_factory=dict)

    def files(self) -> dict[str, bytes]:
        """Give the content of all files by name."""
        documents: list[dict[str, Any]] = [{"comment": self.comment}]
        if self.resources:
            documents[0]["additional_resources"] = [dict(one) for one in self.resources]
        content: dict[str, bytes] = {}
        for one in self.tables:
            if len(one.name) > LONGEST_NAME or one.file in content:
                raise InputError(
                    f"HEPData: the name of the table {one.name!r} is longer than {LONGEST_NAME} "
                    "characters, or that of another table; give the observable another name"
                )
            documents.append(
                {
                    "name": one.name,
                    "description": one.description,
                    "keywords": [
                        {"name": name, "values": list(values)}
                        for name, values in self.keywords.items()
                        if values
                    ],
                    "data_file": one.file,
                    "data_license": dict(self.licence),
                }
            )
            content[one.file] = _lines(one.table).encode()
        text = yaml.safe_dump_all(
            documents, sort_keys=False, allow_unicode=True, width=100, explicit_start=True
        )
        return {SUBMISSION: text.encode(), **content, **self.attached}


def validate(files: Mapping[str, bytes]) -> None:
    """Check the files of a submission against the schemas of `hepdata-validator`, offline.

    Raises InputError with what the validator says of each file.
    """
    # It imports what jsonschema has marked for removal, and warns of it with every import.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from hepdata_validator.full_submission_validator import FullSubmissionValidator

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        # It would fetch the schemas that a table names, of which ours name none.
        validator = FullSubmissionValidator(autoload_remote_schemas=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            valid = validator.validate(directory=str(folder))
        messages = [
            f"{Path(file).name}: {message.message.replace(name, '')}"
            for file, several in validator.get_messages().items()
            for message in several
        ]
    if not valid:
        raise InputError("HEPData would refuse the submission: " + "; ".join(messages))


def write(files: Mapping[str, bytes], listing: Path, submission: Path, name: str) -> None:
    """Validate a submission, and write it as a folder and as an archive.

    Files of an earlier submission in the folder do not stay.

    Parameters
    ----------
    files
        Content by name, of `Submission.files`.
    listing
        The submission.yaml of the folder.
    submission
        The archive, tar.gz.
    name
        Folder inside the archive.

    Raises
    ------
    InputError
        HEPData would refuse the submission, or want another name of the listing.
    """
    check_name(listing)
    validate(files)
    folder = listing.parent
    for stale in referenced(folder) - set(files):
        (folder / stale).unlink(missing_ok=True)
    for file, content in files.items():
        with atomic(folder / file) as temporary:
            temporary.write_bytes(content)
        further_outputs.tell(folder / file)
    with atomic(submission) as temporary:
        temporary.write_bytes(archive(files, name))


def check_name(listing: Path) -> None:
    """Raise InputError where the listing has not the name that HEPData wants."""
    if listing.name != SUBMISSION:
        raise InputError(f"{listing}: HEPData wants this file to be called {SUBMISSION}")


def archive(files: Mapping[str, bytes], folder: str) -> bytes:
    """Give a tar.gz of the files in a folder, without times, owners or any other trace."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mode = len(files[name]), 0o644
            tar.addfile(entry, io.BytesIO(files[name]))
    return gzip.compress(packed.getvalue(), compresslevel=9, mtime=0)


def _lines(table: Mapping[str, Any]) -> str:
    """Write a table as YAML, with a line for each value: as short as HEPData's own examples."""
    lines = []
    for kind in ("independent_variables", "dependent_variables"):
        lines.append(f"{kind}:")
        for variable in table[kind]:
            lines.append(f"- header: {_flow(variable['header'])}")
            if variable.get("qualifiers"):
                lines.append("  qualifiers:")
                lines += [f"  - {_flow(one)}" for one in variable["qualifiers"]]
            lines.append("  values:")
            lines += [f"  - {_flow(one)}" for one in variable["values"]]
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    """Write a value as YAML 1.1 in one line; a string as in JSON, which YAML reads."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(one) for one in value) + "]"
    if isinstance(value, float):
        mantissa, mark, exponent = repr(value).partition("e")
        # Without a point YAML 1.1 takes 1e-05 for a string.
        return f"{mantissa}{'' if '.' in mantissa else '.0'}{mark}{exponent}"
    return json.dumps(value)
