"""Digests of secrets: a passlib handler for each pepper, in one CryptContext."""

import hashlib
import hmac

import pytest
from passlib.context import CryptContext

from gateway.keys.policy import parse
from gateway.keys.secrets import WRONG, KeySecrets, Verdict, peppered

PEPPER = "a pepper for tests only"
NEWER = "a newer pepper for tests"
SECRET = "s" * 43


def digest_of(secret: str, version: int, pepper: str) -> str:
    return f"$tg-hmac${version}$" + hmac.new(pepper.encode(), secret.encode(), hashlib.sha256).hexdigest()


def context() -> CryptContext:
    return CryptContext(schemes=[peppered(1, PEPPER)])


def test_the_digest_is_the_hmac_under_the_pepper() -> None:
    assert context().hash(SECRET) == digest_of(SECRET, 1, PEPPER)


def test_the_context_tells_right_from_wrong() -> None:
    digest = context().hash(SECRET)
    assert context().verify(SECRET, digest)
    assert not context().verify(SECRET + "s", digest)
    assert context().identify(digest) == "tg_hmac_1"


BROKEN = [digest_of(SECRET, 2, NEWER), "$tg-hmac$1$00", "$tg-hmac$1$" + "Z" * 64, "$tg-hmac$1$", "$other$1$00", ""]


@pytest.mark.parametrize("digest", BROKEN)
def test_what_no_known_pepper_made_is_an_error_to_passlib_and_just_wrong_to_us(digest: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - passlib's own, of several kinds
        context().verify(SECRET, digest)
    assert KeySecrets(PEPPER).verify(SECRET, digest) == WRONG


def test_a_minted_key_matches_its_digest_only() -> None:
    secrets = KeySecrets(PEPPER)
    first, second = secrets.mint(), secrets.mint()
    parts = parse(first.text)
    assert parts is not None
    assert parts.id == first.id
    assert secrets.verify(parts.secret, first.digest) == Verdict(is_right=True)
    assert secrets.verify(parts.secret, second.digest) == WRONG
    assert secrets.verify(parts.secret, None) == WRONG
    assert KeySecrets("another pepper, as long").verify(parts.secret, first.digest) == WRONG


def test_no_digest_matches_nothing_though_the_work_is_done() -> None:
    assert KeySecrets(PEPPER).verify("", None) == WRONG
    assert KeySecrets(PEPPER).verify("", digest_of("", 9, PEPPER)) == WRONG


def test_a_digest_under_an_older_pepper_counts_and_is_renewed_to_the_present_one() -> None:
    secrets = KeySecrets(NEWER, version=10, others={1: PEPPER})
    renewed = digest_of(SECRET, 10, NEWER)
    assert secrets.verify(SECRET, digest_of(SECRET, 1, PEPPER)) == Verdict(is_right=True, renewed=renewed)
    assert secrets.verify(SECRET, renewed) == Verdict(is_right=True)
    assert secrets.verify("wrong", digest_of(SECRET, 1, PEPPER)) == WRONG
    assert secrets.mint().digest.startswith("$tg-hmac$10$")


def test_a_digest_under_a_pepper_still_to_come_counts_and_stays() -> None:
    """So that replicas that were told of the change and those that were not do not renew against each other."""
    secrets = KeySecrets(PEPPER, version=1, others={2: NEWER})
    assert secrets.verify(SECRET, digest_of(SECRET, 2, NEWER)) == Verdict(is_right=True)
    assert secrets.mint().digest.startswith("$tg-hmac$1$")


def test_a_pepper_under_the_wrong_version_opens_nothing() -> None:
    assert KeySecrets(NEWER, version=2, others={1: NEWER}).verify(SECRET, digest_of(SECRET, 1, PEPPER)) == WRONG


@pytest.mark.parametrize("bits", [lambda _: 0, lambda n: 2**n - 1], ids=["all zero", "all one"])
def test_any_random_number_makes_a_key(bits: object) -> None:
    minted = KeySecrets(PEPPER, random=bits).mint()  # type: ignore[arg-type]
    assert parse(minted.text) is not None


def test_a_minted_key_is_not_printed() -> None:
    minted = KeySecrets(PEPPER).mint()
    assert minted.text not in repr(minted)
