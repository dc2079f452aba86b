"""The operator's command, `consents`."""

from typing import Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from typer.core import TyperGroup

from consents_cli import credentials, imports, local_stack, organizations, senders
from consents_cli.drop import drop
from consents_cli.errors import Failed
from consents_cli.history import history


class Commands(TyperGroup):
    """The commands; what is expected to fail is told in one line, and the exit code is 1."""

    def invoke(self, ctx: Any) -> Any:  # what a context is, typer keeps to itself
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except (Failed, BotoCoreError, ClientError) as error:
            typer.echo(f"consents: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=Commands,
    help="Run a consent ledger: the local stack, organizations, keys, senders, files and history.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(local_stack.app, name="local")
app.add_typer(organizations.app, name="org")
app.add_typer(credentials.keys, name="key")
app.add_typer(credentials.accounts, name="account")
app.add_typer(senders.app, name="sender")
app.add_typer(imports.app, name="import")
app.command()(drop)
app.command()(history)

if __name__ == "__main__":
    app()
