"""All cells of an account at once: as many statements for 200 of them as for two."""

import pytest

from services.entitlements.grants.entities import Grant
from services.entitlements.grants.policy import Term
from services.entitlements.grants.service import new_grant
from shared.ids import new_id
from shared.principal import Principal
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import DAY, T0, SetClock, person
from tests.services.statements import counted


def hold(desk: Desk, who: Principal, cells: int) -> None:
    """Give an account that many cells."""
    term = Term(kind="standard", starts_at=T0, ends_at=T0 + DAY)
    grants = [
        new_grant(
            account=who.account_id, dataset=f"D{n}", frequency="1d", term=term, origin="direct", now=T0, by=new_id()
        )
        for n in range(cells)
    ]
    desk.session.add_all(grants)


def test_as_many_statements_for_200_cells_as_for_two(desk: Desk) -> None:
    sent = {}
    for cells in (2, 200):
        who = person()
        hold(desk, who, cells)
        desk.ask("1d", by=who)
        with counted(desk.session) as statements:
            told = desk.cells("BTC", *(f"D{n}" for n in range(cells)), who=who)
        assert [cell.state for cell in told].count("active") == cells
        sent[cells] = len(statements)
    assert sent[2] == sent[200] <= 11


def test_a_cell_says_what_it_is_about(desk: Desk, clock: SetClock) -> None:
    [trial] = desk.give("1h", trial=True)
    asked = desk.ask("1d")
    desk.give("1mo")
    clock.at += 20 * DAY
    cells = {cell.frequency: cell for cell in desk.cells()}
    assert {f: cell.state for f, cell in cells.items()} == {"1h": "trial-ended", "1d": "lapsed", "1mo": "active"}
    assert (cells["1h"].grant, cells["1h"].ends_at) == (trial.id, trial.ends_at)
    assert cells["1d"].request == asked.id
    assert cells["1mo"].starts_at == T0
    assert desk.session.get(Grant, cells["1mo"].grant) is not None


def test_what_is_not_held_says_what_the_rules_would_answer(desk: Desk, clock: SetClock) -> None:
    desk.give("1h")
    desk.give("1mo", trial=True)
    clock.at += 20 * DAY
    hour, day, month = desk.cells()
    assert (hour.state, hour.predictions) == ("active", None)
    assert day.predictions is not None
    assert month.predictions is not None
    assert (day.predictions.standard.outcome, day.predictions.standard.rule) == ("pending", None)
    assert (day.predictions.trial.outcome, day.predictions.trial.rule) == ("approved", "short-trial")
    assert (month.state, month.predictions.trial.reason_code) == ("trial-ended", "trial-already-used")


@pytest.mark.parametrize("trial", [False, True])
def test_what_is_predicted_is_what_asking_does(desk: Desk, trial: bool) -> None:
    for cell in desk.cells():
        assert cell.predictions is not None
        foreseen = cell.predictions.trial if trial else cell.predictions.standard
        [item] = desk.ask(cell.frequency, trial=trial).items
        assert (item.status, item.reason_code) == (foreseen.outcome, foreseen.reason_code)


def test_to_a_blocked_account_every_cell_is_blocked_also_one_never_asked_for(desk: Desk) -> None:
    desk.give("1h")
    desk.ask("1d")
    desk.block()
    for cell in desk.cells():
        assert (cell.state, cell.reason) == ("blocked", "Unpaid")
        assert cell.predictions is not None
        assert (cell.predictions.standard.outcome, cell.predictions.standard.rule) == ("refused", "account-blocked")
