"""Files out of a zip archive that is not trusted."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from lrdgraph.errors import DataError

MOST_BYTES = 1 << 30


def unpack(archive: Path, folder: Path, wanted: Callable[[PurePosixPath], bool]) -> list[Path]:
    """Write the wanted files into ``folder``, without their folders.

    Nothing is written when any name in the archive, wanted or not, points outside of it; links become plain files.

    Args:
        archive: a zip file (a wheel is one).
        folder: an existing folder.
        wanted: which of the archive's paths to write.

    Returns:
        The written files.

    Raises:
        DataError: the archive is damaged, a path leaves its folder, or more than a gibibyte would be written.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            members = [(info, PurePosixPath(info.filename.replace("\\", "/"))) for info in file.infolist()]
            for _, path in members:
                if path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1]):
                    raise DataError(
                        f"{archive} holds the path '{path}', which leaves its folder; do not use this archive."
                    )
            chosen = [(info, path) for info, path in members if not info.is_dir() and wanted(path)]
            if sum(info.file_size for info, _ in chosen) > MOST_BYTES:
                raise DataError(f"{archive} would unpack to more than {MOST_BYTES} bytes; check what it is.")
            for info, path in chosen:
                (folder / path.name).write_bytes(file.read(info))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError) as error:
        raise DataError(f"{archive} is not a whole zip archive ({error}); fetch it again.") from None
    return [folder / path.name for _, path in chosen]
