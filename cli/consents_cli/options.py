"""Options that many commands share."""

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OrgId = Annotated[str, typer.Option("--org", help="Id of the organization.", metavar="ORG_ID")]
Region = Annotated[
    str | None, typer.Option(help="AWS region of the deployed stack.", metavar="REGION")
]
StackName = Annotated[
    str | None,
    typer.Option(
        "--stack",
        help="Name of a deployed stack; without it, the local stack.",
        metavar="NAME",
    ),
]
