"""What pricing asks over HTTP."""

import pytest
from sqlalchemy import Connection, event

from shared.principal import Principal
from tests.services.entitlements.conftest import Http
from tests.services.entitlements.fakes import QUANT, person

PRICING = Principal(role="service", name="pricing")
TABLES = ("entitlements.grants", "entitlements.request_items", "entitlements.accounts")
QUESTION = {
    "account": str(QUANT.account),
    "role": "quant",
    "offered": [{"dataset": "BTC", "frequencies": ["1h", "1d"]}, {"dataset": "NEW", "frequencies": ["1mo"]}],
}


def test_every_cell_in_question_is_answered(http: Http) -> None:
    answer = http("POST", "/internal/cells", by=PRICING, json=QUESTION)
    assert answer.status_code == 200
    told = [(cell["dataset"], cell["frequency"], cell["state"]) for cell in answer.json()]
    assert told == [(dataset, f, "never-requested") for dataset, f in [("BTC", "1h"), ("BTC", "1d"), ("NEW", "1mo")]]


def test_all_that_is_told_is_of_one_snapshot(http: Http) -> None:
    levels: set[str] = set()

    def note(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if any(table in statement for table in TABLES):  # not what others do beside it
            levels.add(connection.get_isolation_level())

    engine = http.app.state.database.engine
    event.listen(engine, "before_cursor_execute", note)
    http("POST", "/internal/cells", by=PRICING, json=QUESTION)
    event.remove(engine, "before_cursor_execute", note)
    assert levels == {"REPEATABLE READ"}


@pytest.mark.parametrize("by", [None, person(), person("admin")])
def test_nobody_comes_in_from_outside(http: Http, by: Principal | None) -> None:
    assert http("POST", "/internal/cells", by=by, json=QUESTION).status_code == 401
