"""The log that the service publishes, audited by the verifier, which shares no code with it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from consents.proof.batches import Batch
from consents.proof.publish import Publisher
from consents_verify import main

from tests.unit.log_store import ORIGIN, LogKey, LogPositions, LogStore, entries

type Audit = Callable[[], dict[str, object]]


class Service:
    """The two stages on stores in memory, and the files that auditors read."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.key = folder / "log", LogKey()
        self._store, self._positions = LogStore(), LogPositions()
        self._publisher = Publisher(ORIGIN, self._positions, self._store, self.key)

    def publish(self, count: int) -> None:
        """Publish so many more entries, and write the files."""
        some = entries(count, self._positions.count(), contacts=20_000)
        batch = Batch.of(some)
        self._store.write_batch(batch.name, b"".join(some))
        self._positions.assign(batch)
        list(self._publisher.publish(lambda: True))
        for name, content in self._store.objects.items():
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """A service without records."""
    return Service(tmp_path)


@pytest.fixture
def audit(tmp_path: Path, service: Service, capsys: pytest.CaptureFixture[str]) -> Audit:
    """Return a function that audits the log, and remembers what it has seen."""
    policy = f"log {service.key.verifier} https://example.com/v1/log\nquorum none\n"
    (tmp_path / "policy").write_text(policy)
    options = ["--policy", str(tmp_path / "policy"), "--state", str(tmp_path / "state"), "--json"]

    def audit() -> dict[str, object]:
        main(["audit", str(service.folder), *options])
        return dict(json.loads(capsys.readouterr().out))

    return audit


def test_published_log_is_clean_at_each_size(service: Service, audit: Audit) -> None:
    for count in (1, 254, 2_000, 63_500, 400):  # beyond the first run of 65,536 leaves
        service.publish(count)

        found = audit()
        assert (found["verdict"], found["fault"]) == ("CLEAN", None)
    assert found["size"] == 66_155 + 66_155 // 255 + 1


def test_audit_names_the_leaf_that_was_changed(service: Service, audit: Audit) -> None:
    service.publish(700)
    bundle = service.folder / "tile" / "entries" / "001"
    content = bytearray(bundle.read_bytes())
    content[67 * 5 + 40] ^= 1  # leaf 261
    bundle.write_bytes(content)

    found = audit()
    assert (found["verdict"], found["leaf"]) == ("BROKEN", 261)
