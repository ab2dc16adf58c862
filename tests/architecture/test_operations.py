"""What holds for every operation of every service, those to come included."""

from collections.abc import Iterator

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from gateway.keys.module import module as keys
from services.catalog.module import module as catalog
from services.entitlements.module import module as entitlements
from services.pricing.module import module as pricing
from shared import application

POSTS = [
    route
    for module in (keys, catalog, entitlements, pricing)
    for router in module.controllers
    for route in router.routes
    if isinstance(route, APIRoute) and "POST" in (route.methods or ()) and route.path.startswith("/v1/")
]


def needs(dependant: Dependant) -> Iterator[object]:
    """All that an operation depends on."""
    for dependency in dependant.dependencies:
        yield dependency.call
        yield from needs(dependency)


@pytest.mark.parametrize("route", POSTS, ids=lambda route: route.path)
def test_every_post_has_a_transaction_to_keep_its_answer_in(route: APIRoute) -> None:
    assert application._transaction in set(needs(route.dependant))


@pytest.mark.parametrize("module", [keys, catalog, entitlements, pricing], ids=lambda module: module.name)
def test_every_service_keeps_answers(module: object) -> None:
    assert getattr(module, "idempotency", None) is not None
