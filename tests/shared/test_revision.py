"""A service works only on the schema that it was written for."""

import pytest
from sqlalchemy.exc import DBAPIError

from shared.revision import WrongRevision, check_revision
from tests.shared.ground import Ground, module_named


def test_the_schema_at_its_revision_is_in_order(ground: Ground) -> None:
    check_revision(ground.database, module_named())


@pytest.mark.parametrize("found", ["0000", "0002", None])
def test_a_schema_at_another_revision_is_not(found: str | None, ground: Ground) -> None:
    ground.sql("delete from ground.migrations")
    if found:
        ground.sql("insert into ground.migrations values (%s)", found)

    with pytest.raises(WrongRevision) as refused:
        check_revision(ground.database, module_named())
    assert refused.value.members == {"schema": "ground", "found": found, "needed": "0001"}
    assert refused.value.status == 503


def test_a_database_that_was_never_migrated_is_not(ground: Ground) -> None:
    ground.sql("drop schema ground cascade")

    with pytest.raises((WrongRevision, DBAPIError)):
        check_revision(ground.database, module_named())
