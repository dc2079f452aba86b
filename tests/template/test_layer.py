"""The layer holds the locked versions of the runtime dependencies."""

from tests.template.expansion import ROOT


def test_the_layer_holds_the_versions_of_the_lock_file() -> None:
    lock = (ROOT / "uv.lock").read_text()
    requirements = (ROOT / "layers/consents/requirements.txt").read_text()
    pinned = [line.split(" ")[0] for line in requirements.splitlines() if "==" in line]

    assert pinned
    for name, version in (pin.split("==") for pin in pinned):
        assert f'name = "{name}"\nversion = "{version}"' in lock
    assert "boto3" not in {pin.split("==")[0] for pin in pinned}
