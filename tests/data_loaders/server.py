"""A web server of one file on this machine: it may know ranges, break off, or refuse."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What the server does, which a test may change between requests, and what it was asked.

    Attributes:
        data: the file.
        address: its address.
        version: its tag; None sends none.
        breaks: so many bytes are sent of each of the next answers, one number for each, before the connection ends.
        status: answers of the next requests that are refused.
        ranges: the Range header of each request, or None.
    """

    data: bytes
    address: str = ""
    version: str | None = '"one"'
    breaks: list[int] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)


@contextmanager
def serving(data: bytes, name: str = "reviews_Pens_5.json.gz") -> Iterator[Site]:
    """Serve ``data`` under any path."""
    site = Site(data)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            site.ranges.append(asked)
            if site.status:
                return self.send_error(site.status.pop(0))
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked else 0  # type: ignore[index]
            if self.headers.get("If-Range") not in (None, site.version):
                start = 0
            if start and start >= len(site.data):
                return self.send_error(416)
            body = site.data[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            if site.version is not None:
                self.send_header("ETag", site.version)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(site.data) - 1}/{len(site.data)}")
            self.end_headers()
            self.wfile.write(body[: site.breaks.pop(0)] if site.breaks else body)
            self.close_connection = True
            return None

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    site.address = f"http://127.0.0.1:{server.server_address[1]}/files/{name}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
