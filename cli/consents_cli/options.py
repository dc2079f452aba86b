"""The options that many commands share."""

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
OrgId = Annotated[str, typer.Option("--org", help="The organization's id.", metavar="ORG_ID")]
Region = Annotated[
    str | None, typer.Option(help="The AWS region of a deployed stack.", metavar="REGION")
]
StackName = Annotated[
    str | None,
    typer.Option(
        "--stack",
        help="A deployed stack, in place of the local one.",
        metavar="NAME",
    ),
]
