"""What the entitlements' processes are made of."""

from services.entitlements.module import module


def test_the_announcer_does_all_of_its_chores() -> None:
    assert {chore.name: chore.seconds for chore in module.chores} == {
        "announce-due": 30,
        "write-lapses": 30,
        "follow-retirements": 30,
        "end-keyless": 30,
        "fail-abandoned": 30,
        "sweep-deliveries": 3600,
    }
