"""A principal knows whether it may act for the vendor, and whose account it is."""

from uuid import uuid4

import pytest

from shared.principal import Principal, Role


@pytest.mark.parametrize(
    ("role", "is_ops"), [("anonymous", False), ("quant", False), ("ops", True), ("admin", True), ("service", False)]
)
def test_ops_and_admins_act_for_the_vendor(role: Role, is_ops: bool) -> None:
    assert Principal(role=role, name="x").is_ops is is_ops


def test_an_account_is_asked_for_only_where_there_is_one() -> None:
    account = uuid4()

    assert Principal(role="quant", name="Ada", account=account).account_id == account
    with pytest.raises(LookupError):
        _ = Principal(role="anonymous", name="anonymous").account_id
