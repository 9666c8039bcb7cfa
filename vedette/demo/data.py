"""Where the real clips and sensor logs lie, if they are here at all."""

import os
from pathlib import Path

_REPOSITORY = Path(__file__).parents[2]


def data_folder() -> Path | None:
    """``VEDETTE_DATA``, else ``../shared/data`` beside the repository; None where neither is a folder."""
    named = os.environ.get("VEDETTE_DATA")
    folder = Path(named) if named else _REPOSITORY.parent / "shared" / "data"
    return folder if folder.is_dir() else None
