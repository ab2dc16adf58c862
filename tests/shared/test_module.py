"""A module is a value: the table of contents of a service, which nobody changes afterwards."""

from dataclasses import FrozenInstanceError

import pytest

from tests.shared.ground import module_named


def test_a_module_has_no_more_than_it_names() -> None:
    module = module_named()

    assert (module.outbox, module.job_runs, module.jobs, dict(module.tasks), module.neighbours) == (
        None,
        None,
        None,
        {},
        (),
    )


def test_a_module_cannot_be_changed() -> None:
    module = module_named()

    with pytest.raises(FrozenInstanceError):
        module.name = "another"  # type: ignore[misc]
