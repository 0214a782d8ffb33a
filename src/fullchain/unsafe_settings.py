"""Settings that would write elsewhere, or tell a secret.

Names of samples, taggers, models and so on become names of files and folders, of columns and of
wildcards; so none may leave its folder. The whole configuration is written into the report and
into the record of every result, which are shared; so none of it may be a password.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fullchain.errors import InputError

NAME = re.compile(r"[A-Za-z0-9_]+")
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?")

SECRET_PARAMETERS = (
    "access_token",
    "api_key",
    "apikey",
    "authz",
    "password",
    "secret",
    "sig",
    "signature",
    "token",
    "x-amz-credential",
    "x-amz-security-token",
    "x-amz-signature",
)
"""Parameters of URLs that let whoever has the URL read what it names."""


def check(values: Mapping[str, Any], where: str) -> None:
    """Check the keys and texts of a configuration.

    Parameters
    ----------
    values
        Nested mapping, as it was read.
    where
        Name of the file, for the message.

    Raises
    ------
    InputError
        Names each setting at fault with its full path; a secret is not repeated.
    """
    problems = list(_problems(values, ""))
    if problems:
        raise InputError(f"{where}:\n" + "\n".join(f"  {line}" for line in problems))


def _problems(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, entry in value.items():
            below = f"{path}.{key}" if path else str(key)
            if isinstance(key, str) and not (NAME.fullmatch(key) or NUMBER.fullmatch(key)):
                yield (
                    f"{below}: the key {key!r} is no name; a name consists of letters, digits and "
                    "underscores, since files and folders are called so"
                )
            yield from _problems(entry, below)
    elif isinstance(value, list | tuple):
        for number, entry in enumerate(value):
            yield from _problems(entry, f"{path}[{number}]")
    elif isinstance(value, str) and "://" in value:
        found = _secret(value)
        if found:
            yield (
                f"{path}: the URL holds {found}, and the configuration is written into reports "
                "and records; take a proxy certificate, a token file or ~/.netrc instead"
            )


def _secret(url: str) -> str:
    """Say what secret a URL holds; empty for none."""
    try:
        parts = urlsplit(url)
        if parts.password is not None:
            return "a password"
        parameters = parse_qsl(parts.query)
    except ValueError:
        return ""
    for name, _ in parameters:
        if name.lower() in SECRET_PARAMETERS:
            return f"the secret parameter {name!r}"
    return ""
