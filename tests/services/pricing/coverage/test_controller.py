"""What an account may read of all there is: each owner is asked once, however many cells there are."""

from datetime import timedelta

from sqlalchemy.orm import Session

from services.pricing.coverage.repository import CoverageRepository
from services.pricing.prices.service import PriceService
from tests.services.pricing import entitlements
from tests.services.pricing.conftest import ACCOUNT, T0, FixedClock, Service, bars
from tests.services.statements import counted

ID = "0198c5d2-5b7e-7c3a-9f10-3f6f3f0f9a11"
REFERRED = {"outcome": "pending", "rule": None, "reason": None, "reason_code": None}
DAY = timedelta(days=1)


def test_every_cell_on_offer_says_how_it_stands_and_what_there_is(service: Service) -> None:
    service.load("BTC", "1d", bars(40, step=DAY))
    entitlements.app.state.cells = [
        {
            **entitlements.UNKNOWN,
            "dataset": "BTC",
            "frequency": "1d",
            "state": "active",
            "grant": ID,
            "ends_at": "2027-01-01T00:00:00Z",
        },
        {
            **entitlements.UNKNOWN,
            "dataset": "BTC",
            "frequency": "1h",
            "state": "refused",
            "request": ID,
            "reason": "No licence.",
            "predictions": {"standard": REFERRED, "trial": REFERRED},
        },
    ]
    told = {(c["dataset"], c["frequency"]): c for c in service.get("/v1/me/coverage").json()["data"]}

    assert list(told) == [("BTC", "1h"), ("BTC", "1d"), ("BTC", "1mo"), ("ETH", "1d"), ("SOL", "1d")]
    day = told["BTC", "1d"]
    assert (day["state"], day["grant"], day["ends_at"]) == ("active", ID, "2027-01-01T00:00:00Z")
    assert (day["first"], day["last"]) == ("2025-06-10T00:00:00Z", "2025-07-19T00:00:00Z")
    assert (told["BTC", "1mo"]["first"], told["BTC", "1mo"]["last"]) == ("2025-06-01T00:00:00Z", "2025-07-01T00:00:00Z")
    hour = told["BTC", "1h"]
    assert (hour["state"], hour["request"], hour["reason"], hour["first"]) == ("refused", ID, "No licence.", None)
    assert told["ETH", "1d"]["state"] == "never-requested"
    assert (day["predictions"], hour["predictions"]["trial"]) == (None, REFERRED)
    [question] = entitlements.app.state.asked
    assert (question["account"], question["role"], len(question["offered"])) == (str(ACCOUNT), "quant", 3)


def test_without_entitlements_there_is_no_answer(service: Service) -> None:
    entitlements.app.state.status = 500
    assert service.get("/v1/me/coverage").status_code == 503


def test_the_ends_of_200_series_are_one_statement(session: Session) -> None:
    prices = PriceService(session, FixedClock(T0 + 10 * DAY))
    for number in range(200):
        prices.load(f"D{number}", "1d", "coincap", bars(2, step=DAY))
    with counted(session) as statements:
        found = CoverageRepository(session).ends()
    assert len(statements) == 1
    assert found["D7", "1d"] == (T0, T0 + DAY)
    assert len(found) == 200
