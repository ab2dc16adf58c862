"""All cells of an account at once: as many statements for 200 of them as for two."""

from services.entitlements.grants.entities import Grant
from services.entitlements.grants.policy import Term
from services.entitlements.grants.service import new_grant
from shared.ids import new_id
from shared.principal import Principal
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import DAY, QUANT, T0, SetClock, person
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
            assert len(desk.access.cells(who.account_id)) == cells + 1
        sent[cells] = len(statements)
    assert sent[2] == sent[200] <= 3


def test_a_cell_says_what_it_is_about(desk: Desk, clock: SetClock) -> None:
    [trial] = desk.give("1h", trial=True)
    asked = desk.ask("1d")
    desk.give("1mo")
    clock.at += 20 * DAY
    cells = {cell.frequency: cell for cell in desk.access.cells(QUANT.account_id)}
    assert {f: cell.state for f, cell in cells.items()} == {"1h": "trial-ended", "1d": "lapsed", "1mo": "active"}
    assert (cells["1h"].grant, cells["1h"].ends_at) == (trial.id, trial.ends_at)
    assert cells["1d"].request == asked.id
    assert cells["1mo"].starts_at == T0
    assert desk.session.get(Grant, cells["1mo"].grant) is not None
