"""Only a token that the right key signed, for this service and not long ago, is an identity."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest
import time_machine
from fastapi import APIRouter, FastAPI

from shared import identity
from shared.application import create_app
from shared.errors import Unauthenticated
from shared.identity import LIFETIME, SKEW, Signer, Verifier, new_key_pair
from shared.principal import Caller, Principal
from tests.shared.ground import calling, module_named, settings_on

PRIVATE, PUBLIC = new_key_pair()
NEIGHBOURS_PRIVATE, NEIGHBOURS_PUBLIC = new_key_pair()
KEYS = {"gateway": [PUBLIC], "neighbour": [NEIGHBOURS_PUBLIC]}
QUANT = Principal(role="quant", name="Ada", account=uuid4(), key="k123456789")
NOW = datetime(2026, 1, 31, 20, tzinfo=UTC)


def claims(**changed: Any) -> dict[str, Any]:
    """What a good token says, changed; a claim changed to None is left out."""
    now = int(time.time())
    good = {"iss": "gateway", "aud": "here", "sub": str(QUANT.account), "iat": now, "exp": now + 60}
    said = {**good, "role": "quant", "name": "Ada", "key": "k123456789", **changed}
    return {name: value for name, value in said.items() if value is not None}


def signed(private: str = PRIVATE, **changed: Any) -> str:
    """A token signed with this key."""
    return jwt.encode(claims(**changed), private, algorithm="EdDSA")


def by_hand(algorithm: str, secret: str | None) -> str:
    """A token as only an attacker makes it: `none`, or HMAC with the public key as its secret."""
    parts = [json.dumps(part).encode() for part in ({"alg": algorithm, "typ": "JWT"}, claims())]
    head = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    signature = hmac.digest(secret.encode(), head.encode(), hashlib.sha256) if secret else b""
    return f"{head}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def neighbours() -> str:
    """A neighbour's good token."""
    return signed(NEIGHBOURS_PRIVATE, iss="neighbour", role="service")


def unsigned() -> str:
    """A token that nobody signed."""
    return by_hand("none", None)


@pytest.mark.parametrize(
    "principal",
    [
        QUANT,
        Principal(role="admin", name="Zoë ₿", account=uuid4(), key="k123456789"),
        Principal(role="anonymous", name="anonymous"),
        Principal(role="service", name="pricing"),
    ],
)
def test_a_good_token_says_who_signed_it_and_who_is_calling(principal: Principal) -> None:
    token = Signer(PRIVATE, issuer="gateway").token(principal, "here")

    assert Verifier(KEYS, audience="here").verify(token) == ("gateway", principal)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(lambda: "", id="no token"),
        pytest.param(lambda: "a.b.c", id="garbage"),
        pytest.param(lambda: "ключ", id="not even ASCII"),
        pytest.param(lambda: signed(new_key_pair()[0]), id="forged key"),
        pytest.param(lambda: signed(NEIGHBOURS_PRIVATE), id="the gateway's name under a neighbour's key"),
        pytest.param(lambda: signed(PRIVATE, iss="neighbour"), id="a neighbour's name under the gateway's key"),
        pytest.param(lambda: by_hand("HS256", PUBLIC), id="HS256 with the public key as secret"),
        pytest.param(lambda: by_hand("none", None), id="alg none"),
        pytest.param(lambda: signed(aud="elsewhere"), id="wrong audience"),
        pytest.param(lambda: signed(aud=None), id="no audience"),
        pytest.param(lambda: signed(iss="stranger"), id="wrong issuer"),
        pytest.param(lambda: signed(iss=None), id="no issuer"),
        pytest.param(lambda: signed(exp=int(time.time()) - 1), id="expired"),
        pytest.param(lambda: signed(exp=None), id="for ever"),
        pytest.param(lambda: signed(exp=int(time.time()) + 62), id="for more than a minute"),
        pytest.param(
            lambda: signed(iat=int(time.time()) - 30, exp=int(time.time()) + 32), id="for more, and half used"
        ),
        pytest.param(lambda: signed(iat=None), id="since nobody knows when"),
        pytest.param(lambda: signed()[:-4] + "AAAA", id="signature changed"),
    ],
)
def test_i2_anything_else_is_refused(made: Callable[[], str]) -> None:
    """Tokens live for a minute, so they are made when the test runs."""
    with pytest.raises(Unauthenticated):
        Verifier(KEYS, audience="here").verify(made())


