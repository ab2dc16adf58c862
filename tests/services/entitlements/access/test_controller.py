"""What pricing asks over HTTP."""

import pytest

from shared.principal import Principal
from tests.services.entitlements.conftest import Http
from tests.services.entitlements.fakes import QUANT, person

PRICING = Principal(role="service", name="pricing")
CELL = {"account": str(QUANT.account), "dataset": "BTC", "frequency": "1d"}


def test_pricing_is_answered(http: Http) -> None:
    answer = http("GET", "/internal/may", by=PRICING, params=CELL)
    assert answer.status_code == 200
    assert (answer.json()["allowed"], answer.json()["refusal"]["code"]) == (False, "never-requested")


@pytest.mark.parametrize("by", [None, person(), person("admin")])
def test_nobody_comes_in_from_outside(http: Http, by: Principal | None) -> None:
    assert http("GET", "/internal/may", by=by, params=CELL).status_code == 401


@pytest.mark.parametrize("wrong", [{"account": "me"}, {"since": "now"}, {"dataset": "\0"}])
def test_a_question_that_makes_no_sense_is_refused(http: Http, wrong: dict[str, str]) -> None:
    answer = http("GET", "/internal/may", by=PRICING, params={**CELL, **wrong})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/" + next(iter(wrong))
