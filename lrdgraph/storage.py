"""Files and folders that are either the old version or the new one, never half of each."""

from __future__ import annotations

import fcntl
import glob
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lrdgraph.errors import ConfigError, DataError


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it into place when the block ends without error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_replaceable(folder: Path, holds: str, what: str) -> None:
    """Refuse to replace a file, or a folder of other things than ``what``, whose mark is a file called ``holds``.

    Raises:
        ConfigError: ``folder`` is a file, or holds files of which none is called ``holds``.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; name a new folder for {what}.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / holds).is_file():
        raise ConfigError(f"{folder} holds files that are not {what}; name a new or empty folder.")


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; swap it into place when the block ends without error.

    A kill between the two renames leaves the old folder as ``.NAME.old``; :func:`settle_folder` puts it back.
    """
    path = Path(os.path.abspath(path))  # "." has no name to put beside it
    settle_folder(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    temporary.mkdir()
    old = path.with_name(f".{path.name}.old")
    held = os.open(temporary, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems know no locks
            fcntl.flock(held, fcntl.LOCK_SH)
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _sync(file)
        if path.exists():
            os.replace(path, old)
        os.replace(temporary, path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        os.close(held)
        shutil.rmtree(temporary, ignore_errors=True)


def settle_folder(path: Path) -> None:
    """Undo a swap that was killed between its two renames, and remove what killed writers left behind.

    Nothing is done while a writer of ``path`` is at work.
    """
    path = Path(os.path.abspath(path))
    pattern = re.compile(re.escape(f".{path.name}.") + r"[0-9a-f]{32}\.tmp")
    made = path.parent.glob(f".{glob.escape(path.name)}.*.tmp")
    left = [folder for folder in made if pattern.fullmatch(folder.name) and folder.is_dir()]
    if not all(_abandoned(folder) for folder in left):
        return
    old = path.with_name(f".{path.name}.old")
    if old.exists():
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(old, path)
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)


def _abandoned(folder: Path) -> bool:
    """Whether the process that made a temporary folder is gone: the system lets go of its lock then."""
    try:
        held = os.open(folder, os.O_RDONLY)
    except OSError as error:
        return isinstance(error, FileNotFoundError)  # what may not be opened is another person's
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(held)
    return True


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold a folder itself, which is made where there is none, and removed again where nothing came into it.

    Raises:
        ConfigError: another process holds it.
    """
    try:
        folder.mkdir(parents=True)
        made = True
    except FileExistsError:
        made = False
    held = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"{folder} is being trained by another process; wait for it or name another folder."
            ) from None
        except OSError:
            pass  # some file systems know no locks
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(held, fcntl.LOCK_UN)  # closing lets go of nothing that a forked process has as well
        os.close(held)
        if made:
            with suppress(OSError):
                folder.rmdir()


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as readable JSON, atomically; non-finite numbers are an error."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: the file is missing or is not valid JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; check the path.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not valid JSON ({error}); restore it or write it anew.") from None
