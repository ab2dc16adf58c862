"""Whose account the servers run under, and in which folder their data and programs live."""

import hashlib
import os
import pwd
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

VAR_LIB = Path("/var/lib")  # and not /var/tmp: what lies there for weeks is swept away


class EmbeddedServerError(Exception):
    """An embedded server cannot start; the message says what to do next."""


@dataclass(frozen=True)
class Account:
    """An unprivileged account that root hands its servers to."""

    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True)
class Place:
    """The folder that belongs to the servers: their data, and copies of their programs where they need some."""

    folder: Path
    account: Account | None


def server_account() -> Account | None:
    """The account to drop to: none for a normal user; "postgres", else "nobody" for root, whom PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid, home=entry.pw_dir)
    raise EmbeddedServerError("root has no account to run servers as: create the user `postgres`, or be a normal user.")


def prepare_home(home: Path) -> Path:
    """Create the state folder if it is missing and return it absolute.

    It is 0700; for root it is 0710 with the group of the servers' account, so that they reach their own folder in it.
    An empty folder of root's is treated as just made; one that holds anything keeps its mode.
    """
    home = home.resolve()
    home.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        home.mkdir(mode=0o700)
    account = server_account()
    if account is not None and home.stat().st_uid == 0 and not any(home.iterdir()):
        os.chown(home, -1, account.gid)
        home.chmod(0o710)
    return home


def outside_folder(home: Path) -> Path:
    """Where the servers' folder is when their account cannot reach `home`."""
    return VAR_LIB / f"tickgate-{hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:12]}"


def prepare_place(home: Path) -> Place:
    """Find or make the servers' folder: below `home`, or in /var/lib if their account cannot reach `home`.

    Raises EmbeddedServerError when the folder belongs to somebody else or has become unreachable.
    """
    account = server_account()
    inside, outside = home / "servers", outside_folder(home)
    if account is None or _can_enter(home, account):
        # Data once made outside stay in use when the way to the home is opened later.
        folder = outside if account and not inside.exists() and _belongs_to(outside, account) else inside
    elif inside.exists():
        raise EmbeddedServerError(
            f"{inside} holds data that the account {account.name} cannot reach (any more): "
            f"start as the user who made it, or open the folders on the way to it (chmod o+x)."
        )
    else:
        folder = outside
    _claim(folder, account)
    return Place(folder=folder, account=account)


def remove_outside(home: Path) -> None:
    """Delete what lies in /var/lib for `home`, data included; nothing happens if there is nothing of ours."""
    folder, account = outside_folder(home), server_account()
    if account is not None and _belongs_to(folder, account):
        with acting_as(account):
            shutil.rmtree(folder, ignore_errors=True)
        folder.rmdir()


def runnable(base: Path, parts: Sequence[str], *, place: Place, name: str) -> Path:
    """The folder below which `parts` of `base` can be run by the servers' account: `base`, or a copy made once.

    `name` carries the version, so that another version is copied anew.
    """
    account = place.account
    trees = [base / part for part in parts if (base / part).exists()]
    if account is None or all(_can_use(tree, account) for tree in trees):
        return base
    copy = place.folder / "programs" / name
    with acting_as(account):
        done = copy.exists()
    if not done:
        _copy(base, trees, copy=copy, account=account)
    return copy


@contextmanager
def acting_as(account: Account | None) -> Iterator[None]:
    """Touch files as the servers' account: root never follows a link that this account may have planted."""
    if account is None:
        yield
        return
    uid, gid, groups = os.geteuid(), os.getegid(), os.getgroups()
    try:
        os.setgroups([account.gid])
        os.setegid(account.gid)
        os.seteuid(account.uid)
        yield
    finally:
        os.seteuid(uid)
        os.setegid(gid)
        os.setgroups(groups)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _claim(folder: Path, account: Account | None) -> None:
    """Make `folder` the account's own, 0700; whoever was here before us is refused."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    owner = os.geteuid() if account is None else account.uid
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (owner, os.geteuid()):
        raise EmbeddedServerError(
            f"{folder} is not a folder of ours (it belongs to uid {found.st_uid}): "
            f"look who made it, and remove it or choose another home (TICKGATE_HOME)."
        )
    if account is not None and found.st_uid != owner:
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    with acting_as(account):
        folder.chmod(0o700)


def _belongs_to(folder: Path, account: Account) -> bool:
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == account.uid


def _can_enter(folder: Path, account: Account) -> bool:
    return all(_allows(step, account, 0o1) for step in (folder, *folder.parents))


def _can_use(tree: Path, account: Account) -> bool:
    tree = tree.resolve()
    if not _can_enter(tree.parent, account):
        return False
    files = [tree, *tree.rglob("*")] if tree.is_dir() else [tree]
    return all(_allows(file, account, 0o5 if file.stat().st_mode & 0o100 else 0o4) for file in files)


def _allows(path: Path, account: Account, bits: int) -> bool:
    found = path.stat()
    shift = 6 if found.st_uid == account.uid else 3 if found.st_gid == account.gid else 0
    return (found.st_mode >> shift) & bits == bits


def _copy(base: Path, trees: Sequence[Path], *, copy: Path, account: Account) -> None:
    """Read as root, write as the account, which cannot read the original."""
    files = [file for tree in trees for file in ([tree] if tree.is_file() else tree.rglob("*")) if file.is_file()]
    contents = [(file.relative_to(base), file.read_bytes(), file.stat().st_mode & 0o100) for file in files]
    draft = copy.with_name(copy.name + ".new")
    with acting_as(account):
        shutil.rmtree(draft, ignore_errors=True)
        for name, content, executable in contents:
            target = draft / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            target.chmod(0o700 if executable else 0o600)
        draft.rename(copy)
