"""A node's secret: never kept, only verified."""

import base64

import pytest

from cloud.identity.nodes import (
    NotAuthenticError,
    Verifier,
    basic_credentials,
    hash_secret,
    new_secret,
    verify_secret,
)


def test_only_the_right_secret_is_verified_and_the_hash_does_not_hold_it() -> None:
    secret = new_secret()
    kept = hash_secret(secret)
    assert secret not in kept
    assert verify_secret(secret, kept)
    assert not verify_secret(secret + "x", kept)
    assert hash_secret(secret) != kept


@pytest.mark.parametrize("kept", ["", "scrypt$1", "scrypt$x$8$1$AA==$AA==", "scrypt$3$8$1$AA==$AA==", "md5$1$2$3$4$5"])
def test_a_damaged_hash_verifies_nothing(kept: str) -> None:
    assert not verify_secret("secret", kept)


def test_a_verifier_says_no_after_the_secret_was_changed() -> None:
    verifier = Verifier()
    old, new = hash_secret("old"), hash_secret("new")
    assert verifier.verify("old", old)
    assert verifier.verify("old", old)
    assert not verifier.verify("old", new)
    assert not verifier.verify("old", None)
    assert not verifier.verify("", None)


def test_basic_credentials_name_site_node_and_secret() -> None:
    header = "Basic " + base64.b64encode(b"demo/gate:a:b").decode()
    assert basic_credentials(header) == ("demo", "gate", "a:b")


@pytest.mark.parametrize("header", [None, "", "Bearer x", "Basic ???", "Basic " + base64.b64encode(b"gate:x").decode()])
def test_other_credentials_are_refused_with_the_way_out(header: str | None) -> None:
    with pytest.raises(NotAuthenticError, match="site/node"):
        basic_credentials(header)
