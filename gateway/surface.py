"""What the services offer, read from themselves, and whether it is exactly what the rows declare."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp

from gateway.errors import MissingOperation, ServiceSilent, UndeclaredOperation
from gateway.routes import Route
from shared import identity
from shared.identity import Signer
from shared.principal import Principal
from shared.upstream import fetch

METHODS = ("get", "put", "post", "delete", "patch", "options", "head", "trace")
PATIENCE = 60.0
PAUSE = 0.5
SELF = Principal(role="service", name=identity.GATEWAY)
Document = dict[str, Any]


@dataclass(frozen=True)
class Service:
    """A service behind the door."""

    name: str
    url: str
    app: ASGIApp


async def read_surface(services: Iterable[Service], signer: Signer) -> dict[str, Document]:
    """Each service's OpenAPI document by its name; one that is still starting is waited for, up to a minute.

    Raises ServiceSilent.
    """
    services = tuple(services)
    documents = await asyncio.gather(*(_read(service, signer) for service in services))
    return {service.name: document for service, document in zip(services, documents, strict=True)}


async def _read(service: Service, signer: Signer) -> Document:
    deadline = time.monotonic() + PATIENCE
    while True:
        headers = {identity.HEADER: signer.token(SELF, service.name)}
        answer = await fetch(service.app, "GET", "/openapi.json", headers=headers)
        if answer.status == 200:
            document: Document = answer.json()
            return document
        if answer.status != 503 or time.monotonic() > deadline:
            raise ServiceSilent(service.name, service.url, answer.status)
        await asyncio.sleep(PAUSE)


def check_surface(routes: Iterable[Route], documents: Mapping[str, Document]) -> None:
    """Closed by default: every public operation has a row, and every row leads to an operation.

    Raises UndeclaredOperation, MissingOperation.
    """
    routes = tuple(routes)
    declared = {(route.service, route.method, route.path) for route in routes}
    offered = {(name, *operation) for name, document in documents.items() for operation in _public(document)}
    for operation in sorted(offered - declared):
        raise UndeclaredOperation(*operation)
    for route in routes:
        if (route.service, route.method, route.path) not in offered:
            raise MissingOperation(route)


def _public(document: Document) -> Iterable[tuple[str, str]]:
    for path, item in document["paths"].items():
        if not path.startswith("/internal/"):
            yield from ((method.upper(), path) for method in METHODS if method in item)
