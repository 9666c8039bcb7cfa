"""python-tuf's own client on a repository's folder, at a time of the test's choosing."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater


class FileFetcher(FetcherInterface):
    """Reads ``file:`` addresses."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = Path(url.removeprefix("file://"))
        if not path.is_file():
            raise DownloadHTTPError(f"{path} is not there", 404)
        return iter([path.read_bytes()])


def trusting_reader(repository: Path, folder: Path, now: int) -> Updater:
    """A client that knows the first root alone. ``now``: microseconds since 1970."""
    folder.mkdir(parents=True)
    root = (repository / "metadata" / "1.root.json").read_bytes()
    reader = Updater(
        str(folder),
        f"file://{repository}/metadata/",
        fetcher=FileFetcher(),
        target_base_url="file://x/",
        bootstrap=root,
    )
    reader._trusted_set.reference_time = datetime.fromtimestamp(now // 1_000_000, UTC)
    return reader
