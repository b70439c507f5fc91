"""How often the garbage collector looks, in a process that runs the engine."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

YOUNG_OBJECTS: Final = 5_000_000
"""New objects between two looks of the garbage collector (700 by default). The engine makes next
to no cycles and keeps many objects: looking rarely saves a sixth of the time of a replay, at no
measurable cost in memory."""

YOUNG_OBJECTS_LISTENING: Final = 200_000
"""The same for an engine that listens: a web server makes cycles, and its callers do not want to
wait until millions of objects were looked at."""


@contextmanager
def rare_collections(young_objects: int = YOUNG_OBJECTS) -> Iterator[None]:
    """Keep the garbage collector from looking at what is there for good, again and again."""
    before = gc.get_threshold()
    gc.freeze()  # what imports leave behind is not worth a look at everything they made
    gc.set_threshold(young_objects, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
