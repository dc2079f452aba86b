"""Export the log: every file by which anybody audits it, up to one checkpoint."""

from collections.abc import Iterator

from consents.proof import index
from consents.proof.growth import LogObject
from consents.proof.log_names import CHECKPOINT
from consents.proof.snapshot import Snapshot
from consents.proof.tiles import WIDTH, bundle_name, tile_name, write_bundle


def full_names(size: int) -> Iterator[str]:
    """Return the names of full bundles and tiles, and of runs whose root is in the log."""
    yield from map(bundle_name, range(size // WIDTH))
    level = 0
    while count := size >> 8 * (level + 1):
        yield from (tile_name(level, number) for number in range(count))
        level += 1
    yield from map(index.run_name, range((size - 1) // WIDTH**2))


def partial_objects(log: Snapshot) -> Iterator[LogObject]:
    """Return the unfinished bundle and tiles, and the checkpoint last."""
    if width := log.size % WIDTH:
        number = log.size // WIDTH
        yield bundle_name(number, width), write_bundle(log.tree.entries(number))
    level = 0
    while count := log.size >> 8 * level:
        number, width = divmod(count, WIDTH)
        if width:
            yield tile_name(level, number, width), b"".join(log.tree.hashes(level, number))
        level += 1
    yield CHECKPOINT, log.note