def test_either_of_two_keys_of_an_issuer_is_good_so_that_keys_can_change() -> None:
    verifier = Verifier({"gateway": [NEIGHBOURS_PUBLIC, PUBLIC]}, audience="here")

    assert verifier.verify(signed())[0] == verifier.verify(signed(NEIGHBOURS_PRIVATE))[0] == "gateway"


def test_a_token_is_minted_once_and_reused_while_half_its_life_is_left() -> None:
    signer = Signer(PRIVATE, issuer="gateway")
    with time_machine.travel(NOW, tick=False) as clock:
        first = signer.token(QUANT, "here")
        clock.shift(timedelta(seconds=LIFETIME / 2 - SKEW - 1))
        assert signer.token(QUANT, "here") == first
        assert signer.token(QUANT, "there") != first
        clock.shift(timedelta(seconds=1))
        assert signer.token(QUANT, "here") != first


def test_a_token_is_for_60_seconds_and_reused_when_as_many_as_30_are_left() -> None:
    signer = Signer(PRIVATE, issuer="gateway")
    with time_machine.travel(NOW, tick=False) as clock:
        said = jwt.decode(signer.token(QUANT, "here"), PUBLIC, algorithms=["EdDSA"], audience="here")
        assert said["exp"] - said["iat"] == 60
        clock.shift(timedelta(seconds=24))
        reused = jwt.decode(signer.token(QUANT, "here"), PUBLIC, algorithms=["EdDSA"], audience="here")
        assert reused == said
        assert said["exp"] - time.time() >= 30


def test_a_remembered_token_ends_when_it_says() -> None:
    verifier = Verifier(KEYS, audience="here")
    with time_machine.travel(NOW, tick=False) as clock:
        token = Signer(PRIVATE, issuer="gateway").token(QUANT, "here")
        verifier.verify(token)
        clock.shift(timedelta(seconds=LIFETIME - SKEW - 1))
        assert verifier.verify(token) == ("gateway", QUANT)
        clock.shift(timedelta(seconds=1))
        with pytest.raises(Unauthenticated):
            verifier.verify(token)


@pytest.mark.parametrize("ahead", [-SKEW, -1, 0, 1, SKEW])
def test_clocks_may_differ_by_some_seconds(ahead: int) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        token = Signer(PRIVATE, issuer="gateway").token(QUANT, "here")
        clock.shift(timedelta(seconds=-ahead))
        assert Verifier(KEYS, audience="here").verify(token) == ("gateway", QUANT)


def test_a_token_from_a_time_to_come_is_refused() -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        token = Signer(PRIVATE, issuer="gateway").token(QUANT, "here")
        clock.shift(timedelta(seconds=-SKEW - 1))
        with pytest.raises(Unauthenticated):
            Verifier(KEYS, audience="here").verify(token)


def test_memory_of_tokens_is_bounded() -> None:
    signer, verifier = Signer(PRIVATE, issuer="gateway"), Verifier(KEYS, audience="here")
    signer._minted = {(QUANT, str(n)): (0.0, "") for n in range(identity.REMEMBERED)}
    verifier._verified = {str(n): (0.0, "gateway", QUANT) for n in range(identity.REMEMBERED)}

    verifier.verify(signer.token(QUANT, "here"))

    assert len(signer._minted) == len(verifier._verified) == 1


def service() -> FastAPI:
    """A service that tells who calls, on a public and an internal path."""
    router = APIRouter()

    @router.get("/v1/who")
    @router.get("/internal/who")
    def who(caller: Caller) -> dict[str, str]:
        return {"name": caller.name, "role": caller.role}

    settings = settings_on().model_copy(update={"identity_public_keys": KEYS})
    return create_app(module_named("here", controllers=(router,)), settings)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "made", "status"),
    [
        ("/v1/who", signed, 200),
        ("/v1/who", neighbours, 401),
        ("/v1/who", None, 401),
        ("/v1/who", unsigned, 401),
        ("/internal/who", neighbours, 200),
        ("/internal/who", signed, 401),
        ("/internal/who", None, 401),
        ("/nowhere", None, 401),
        ("/openapi.json", None, 401),
        ("/livez", None, 200),
    ],
)
async def test_public_paths_are_for_the_gateway_and_internal_ones_for_neighbours(
    path: str, made: Callable[[], str] | None, status: int
) -> None:
    async with calling(service()) as client:
        answer = await client.get(path, headers={identity.HEADER: made()} if made else {})

    assert answer.status_code == status
    if status == 401:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "unauthenticated"
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
