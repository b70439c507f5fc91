"""A real browser without a window, that has no network: what it shows of a page."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

FETCH: Final = "tests/rehearsal/fetch-browser"
PATIENCE_SECONDS: Final = 120.0
# Every name leads nowhere: a page that needs something from elsewhere shows it.
ALONE: Final = ("--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking")


def dumped(page: Path, profile: Path) -> str:
    """Return the document as Chromium has it after it has loaded and run the page."""
    return _chromium(profile, "--dump-dom", f"file://{page}")


def pictured(page: Path, profile: Path, width: int, height: int) -> bytes:
    """Return a picture of the page in a window of so many pixels, as PNG."""
    picture = profile.with_suffix(".png")
    size = f"--window-size={width},{height}"
    _chromium(profile, "--hide-scrollbars", size, f"--screenshot={picture}", f"file://{page}")
    return picture.read_bytes()


def _chromium(profile: Path, *arguments: str) -> str:
    program = shutil.which("chromium")
    assert program, f"Chromium is missing: {FETCH} (or: sudo apt-get install chromium)"
    quiet = ("--headless", "--no-sandbox", "--disable-gpu", *ALONE, f"--user-data-dir={profile}")
    done = subprocess.run(
        [program, *quiet, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
