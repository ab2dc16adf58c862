"""Giving access without a request."""

from datetime import datetime
from uuid import uuid4

import pytest
from pydantic import ValidationError

from services.entitlements.accounts.errors import UnknownAccount
from services.entitlements.direct_grants.schemas import DirectGrant
from services.entitlements.grants.errors import SelfDecision
from services.entitlements.requests.errors import FrequencyNotOffered, UnknownDataset
from shared.errors import InvalidInput, Problem
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import ADMIN, DAY, MS, OPS, QUANT, T0, SetClock, offer_of


def test_access_is_given_at_once_and_recorded_and_told(desk: Desk) -> None:
    given = desk.give("1h", "1d", duration_days=30)
    assert [(g.frequency, g.status, g.origin, g.ends_at) for g in given] == [
        ("1h", "active", "direct", T0 + 30 * DAY),
        ("1d", "active", "direct", T0 + 30 * DAY),
    ]
    assert {grant.reason for grant in given} == {"Signed"}
    assert [row.subject for row in desk.audited("grant.given")] == [str(grant.id) for grant in given]
    [told] = desk.told("grant.started")
    assert told["recipient"] == str(QUANT.account)
    assert [grant["id"] for grant in told["data"]["grants"]] == [str(grant.id) for grant in given]
    assert desk.may("1h").allowed


def test_a_direct_grant_settles_what_is_pending_in_its_cells_and_nothing_else(desk: Desk) -> None:
    request = desk.ask("1h", "1d")
    [grant] = desk.give("1d")
    items = {item.frequency: item for item in desk.requests.find(request.id, OPS).items}
    assert (items["1d"].status, items["1d"].grant, items["1h"].status) == ("approved", grant.id, "pending")
    assert (items["1d"].decided_at, items["1d"].outcome_by) == (T0, "ops")
    assert grant.request == request.id


@pytest.mark.parametrize("starts_at", [None, T0 + DAY])
def test_who_asked_is_told_what_became_of_each_request_and_of_the_rest_that_it_started(
    desk: Desk, starts_at: datetime | None
) -> None:
    first, second = desk.ask("1h", "1mo"), desk.ask("1d")
    hour, month, day = desk.give("1h", "1mo", "1d", starts_at=starts_at)
    told = [event["data"] for event in desk.told("access.decided")]
    assert [t["request"] for t in told] == [str(first.id), str(second.id)]
    decided = [(d["frequency"], d["outcome"], d["grant"], d["reason"]) for t in told for d in t["decisions"]]
    assert decided == [(g.frequency, "approved", str(g.id), "Signed") for g in (hour, month, day)]
    assert {row.subject for row in desk.audited("access.decided")} == {str(first.id), str(second.id)}
    assert len(desk.audited("access.decided")) == 2
    assert desk.told("grant.started") == []


def test_what_was_not_asked_for_is_told_apart_from_what_was(desk: Desk) -> None:
    desk.ask("1h")
    _, day = desk.give("1h", "1d")
    [told] = desk.told("grant.started")
    assert [grant["id"] for grant in told["data"]["grants"]] == [str(day.id)]
    assert len(desk.told("access.decided")) == 1


def test_a_lapsed_item_is_not_settled(desk: Desk, clock: SetClock) -> None:
    request = desk.ask("1d")
    clock.at = request.lapse_at
    [grant] = desk.give("1d")
    assert grant.request is None
    [item] = desk.requests.find(request.id, OPS).items
    assert (item.status, item.decided_at) == ("lapsed", request.lapse_at)


def test_an_item_is_settled_up_to_its_last_millisecond(desk: Desk, clock: SetClock) -> None:
    request = desk.ask("1d")
    clock.at = request.lapse_at - MS
    assert desk.give("1d")[0].request == request.id


@pytest.mark.parametrize("somebody", [OPS, ADMIN])
def test_nobody_gives_to_themselves(desk: Desk, somebody: object) -> None:
    with pytest.raises(SelfDecision):
        desk.give("1d", to=somebody, by=somebody)  # type: ignore[arg-type]


def test_an_account_that_is_not_is_refused(desk: Desk) -> None:
    wanted = DirectGrant(account=uuid4(), dataset="BTC", frequencies=["1d"], reason="Signed")
    with pytest.raises(UnknownAccount):
        desk.direct_grants.give(wanted, None, offer_of("BTC"), OPS)


@pytest.mark.parametrize(
    ("dataset", "frequency", "ends_at", "refusal"),
    [
        ("GONE", "1d", None, UnknownDataset),
        ("ETH", "1h", None, FrequencyNotOffered),
        ("BTC", "1d", "2026-01-01", InvalidInput),
    ],
)
def test_what_cannot_be_given_leaves_no_trace(
    desk: Desk, dataset: str, frequency: str, ends_at: str | None, refusal: type[Problem]
) -> None:
    desk.ask("1d")
    before = desk.counts()
    with pytest.raises(refusal), desk.session.begin_nested():
        desk.give(frequency, dataset=dataset, ends_at=ends_at)
    assert desk.counts() == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": None},
        {"reason": " "},
        {"frequencies": []},
        {"frequencies": ["1d", "1d"]},
        {"account": "Ada"},
        {"dataset": "btc"},
        {"no_end": True, "duration_days": 1},
        {"note": "Psst."},
    ],
)
def test_a_grant_that_says_too_little_or_too_much_is_refused(wrong: dict[str, object]) -> None:
    good = {"account": str(uuid4()), "dataset": "BTC", "frequencies": ["1d"], "reason": "Signed"}
    assert DirectGrant.model_validate(good)
    with pytest.raises(ValidationError):
        DirectGrant.model_validate({**good, **wrong})
