"""What Ops is shown of a request, and at what cost."""

from services.entitlements.cards.schemas import OpsRequestCard
from services.entitlements.cards.service import CardService
from services.entitlements.requests.schemas import RequestOut
from tests.services.entitlements.coverage.test_service import hold
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import DAY, MS, OPS, OTHER, QUANT, T0, SetClock, person
from tests.services.statements import counted


def test_the_card_tells_who_asks_what_was_decided_before_and_how_long_is_left(desk: Desk, clock: SetClock) -> None:
    [held] = desk.give("1mo")
    refused = desk.refuse(desk.ask("1d").id)
    other = desk.ask("1d", by=OTHER)
    desk.decide(other.id, outcome="approve", note="A good customer.")
    desk.refuse(desk.ask("1h", by=OTHER, dataset="ETH2").id)
    clock.at += 2 * DAY
    asked = desk.ask("1h", "1d")

    card = CardService(desk.session, clock).find(asked.id, OPS)
    assert isinstance(card, OpsRequestCard)
    assert card.card.seconds_left == 14 * 24 * 3600
    assert [grant.id for grant in card.card.grants] == [held.id]
    assert card.card.outcomes == {"refused": 1, "pending": 2}
    found = [(p.request, p.outcome, p.account_name, p.note) for p in card.card.precedents]
    assert sorted(found, key=str) == sorted(
        [(refused.id, "refused", "Ada", None), (other.id, "approved", "Ben", "A good customer.")], key=str
    )


def test_what_is_much_asked_for_hides_neither_another_frequency_nor_the_requesters_own(
    desk: Desk, clock: SetClock
) -> None:
    own = desk.refuse(desk.ask("1d").id)
    rare = desk.refuse(desk.ask("1h", by=OTHER).id)
    for _ in range(21):
        clock.at += MS
        desk.refuse(desk.ask("1d", by=person()).id)
    clock.at += 2 * DAY
    for frequencies, shown in ((("1h", "1d"), 1 + 8 + 1), (("1d",), 18 + 1)):
        card = CardService(desk.session, clock).find(desk.ask(*frequencies).id, OPS)
        assert isinstance(card, OpsRequestCard)
        found = card.card.precedents
        assert len(found) == shown
        assert own.id in {precedent.request for precedent in found}
        assert ("1h" in frequencies) == (rare.id in {precedent.request for precedent in found})
        assert [p.decided_at for p in found] == sorted((p.decided_at for p in found), reverse=True)
        desk.withdraw(card.id)


def test_what_is_decided_has_no_time_left_and_a_quant_sees_no_card(desk: Desk, clock: SetClock) -> None:
    asked = desk.ask("1d")
    cards = CardService(desk.session, clock)
    mine = cards.find(asked.id, QUANT)
    assert type(mine) is RequestOut
    desk.refuse(asked.id)
    decided = cards.find(asked.id, OPS)
    assert isinstance(decided, OpsRequestCard)
    assert (decided.card.seconds_left, decided.card.precedents) == (None, [])


def test_a_lapsed_request_counts_as_lapsed(desk: Desk, clock: SetClock) -> None:
    asked = desk.ask("1d")
    clock.at = T0 + 15 * DAY
    card = CardService(desk.session, clock).find(asked.id, OPS)
    assert isinstance(card, OpsRequestCard)
    assert (card.card.seconds_left, card.card.outcomes) == (None, {"lapsed": 1})


def test_a_card_of_a_long_history_takes_no_more_statements(desk: Desk, clock: SetClock) -> None:
    sent = {}
    for past in (1, 40):
        who = person()
        hold(desk, who, past)
        for _ in range(past // 4 + 1):
            desk.refuse(desk.ask("1h", "1mo", by=who).id)
            clock.at += 2 * DAY
        asked = desk.ask("1h", "1d", by=who)
        with counted(desk.session) as statements:
            CardService(desk.session, clock).find(asked.id, OPS)
        sent[past] = len(statements)
    assert sent[1] == sent[40]
