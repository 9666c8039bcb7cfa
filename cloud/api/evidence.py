"""``/api/v1/evidence/{sha256}``: pictures and clips, for people's eyes."""

from typing import Annotated, Final

from fastapi import APIRouter, HTTPException, Path
from fastapi.responses import FileResponse

from cloud.api.context import Database, Here
from cloud.evidence.intake import media_type

router = APIRouter(prefix="/api/v1/evidence", tags=["evidence"])

_SHOWN: Final = frozenset({"image/jpeg", "image/png", "image/webp", "video/mp4"})
"""What a browser may show in our name; anything else that a node may call its file is offered as a download."""


@router.get("/{sha256}")
@router.head("/{sha256}", include_in_schema=False)
def show_evidence(
    sha256: Annotated[str, Path(pattern="^[0-9a-f]{64}$")], connection: Database, context: Here
) -> FileResponse:
    """The bytes, whole or a ``Range`` of them. A file never changes under its name, so it may be kept for ever."""
    path = context.evidence.local(sha256)
    if path is None:
        raise HTTPException(
            404, f"evidence {sha256} is not here (yet); a node uploads it after the record that names it"
        )
    kind = media_type(connection, sha256)
    return FileResponse(
        path,
        media_type=kind if kind in _SHOWN else "application/octet-stream",
        content_disposition_type="inline" if kind in _SHOWN else "attachment",
        filename=sha256,
        headers={
            "Cache-Control": "private, max-age=31536000, immutable",
            "Content-Security-Policy": "default-src 'none'; img-src 'self'; media-src 'self'; sandbox",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        },
    )
