"""Asking: what is new, what is skipped, and what keeps from asking."""

from uuid import uuid4

import pytest

from services.entitlements.requests.errors import (
    Cooldown,
    FrequencyNotOffered,
    NothingToRequest,
    RequestNotFound,
    TooManyOpen,
    UnknownDataset,
)
from services.entitlements.requests.schemas import OpsRequestOut, RequestsQuery
from shared.errors import Problem
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import ADMIN, DAY, MS, OPS, OTHER, QUANT, T0, SetClock


def test_a_request_waits_for_ops_with_an_item_per_frequency(desk: Desk) -> None:
    request = desk.ask("1h", "1d", reason="Backtest", duration_days=90)
    assert (request.status, request.awaiting, request.account) == ("pending", "ops", QUANT.account)
    assert (request.created_at, request.lapse_at) == (T0, T0 + 14 * DAY)
    assert [(item.frequency, item.status) for item in request.items] == [("1h", "pending"), ("1d", "pending")]
    assert request.skipped == []


def test_a_request_is_recorded_and_ops_is_told_once(desk: Desk) -> None:
    request = desk.ask("1h", "1d", reason="secret plans")
    [row] = desk.audited("access.requested")
    assert (row.actor, row.subject) == (str(QUANT.account), str(request.id))
    assert "secret" not in str(row.data)
    [told] = desk.told("access.requested")
    assert told["recipient"] == "ops"
    assert told["data"].items() >= {"request": str(request.id), "frequencies": ["1h", "1d"]}.items()


def test_what_is_held_or_pending_is_skipped_with_its_ids(desk: Desk) -> None:
    [grant] = desk.give("1h")
    first = desk.ask("1d")
    second = desk.ask("1h", "1d", "1mo")
    assert [item.frequency for item in second.items] == ["1mo"]
    held, pending = second.skipped
    assert (held.frequency, held.why, held.grant, held.ends_at) == ("1h", "already-granted", grant.id, grant.ends_at)
    assert (pending.frequency, pending.why, pending.request) == ("1d", "already-pending", first.id)


def test_a_scheduled_grant_is_held_too(desk: Desk) -> None:
    [grant] = desk.give("1d", starts_at=T0 + DAY)
    with pytest.raises(NothingToRequest) as refused:
        desk.ask("1d")
    assert refused.value.members["skipped"][0]["grant"] == str(grant.id)


def test_nothing_new_is_refused_with_the_same_list_and_leaves_no_trace(desk: Desk) -> None:
    first, before = desk.ask("1d"), desk.counts()
    with pytest.raises(NothingToRequest) as refused, desk.session.begin_nested():
        desk.ask("1d")
    skipped = [{"frequency": "1d", "why": "already-pending", "request": str(first.id)}]
    assert refused.value.members == {"skipped": skipped}
    assert desk.counts() == before


@pytest.mark.parametrize(
    ("dataset", "frequency", "refusal"),
    [("GONE", "1d", UnknownDataset), ("ETH", "1h", FrequencyNotOffered), ("BTC", "1m", FrequencyNotOffered)],
)
def test_only_what_is_offered_can_be_asked_for(
    desk: Desk, dataset: str, frequency: str, refusal: type[Problem]
) -> None:
    with pytest.raises(refusal):
        desk.ask(frequency, dataset=dataset)


def test_a_lapsed_cell_is_free_again(desk: Desk, clock: SetClock) -> None:
    first = desk.ask("1d")
    clock.at = first.lapse_at - MS
    with pytest.raises(NothingToRequest), desk.session.begin_nested():
        desk.ask("1d")
    clock.at = first.lapse_at
    assert desk.ask("1d").status == "pending"
    assert desk.requests.find(first.id, QUANT).status == "lapsed"


@pytest.mark.parametrize("ended", ["run out", "revoked"])
def test_a_cell_whose_grant_is_over_is_free_again(desk: Desk, clock: SetClock, ended: str) -> None:
    [grant] = desk.give("1d", duration_days=1)
    if ended == "revoked":
        desk.revoke(grant.id)
    else:
        clock.at += DAY
    assert desk.ask("1d").skipped == []


def test_a_refusal_keeps_from_asking_for_a_day_and_for_that_cell_only(desk: Desk, clock: SetClock) -> None:
    desk.refuse(desk.ask("1d").id)
    clock.at += DAY - MS
    with pytest.raises(Cooldown) as refused, desk.session.begin_nested():
        desk.ask("1d")
    assert refused.value.members == {"frequency": "1d", "reapply_after": "2026-05-05T12:00:00Z"}
    desk.ask("1h")
    desk.ask("1d", by=OTHER)
    clock.at += MS
    assert desk.ask("1d").status == "pending"


def test_fifty_items_may_be_open_and_lapsed_ones_do_not_count(desk: Desk, clock: SetClock) -> None:
    for number in range(16):
        desk.ask("1h", "1d", "1mo", dataset=f"D{number}")
    desk.ask("1h", "1d")
    with pytest.raises(TooManyOpen), desk.session.begin_nested():
        desk.ask("1mo")
    with pytest.raises(NothingToRequest), desk.session.begin_nested():
        desk.ask("1h", "1d")
    desk.ask("1d", by=OTHER)
    clock.at += 14 * DAY
    assert desk.ask("1mo").status == "pending"


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
