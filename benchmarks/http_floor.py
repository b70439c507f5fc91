"""The floor of the HTTP service: the same server, which answers every call with the same bytes.

It reads the body and does nothing else: whatever the service costs beyond this is its own. Takes
the file of the answer's body as its argument, and prints the port that it listens at.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from starlette.types import Receive, Scope, Send

from engine.api.binding import Security, bind
from engine.api.server import Server


def constant(body: Path) -> object:
    """An application that answers with what a file holds now."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body", False):
            pass
        told = body.read_bytes() if scope["path"] == "/reload" else answers[0]
        answers[0] = told
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(told)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": told})

    answers = [body.read_bytes()]
    return answer


def main() -> None:
    """Serve until killed."""
    taken = bind("127.0.0.1", 0)
    server = Server(constant(Path(sys.argv[1])), taken, Security(False))  # type: ignore[arg-type]
    server.start()
    print(taken.getsockname()[1], flush=True)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
