"""Identity between our own processes: a short-lived Ed25519 token, signed for one audience."""

import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.errors import Unauthenticated, problem_response
from shared.principal import Principal

HEADER = "x-tickgate-identity"
LIFETIME = 60  # seconds from `iat` to `exp`, at most
SKEW = 5  # seconds that an issuer's clock may be ahead of the audience's
GATEWAY = "gateway"
OPEN_PATHS = ("/livez", "/readyz")
REMEMBERED = 10_000


def new_key_pair() -> tuple[str, str]:
    """A fresh Ed25519 pair, private and public, as PEM."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


class Signer:
    """Mints tokens as one issuer, and reuses each while at least half of its life is left."""

    def __init__(self, private_key: str, *, issuer: str) -> None:
        self._key = serialization.load_pem_private_key(private_key.encode(), password=None)
        self._issuer = issuer
        self._minted: dict[tuple[Principal, str], tuple[float, str]] = {}

    def token(self, principal: Principal, audience: str) -> str:
        """A token that says to `audience` who is calling, good for at most 60 seconds."""
        now = int(time.time())
        fresh_until, token = self._minted.get((principal, audience), (0.0, ""))
        if now < fresh_until:
            return token
        if len(self._minted) >= REMEMBERED:
            self._minted.clear()
        token = self._mint(principal, audience, now)
        self._minted[principal, audience] = (now + LIFETIME / 2 - SKEW, token)
        return token

    def _mint(self, principal: Principal, audience: str, now: int) -> str:
        claims = {
            "iss": self._issuer,
            "aud": audience,
            "sub": str(principal.account or principal.name),
            "iat": now - SKEW,  # what seems to come from the future is refused
            "exp": now - SKEW + LIFETIME,
            "role": principal.role,
            "name": principal.name,
            "key": principal.key,
        }
        return jwt.encode(claims, self._key, algorithm="EdDSA")  # type: ignore[arg-type]  # PEM holds an Ed25519 key


class Verifier:
    """Tells who is calling from a token for this audience; each token is verified once and remembered till it ends."""

    def __init__(self, public_keys: Mapping[str, Sequence[str]], *, audience: str) -> None:
        self._keys = public_keys
        self._audience = audience
        self._verified: dict[str, tuple[float, str, Principal]] = {}

    def verify(self, token: str) -> tuple[str, Principal]:
        """The issuer and the principal; raises Unauthenticated for all but a good, unexpired token of 60 s at most."""
        ends_at, issuer, principal = self._verified.get(token, (0.0, "", None))
        if principal is None or ends_at <= time.time():
            ends_at, issuer, principal = self._read(token)
            if len(self._verified) >= REMEMBERED:
                self._verified.clear()
            self._verified[token] = (ends_at, issuer, principal)
        return issuer, principal

    def _read(self, token: str) -> tuple[float, str, Principal]:
        for issuer, keys in self._keys.items():
            for key in keys:
                claims = self._claims(token, issuer, key)
                if claims and _is_short(claims):
                    return float(claims["exp"]), issuer, _principal(claims)
        raise Unauthenticated

    def _claims(self, token: str, issuer: str, key: str) -> dict[str, Any] | None:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=["EdDSA"],
                audience=self._audience,
                issuer=issuer,
                options={"require": ["exp", "iat", "aud", "iss", "sub"]},
            )
        except (jwt.PyJWTError, ValueError):
            return None


def _is_short(claims: Mapping[str, Any]) -> bool:
    return float(claims["exp"]) - float(claims["iat"]) <= LIFETIME


def _principal(claims: Mapping[str, Any]) -> Principal:
    person = claims["role"] not in ("anonymous", "service")
    account = UUID(claims["sub"]) if person else None
    return Principal(role=claims["role"], name=claims["name"], account=account, key=claims["key"])


class IdentityGuard:
    """ASGI middleware: nothing but the health checks is served without a proven identity.

    `/internal` is for our own services, everything else for what the gateway forwards.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request as the principal it proves to be, or refuse it."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self.app(scope, receive, send)
            return
        verifier: Verifier = scope["app"].state.verifier
        try:
            issuer, principal = verifier.verify(Headers(scope=scope).get(HEADER, ""))
            if (issuer == GATEWAY) == scope["path"].startswith("/internal/"):
                raise Unauthenticated
        except Unauthenticated as problem:
            await problem_response(problem, Request(scope).url.path)(scope, receive, send)
            return
        await self.app({**scope, "principal": principal}, receive, send)
