"""Digests of secrets: the passlib handler in its CryptContext."""

import hashlib
import hmac

import pytest
from passlib.context import CryptContext

from gateway.keys.policy import parse
from gateway.keys.secrets import KeySecrets, PepperedDigest

PEPPER = "a pepper for tests only"
SECRET = "s" * 43


def context() -> CryptContext:
    return CryptContext(schemes=[type("Digest", (PepperedDigest,), {"peppers": {"1": PEPPER.encode()}})])


def test_the_digest_is_the_hmac_under_the_pepper() -> None:
    expected = hmac.new(PEPPER.encode(), SECRET.encode(), hashlib.sha256).hexdigest()
    assert context().hash(SECRET) == f"$tg-hmac$1${expected}"


def test_the_context_tells_right_from_wrong() -> None:
    digest = context().hash(SECRET)
    assert context().verify(SECRET, digest)
    assert not context().verify(SECRET + "s", digest)
    assert context().identify(digest) == "tg_hmac"


@pytest.mark.parametrize("digest", ["$tg-hmac$2$" + "0" * 64, "$tg-hmac$1$00", "$tg-hmac$1$" + "Z" * 64, "$other$1$00"])
def test_what_is_no_digest_of_ours_is_an_error(digest: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - passlib's own, of several kinds
        context().verify(SECRET, digest)


def test_a_minted_key_matches_its_digest_only() -> None:
    secrets = KeySecrets(PEPPER)
    first, second = secrets.mint(), secrets.mint()
    parts = parse(first.text)
    assert parts is not None
    assert parts.id == first.id
    assert secrets.matches(parts.secret, first.digest)
    assert not secrets.matches(parts.secret, second.digest)
    assert not secrets.matches(parts.secret, None)
    assert not KeySecrets("another pepper, as long").matches(parts.secret, first.digest)


def test_no_digest_matches_nothing_though_the_work_is_done() -> None:
    assert not KeySecrets(PEPPER).matches("", None)


@pytest.mark.parametrize("bits", [lambda _: 0, lambda n: 2**n - 1], ids=["all zero", "all one"])
def test_any_random_number_makes_a_key(bits: object) -> None:
    minted = KeySecrets(PEPPER, random=bits).mint()  # type: ignore[arg-type]
    assert parse(minted.text) is not None


def test_a_minted_key_is_not_printed() -> None:
    minted = KeySecrets(PEPPER).mint()
    assert minted.text not in repr(minted)
