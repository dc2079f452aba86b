"""The operator's command, `consents`."""

from typing import Any

import typer
from typer.core import TyperGroup

from consents_cli import credentials, imports, local_stack, organizations, senders
from consents_cli.drop import drop
from consents_cli.errors import failing_with
from consents_cli.history import history


class Commands(TyperGroup):
    """The commands; the exit code is 1 where one fails that does not say otherwise."""

    def invoke(self, ctx: Any) -> Any:  # what a context is, typer keeps to itself
        """Run the command that was asked for."""
        with failing_with(1):
            return super().invoke(ctx)


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
