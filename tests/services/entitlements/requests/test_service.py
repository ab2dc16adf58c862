"""Requests as their account and Ops see them."""

from uuid import uuid4

import pytest

from services.entitlements.cards.schemas import OpsRequestCard
from services.entitlements.cards.service import CardService
from services.entitlements.requests.errors import RequestNotFound
from services.entitlements.requests.schemas import OpsRequestOut, RequestsQuery
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import ADMIN, DAY, OPS, OTHER, QUANT, SetClock


def test_a_request_is_seen_by_its_account_and_by_ops(desk: Desk) -> None:
    request = desk.ask("1d")
    assert desk.requests.find(request.id, QUANT) == request
    seen = desk.requests.find(request.id, ADMIN)
    assert isinstance(seen, OpsRequestOut)
    assert seen.account_name == QUANT.name
    for id_, caller in ((request.id, OTHER), (uuid4(), OPS)):
        with pytest.raises(RequestNotFound):
            desk.requests.find(id_, caller)


def test_a_note_is_for_ops_only(desk: Desk) -> None:
    request = desk.ask("1d")
    desk.decide(request.id, outcome="refuse", reason="No.", note="A competitor.")
    assert "competitor" in desk.requests.find(request.id, OPS).model_dump_json()
    assert "competitor" not in desk.requests.find(request.id, QUANT).model_dump_json()
    assert "competitor" not in str(desk.told("access.decided"))


def test_a_note_is_not_for_whom_it_is_about_though_they_be_ops(desk: Desk, clock: SetClock) -> None:
    first = desk.ask("1d", by=OPS)
    desk.decide(first.id, outcome="refuse", reason="No.", note="Reads too much.", by=ADMIN)
    clock.at += DAY
    second = desk.ask("1d", by=OPS)
    cards = CardService(desk.session, clock)
    for reader, note in ((ADMIN, "Reads too much."), (OPS, None)):
        shown, card = desk.requests.find(first.id, reader), cards.find(second.id, reader)
        assert isinstance(shown, OpsRequestOut)
        assert isinstance(card, OpsRequestCard)
        assert [item.note for item in shown.items] == [p.note for p in card.card.precedents] == [note]


def test_ops_is_answered_with_the_name_also_about_its_own_request(desk: Desk) -> None:
    request = desk.ask("1d", by=OPS)
    assert isinstance(request, OpsRequestOut)
    assert request.account_name == OPS.name


def test_lists_show_ops_everything_and_the_others_their_own(desk: Desk) -> None:
    mine, theirs = desk.ask("1d"), desk.ask("1d", by=OTHER, dataset="ETH")

    def listed(caller: object, **query: object) -> list[object]:
        page = desk.requests.page(RequestsQuery.model_validate(query), caller, after=None, limit=10)  # type: ignore[arg-type]
        return [request.id for request in page]

    assert listed(QUANT) == [mine.id]
    assert set(listed(OPS)) == {mine.id, theirs.id}
    assert listed(OPS, dataset="ETH") == [theirs.id]
    assert listed(OPS, account=QUANT.account) == [mine.id]
    assert listed(QUANT, account=OTHER.account) == []
