"""Messages are signed as Standard Webhooks 1.0 says, computed here by hand."""

import base64
import hashlib
import hmac

from services.entitlements.webhooks.secrets import WebhookSecrets
from shared.ids import new_id
from tests.services.entitlements.fakes import DAY, T0

SECRETS = WebhookSecrets("a key only for tests")


def by_hand(secret: str, id_: str, at: int, body: str) -> str:
    """What the standard says about a message."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return f"v1,{base64.b64encode(hmac.new(key, f'{id_}.{at}.{body}'.encode(), hashlib.sha256).digest()).decode()}"


def test_by_hand_comes_to_what_the_standard_s_own_libraries_are_tested_with() -> None:
    signed = by_hand(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        '{"test": 2432232314}',
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_message_is_signed_under_each_secret_as_by_hand() -> None:
    webhook, id_, at, body = new_id(), new_id(), int(T0.timestamp()), '{"type":"access.decided","name":"\u00e9"}'
    made = [SECRETS.mint(webhook) for _ in range(2)]
    assert SECRETS.headers(webhook, [sealed for _, sealed in made], id_=id_, at=T0 + DAY / 10**6, body=body) == {
        "webhook-id": str(id_),
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(by_hand(secret, str(id_), at, body) for secret, _ in made),
    }
