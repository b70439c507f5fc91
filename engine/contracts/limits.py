"""Every limit that a movement is held to, by name and with its unit.

A limit that is part of the wire (lengths, quantities, sizes) is a promise to publishers: it may be
widened, never narrowed, without a new `schema` number.
"""

from __future__ import annotations

from typing import Final

# Sizes, in bytes.
MAX_MOVEMENT_BYTES: Final = 64 * 1024

# Lengths of texts, in characters.
MAX_ID_LENGTH: Final = 128
MAX_SOURCE_LENGTH: Final = 64
MAX_SKU_LENGTH: Final = 100
MAX_LOCATION_LENGTH: Final = 64
MAX_RESERVATION_LENGTH: Final = 128
MAX_NOTE_LENGTH: Final = 256
"""Of `reason`, `reference` and `correlation_id`; these may also be empty."""

# Quantities, in base units.
MAX_QUANTITY: Final = 10**9
MIN_SIGNED_QUANTITY: Final = -(10**9)

# Shape of the JSON.
MAX_NESTING_DEPTH: Final = 512
"""Arrays and objects inside one another, levels. Only unknown fields can nest at all; the limit
keeps the answer independent of how deep the caller's own stack is."""

MOVEMENT_SCHEMA: Final = 1
"""The one `schema` number that is understood."""

# Requests over HTTP, counts.
MAX_MOVEMENTS_PER_REQUEST: Final = 1_000
MAX_OBSERVATIONS_PER_REQUEST: Final = 1_000
MAX_LOOKUP_KEYS: Final = 1_000
MAX_RESERVATION_LINES: Final = 100
MAX_PAGE_ROWS: Final = 1_000
MAX_BODY_BYTES: Final = 8 * 1024 * 1024
"""Of one request: a thousand movements of some size; not of the largest that one may be."""

MAX_RULES_FILES: Final = 200
MAX_RULES_FILE_BYTES: Final = 4 * 1024 * 1024
MAX_RULES_FILE_NAME_LENGTH: Final = 60
"""Characters, so that the name fits into the 255 bytes of a file system in any alphabet."""
MAX_CHANGES_SHOWN: Final = 10_000
"""Changes that one answer to what other rules would change tells of; all are counted."""

# Outgoing documents, counts.
MAX_POSTING_LINES: Final = 500

# Messages for people.
MAX_SHOWN_LENGTH: Final = 60
"""Characters of a faulty value that a message repeats."""

# Caches of one decoder, entries; each is emptied when it is full.
MAX_CACHED_TEXTS: Final = 131_072
MAX_CACHED_INSTANTS: Final = 4_096
