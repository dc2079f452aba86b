"""The objects of the log, read for a caller."""

from collections import deque
from datetime import timedelta

from consents.aws.s3 import ObjectGone, Objects
from consents.domain.errors import NotFound
from consents.proof import log_names

MAX_ANCHORS = 1000
_LINK_LIFETIME = timedelta(minutes=5)


class LogReader:
    """Reads objects by their names, which are valid."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def read(self, name: str) -> bytes:
        """Return an object.

        Raises:
            NotFound: there is no such object.
        """
        try:
            return self._objects.get(name)[0]
        except ObjectGone:
            raise NotFound from None

    def link(self, name: str) -> str:
        """Return a presigned URL of an object.

        Raises:
            NotFound: there is no such object.
        """
        if not self._objects.existing([name]):
            raise NotFound
        return self._objects.presigned("get_object", name, _LINK_LIFETIME, {})

    def anchored_sizes(self) -> list[int]:
        """Return the sizes that have an anchor, the newest `MAX_ANCHORS`, largest first."""
        names = filter(log_names.is_note, self._objects.names("anchors/"))
        newest = deque(names, MAX_ANCHORS)
        return [int(name.removeprefix("anchors/")) for name in reversed(newest)]
