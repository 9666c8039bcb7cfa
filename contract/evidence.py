"""The names under which evidence is uploaded, and the states of an upload. HTTPS, resumable, by content."""

from typing import Final

MAX_FILE_BYTES: Final = 512 * 1024 * 1024
"""A larger file is refused with 413."""

OFFSET_HEADER: Final = "Upload-Offset"
LENGTH_HEADER: Final = "Upload-Length"


def upload_path(sha256: str) -> str:
    """``HEAD`` tells how much is there (``Upload-Offset``), ``PATCH`` appends from ``Upload-Offset`` on (of
    ``Upload-Length`` bytes in all); the file is kept when the whole matches its name."""
    return f"/node/v1/evidence/{sha256}"
