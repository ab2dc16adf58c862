"""Asking back: who may, what waits for whom, and who reads what was said."""

from uuid import uuid4

import pytest

from services.entitlements.grants.errors import SelfDecision
from services.entitlements.questions.errors import NothingToAnswer
from services.entitlements.requests.errors import AlreadyDecided, NotAskedFor, RequestNotFound
from services.entitlements.requests.schemas import OpsRequestOut, RequestOut
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import ADMIN, DAY, MS, OPS, OTHER, QUANT, T0, SetClock


def states(request: RequestOut) -> dict[str, str]:
    return {item.frequency: item.status for item in request.items}


def test_a_question_makes_items_wait_for_the_quant_and_an_answer_for_ops(desk: Desk) -> None:
    request = desk.ask("1h", "1d")
    asked = desk.question(request.id)
    assert (asked.status, asked.awaiting, states(asked)) == (
        "pending",
        "quant",
        {"1h": "needs-info", "1d": "needs-info"},
    )
    answered = desk.answer(request.id)
    assert (answered.status, answered.awaiting, states(answered)) == (
        "pending",
        "ops",
        {"1h": "pending", "1d": "pending"},
    )


def test_a_question_about_one_frequency_leaves_the_others_to_ops(desk: Desk) -> None:
    request = desk.ask("1h", "1d")
    asked = desk.question(request.id, "1d")
    assert (asked.awaiting, states(asked)) == ("ops", {"1h": "pending", "1d": "needs-info"})
    assert desk.answer(request.id).thread[-1].frequencies == ["1d"]


def test_the_thread_is_read_by_both_and_names_ops_to_ops_only(desk: Desk, clock: SetClock) -> None:
    request = desk.ask("1d")
    desk.question(request.id, text="For which desk?")
    desk.question(request.id, text="And since when?", by=ADMIN)
    clock.at += DAY
    seen = desk.answer(request.id, "Carry, since May.")
    said = [(m.author_role, m.text, m.at) for m in seen.thread]
    assert said == [
        ("ops", "For which desk?", T0),
        ("ops", "And since when?", T0),
        ("quant", "Carry, since May.", T0 + DAY),
    ]
    assert str(OPS.account) not in seen.model_dump_json()
    by_ops = desk.requests.find(request.id, OPS)
    assert isinstance(by_ops, OpsRequestOut)
    assert [m.author for m in by_ops.thread] == [OPS.account, ADMIN.account, QUANT.account]


def test_each_is_told_what_the_other_said(desk: Desk) -> None:
    request = desk.ask("1d")
    desk.question(request.id, text="For which desk?")
    desk.answer(request.id, "Carry.")
    [asked], [answered] = desk.told("access.question"), desk.told("access.answered")
    assert (asked["recipient"], asked["data"]["text"]) == (str(QUANT.account), "For which desk?")
    assert (OPS.name in str(asked), str(OPS.account) in str(asked)) == (False, False)
    assert (answered["recipient"], answered["data"]["text"]) == ("ops", "Carry.")
    assert answered["data"]["account_name"] == QUANT.name


def test_the_record_says_who_and_which_message_and_not_the_words(desk: Desk) -> None:
    request = desk.ask("1d")
    desk.question(request.id, text="secret plans?")
    desk.answer(request.id, "secret")
    rows = [*desk.audited("access.questioned"), *desk.audited("access.answered")]
    assert [row.actor for row in rows] == [str(OPS.account), str(QUANT.account)]
    assert "secret" not in str([row.data for row in rows])


def test_what_was_asked_about_can_be_decided_and_lapses_all_the_same(desk: Desk, clock: SetClock) -> None:
    request, other = desk.ask("1d"), desk.ask("1h")
    desk.question(request.id)
    desk.question(other.id)
    assert states(desk.decide(request.id, outcome="approve")) == {"1d": "approved"}
    clock.at = other.lapse_at
    for act in (desk.question, desk.answer):
        with pytest.raises((AlreadyDecided, NothingToAnswer)) as refused, desk.session.begin_nested():
            act(other.id)
        assert refused.value.members["items"][0]["status"] == "lapsed"
    clock.at -= MS
    assert states(desk.answer(other.id)) == {"1h": "pending"}


def test_nobody_asks_themselves_and_nobody_answers_for_another(desk: Desk) -> None:
    own, request = desk.ask("1d", by=OPS), desk.ask("1d")
    desk.question(request.id)
    before = desk.counts()
    with pytest.raises(SelfDecision), desk.session.begin_nested():
        desk.question(own.id)
    for somebody in (OTHER, OPS, ADMIN):
        with pytest.raises(RequestNotFound), desk.session.begin_nested():
            desk.answer(request.id, by=somebody)
    for act in (desk.question, desk.answer):
        with pytest.raises(RequestNotFound), desk.session.begin_nested():
            act(uuid4())
    assert desk.counts() == before


def test_there_is_nothing_to_ask_or_answer_where_nothing_waits(desk: Desk) -> None:
    request = desk.ask("1d", "1h")
    with pytest.raises(NothingToAnswer) as unasked, desk.session.begin_nested():
        desk.answer(request.id)
    assert {item["status"] for item in unasked.value.members["items"]} == {"pending"}
    desk.decide(request.id, decisions=[{"frequency": "1d", "outcome": "approve"}])
    with pytest.raises(AlreadyDecided) as named, desk.session.begin_nested():
        desk.question(request.id, "1d", "1h")
    assert [item["frequency"] for item in named.value.members["items"]] == ["1d"]
    with pytest.raises(NotAskedFor), desk.session.begin_nested():
        desk.question(request.id, "1mo")
    desk.refuse(request.id)
    with pytest.raises(AlreadyDecided), desk.session.begin_nested():
        desk.question(request.id)


def test_an_answer_is_the_remedy_of_a_read_that_waits_for_it(desk: Desk) -> None:
    request = desk.ask("1d")
    desk.question(request.id)
    refusal = desk.may().refusal
    assert refusal is not None
    answer = {"method": "POST", "href": f"/v1/access-requests/{request.id}/answer", "body": {"text": ""}}
    assert (refusal.code, refusal.members["remedy"]) == ("needs-info", answer)
