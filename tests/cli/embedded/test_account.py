"""Root's servers live where their account can reach them, and never in somebody else's folder."""

import os
from pathlib import Path

import pytest

from cli.embedded.account import (
    Account,
    EmbeddedServerError,
    Place,
    acting_as,
    outside_folder,
    prepare_home,
    prepare_place,
    remove_outside,
    runnable,
    server_account,
    write_private,
)

STRANGER = 54321
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root hands its servers to another account")
as_user = pytest.mark.skipif(os.geteuid() == 0, reason="root hands its servers to another account")


@as_user
def test_a_normal_user_keeps_everything_in_a_private_home(home: Path) -> None:
    place = prepare_place(prepare_home(home))
    assert place == Place(folder=home / "servers", account=None)
    assert home.stat().st_mode & 0o777 == 0o700


@as_root
def test_a_home_made_by_root_lets_only_the_account_through(home: Path) -> None:
    place = prepare_place(prepare_home(home))
    assert home.stat().st_mode & 0o777 == 0o710
    assert place.folder == home / "servers"
    assert place.folder.stat().st_uid == _account().uid
    assert place.folder.stat().st_mode & 0o777 == 0o700
    assert not outside_folder(home).exists()


@as_root
def test_an_empty_home_counts_as_just_made_and_a_used_one_keeps_its_mode(home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "mine").touch()
    assert prepare_home(home).stat().st_mode & 0o777 == 0o700
    (home / "mine").unlink()
    assert prepare_home(home).stat().st_mode & 0o777 == 0o710


@as_root
def test_below_a_closed_folder_the_servers_live_in_var_tmp(folder: Path, home: Path) -> None:
    folder.chmod(0o700)
    place = prepare_place(prepare_home(home))
    assert place.folder == outside_folder(home)
    assert place.folder.stat().st_uid == _account().uid
    assert place.folder.stat().st_mode & 0o777 == 0o700
    assert list(home.iterdir()) == []


@as_root
def test_data_in_var_tmp_stay_in_use_when_the_way_home_is_opened(folder: Path, home: Path) -> None:
    folder.chmod(0o700)
    before = prepare_place(prepare_home(home))
    folder.chmod(0o755)
    assert prepare_place(home) == before


@as_root
def test_data_at_home_that_became_unreachable_are_not_forgotten(folder: Path, home: Path) -> None:
    prepare_place(prepare_home(home))
    folder.chmod(0o700)
    with pytest.raises(EmbeddedServerError, match="cannot reach"):
        prepare_place(home)


@as_root
def test_a_strangers_folder_in_var_tmp_is_refused(folder: Path, home: Path) -> None:
    folder.chmod(0o700)
    squatted = outside_folder(home)
    squatted.mkdir()
    os.chown(squatted, STRANGER, STRANGER)
    with pytest.raises(EmbeddedServerError, match=f"belongs to uid {STRANGER}"):
        prepare_place(prepare_home(home))
    squatted.rmdir()


@as_root
def test_a_link_in_var_tmp_is_refused(folder: Path, home: Path) -> None:
    folder.chmod(0o700)
    squatted = outside_folder(home)
    squatted.symlink_to(folder)
    with pytest.raises(EmbeddedServerError, match="not a folder of ours"):
        prepare_place(prepare_home(home))
    remove_outside(home)
    assert squatted.is_symlink()
    squatted.unlink()


@as_root
def test_programs_out_of_reach_are_copied_once_per_version(folder: Path, home: Path) -> None:
    programs = _programs(folder)
    place = prepare_place(prepare_home(home))
    copy = runnable(programs, ["bin", "missing"], place=place, name="thing-1")
    assert copy == place.folder / "programs" / "thing-1"
    with acting_as(place.account):
        assert os.access(copy / "bin" / "run", os.X_OK, effective_ids=True)
        assert (copy / "bin" / "deep" / "data").read_text() == "data"
    (programs / "bin" / "deep" / "data").write_text("changed")
    runnable(programs, ["bin"], place=place, name="thing-1")
    assert (copy / "bin" / "deep" / "data").read_text() == "data"
    other = runnable(programs, ["bin"], place=place, name="thing-2")
    assert (other / "bin" / "deep" / "data").read_text() == "changed"


@as_root
def test_readable_programs_are_used_in_place(folder: Path, home: Path) -> None:
    programs = _programs(folder)
    programs.chmod(0o755)
    assert runnable(programs, ["bin"], place=prepare_place(prepare_home(home)), name="thing-1") == programs
    (programs / "bin" / "deep" / "data").chmod(0o600)
    assert runnable(programs, ["bin"], place=prepare_place(home), name="thing-1") != programs


@as_root
def test_acting_as_the_account_ends_with_the_block() -> None:
    before = os.geteuid(), os.getegid(), os.getgroups()
    account = _account()
    with acting_as(account):
        assert (os.geteuid(), os.getegid(), os.getgroups()) == (account.uid, account.gid, [account.gid])
    assert (os.geteuid(), os.getegid(), os.getgroups()) == before


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    (tmp_path / "secret.new").write_text("left by a killed start")
    for text in ("first", "second"):
        write_private(path, text)
        assert path.read_text() == text
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def _account() -> Account:
    account = server_account()
    assert account is not None
    return account


def _programs(folder: Path) -> Path:
    programs = folder / "programs"
    (programs / "bin" / "deep").mkdir(parents=True)
    (programs / "bin" / "run").write_text("#!/bin/sh\n")
    (programs / "bin" / "run").chmod(0o755)
    (programs / "bin" / "deep" / "data").write_text("data")
    programs.chmod(0o700)
    return programs
