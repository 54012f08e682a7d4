"""Files over HTTP: what has arrived is kept, so that a broken download goes on, and what is whole is checked."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.storage import read_json, write_json

CHUNK = 1 << 20
TIMEOUT = 60.0
_BROKEN = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError)
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Download:
    """A file that has arrived.

    Attributes:
        path: the file.
        bytes: its size.
        sha256: its SHA-256, hexadecimal.
        fetched: False where it was there already.
    """

    path: Path
    bytes: int
    sha256: str
    fetched: bool


def download(
    address: str,
    folder: Path,
    *,
    sha256: str | None = None,
    progress: Progress | None = None,
    attempts: int = 5,
    pause: float = 2.0,
) -> Download:
    """Fetch a file into a folder, under the name it has in the address.

    What has arrived stands in ``NAME.part`` until the file is whole; a broken download goes on from there, in this
    call and in later ones, unless the file has changed on the server. Beside the file ``NAME.sha256.json`` records
    address, size and SHA-256. A file that is there already is checked against ``sha256`` or that record, not fetched.

    Args:
        address: ``http`` or ``https``.
        folder: made where it is missing.
        sha256: what the file must have; without it the first download is trusted.
        progress: called with bytes so far and in all, where the server says how many.
        attempts: how often in a row nothing may arrive.
        pause: seconds before the second of them; it doubles each time.

    Raises:
        ConfigError: the address is of another kind, or ``sha256`` is none.
        DataError: the server cannot be reached, has no such file, or the file has another SHA-256.
    """
    name = unquote(Path(urlsplit(address).path).name)
    if urlsplit(address).scheme not in ("http", "https") or not name or "/" in name or "\\" in name:
        raise ConfigError(f"'{address}' is no http or https address of a file; correct it.")
    sha256 = None if sha256 is None else sha256.lower()
    if sha256 is not None and (len(sha256) != 64 or set(sha256) - set("0123456789abcdef")):
        raise ConfigError(f"'{sha256}' is no SHA-256; give 64 hexadecimal digits.")
    folder.mkdir(parents=True, exist_ok=True)
    target, record = folder / name, folder / f"{name}.sha256.json"
    if target.exists():
        return _there(address, target, record, sha256)

    part = folder / f"{name}.part"
    failures = 0
    while True:
        before = _size(part)
        try:
            if _fetch(address, part, progress):
                break
            reason = "the connection broke off"
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in (408, 429):
                raise DataError(
                    f"{address} answers {error.code} ({error.reason}); check its name, and on the release's page "
                    "whether it is published."
                ) from None
            reason = f"answer {error.code}"
        except _BROKEN as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        failures = 0 if _size(part) > before else failures + 1
        if failures >= attempts:
            raise DataError(
                f"{address} cannot be fetched ({reason.rstrip('.')}); check the network and run the same again to go "
                f"on, or put the file into {folder} by other means."
            )
        if failures:
            time.sleep(pause * 2 ** (failures - 1))
    found = _digest(part)
    if sha256 is not None and found != sha256:
        part.unlink()
        raise DataError(f"{address} has SHA-256 {found}, expected {sha256}; it was not kept: check which is right.")
    os.replace(part, target)
    _state(part).unlink(missing_ok=True)
    return _record(address, target, record, found, fetched=True)


def _there(address: str, target: Path, record: Path, sha256: str | None) -> Download:
    found = _digest(target)
    known = read_json(record) if record.exists() else {}
    expected = sha256 or (known.get("sha256") if isinstance(known, dict) else None)
    if expected is not None and found != expected:
        raise DataError(f"{target} has SHA-256 {found}, expected {expected}; remove it to fetch it again.")
    return _record(address, target, record, found, fetched=False)


def _record(address: str, target: Path, record: Path, sha256: str, *, fetched: bool) -> Download:
    size = target.stat().st_size
    write_json(record, {"address": address, "bytes": size, "sha256": sha256})
    return Download(target, size, sha256, fetched)


def _fetch(address: str, part: Path, progress: Progress | None) -> bool:
    """Fetch what is missing of ``part``; whether it is whole then."""
    have, state = _size(part), _known(part)
    request = urllib.request.Request(address, headers={"Accept-Encoding": "identity", "User-Agent": "lrdgraph"})
    version = state.get("version")
    if have and version:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", version)
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        if have == state.get("bytes"):
            return True
        part.unlink()
        return False
    with answer:
        resumed = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        start = have if resumed else 0
        length = answer.headers.get("Content-Length")
        total = None if length is None else start + int(length)
        # a weak tag does not promise equal bytes
        tag = answer.headers.get("ETag", "")
        version = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified")
        _state(part).write_text(json.dumps({"version": version, "bytes": total}), encoding="utf-8")
        with part.open("ab" if resumed else "wb") as file:
            done = start
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                done += len(chunk)
                if progress is not None and total is not None:
                    progress(done, total)
    return total is None or done == total


def _state(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _known(part: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        state = json.loads(_state(part).read_text(encoding="utf-8"))
        return state if isinstance(state, dict) else {}
    return {}


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
