"""Swagger UI and the gateway's other pages."""

import re

import pytest

from gateway.docs import FOLDER
from tests.gateway.conftest import Running

ASSETS = ("init.js", "swagger-ui-bundle.js", "swagger-ui.css", "favicon.png")


def test_the_root_leads_to_the_docs(gateway: Running) -> None:
    answer = gateway.call("GET", "/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")


def test_the_page_runs_no_inline_script(gateway: Running) -> None:
    answer = gateway.call("GET", "/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert re.findall(r"<script(?![^>]* src=)", answer.text) == []
    assert re.findall(r"\son\w+=|style=|https?://", answer.text) == []


@pytest.mark.parametrize("name", ASSETS)
def test_all_it_needs_comes_from_us(gateway: Running, name: str) -> None:
    assert f"/docs/{name}" in gateway.call("GET", "/docs").text
    answer = gateway.call("GET", f"/docs/{name}")
    assert answer.content == (FOLDER / name).read_bytes()
    again = gateway.call("GET", f"/docs/{name}", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_the_licence_comes_with_it() -> None:
    assert "Apache License" in (FOLDER / "LICENSE").read_text()
    assert "5.35.0" in (FOLDER / "README.md").read_text()


def test_the_key_is_not_kept() -> None:
    assert "persistAuthorization: false" in (FOLDER / "init.js").read_text()


def test_health(gateway: Running) -> None:
    for path, status in (("/livez", "alive"), ("/readyz", "ready")):
        answer = gateway.call("GET", path)
        assert (answer.status_code, answer.json()) == (200, {"status": status})
        assert gateway.call("HEAD", path).content == b""
