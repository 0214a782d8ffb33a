"""Validate a crate with roc-validator, write its findings as JSON; run by the tools' Python.

Without the network the validator takes JSON-LD contexts from a cache. It is filled here from
`ro_crate_contexts.json`: those terms of the published contexts of RO-Crate 1.1 (CC0) and of
Workflow Run RO-Crate that `fullchain crate` writes, so that any other term is found, too.
"""

import io
import json
import sys
from pathlib import Path

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests_cache import CachedSession
from rocrate_validator import models, services
from urllib3 import HTTPResponse

CONTEXTS = json.loads(Path(__file__).with_name("ro_crate_contexts.json").read_text())


class Shelf(BaseAdapter):
    """Answers requests of the contexts, and no others."""

    def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:
        body = json.dumps(CONTEXTS[request.url]).encode()
        headers = {"Content-Type": "application/ld+json"}
        answer = HTTPResponse(io.BytesIO(body), headers, status=200, preload_content=False)
        return HTTPAdapter().build_response(request, answer)

    def close(self) -> None:
        pass


def main(crate: str, severity: str, cache: str, target: str) -> None:
    session = CachedSession(cache_name=cache, backend="sqlite", expire_after=-1)
    session.mount("https://", Shelf())
    for address in CONTEXTS:
        session.get(address, headers={"Accept": "application/ld+json, application/json"})
    result = services.validate(
        services.ValidationSettings(
            rocrate_uri=crate,
            profile_identifier="provenance-run-crate",
            requirement_severity=models.Severity[severity],
            offline=True,
            cache_path=cache,
        )
    )
    findings = [
        [issue.severity.name, issue.check.identifier, issue.message, str(issue.violatingEntity)]
        for issue in result.get_issues()
    ]
    # The validator prints warnings of its own.
    Path(target).write_text(json.dumps({"passed": result.passed(), "findings": findings}))


main(*sys.argv[1:])
