"""Parameters, and the environments of samconfig.toml that set them."""

import re

import pytest
from botocore.session import Session
from samcli.commands.build.command import cli as sam_build
from samcli.commands.deploy.command import cli as sam_deploy
from samcli.commands.validate.validate import cli as sam_validate
from samcli.lib.config.samconfig import SamConfig

from tests.template.expansion import PARAMETERS, ROOT, SOURCE, overrides


def documentation() -> str:
    """Return the text of the README and of all pages under docs/."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return "\n".join(page.read_text() for page in pages)


@pytest.mark.parametrize("environment", ["default", "dev", "prod"])
def test_samconfig_names_only_options_of_sam_deploy(environment: str) -> None:
    config = SamConfig(ROOT).get_all(["deploy"], "parameters", env=environment)

    assert config.keys() <= {option.name for option in sam_deploy.params}


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_samconfig_sets_only_values_that_are_allowed(environment: str) -> None:
    for name, value in overrides(environment).items():
        allowed = PARAMETERS[name].get("AllowedValues")
        assert allowed is None or value in map(str, allowed)
        assert re.search(PARAMETERS[name].get("AllowedPattern", ""), value)


@pytest.mark.parametrize("environment", ["default", "dev", "prod"])
@pytest.mark.parametrize("command", [sam_build, sam_deploy, sam_validate], ids=lambda c: c.name)
def test_sam_expands_the_loops_of_the_template(command: object, environment: str) -> None:
    name = str(getattr(command, "name", ""))
    config = SamConfig(ROOT).get_all([name], "parameters", env=environment)

    assert config["language_extensions"] is True


def test_every_parameter_has_a_default_and_is_documented() -> None:
    text = documentation()

    for name, parameter in PARAMETERS.items():
        assert f"`{name}`" in text
        assert "Default" in parameter
        assert parameter["Description"]


def test_the_documented_stack_name_fits_into_a_bucket_name() -> None:
    name = SOURCE["Resources"]["DropsBucket"]["Properties"]["BucketName"]["Fn::Sub"]
    session = Session()
    region = max(
        (
            region
            for partition in session.get_available_partitions()
            for region in session.get_available_regions("s3", partition)
        ),
        key=len,
    )
    rest = name.removeprefix("${AWS::StackName}").replace("${AWS::AccountId}", "123456789012")
    longest = 63 - len(rest.replace("${AWS::Region}", region))  # S3 accepts 63

    assert f"at most {longest} characters" in documentation()
