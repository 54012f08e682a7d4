"""One process at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lrdgraph.errors import ConfigError


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``; the system lets it go when the process ends, however that happens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


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
