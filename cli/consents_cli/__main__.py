"""The `consents` command."""

from typing import Any

import typer
from typer.core import TyperGroup

from consents_cli import (
    contacts,
    credentials,
    imports,
    local_stack,
    organizations,
    outbox,
    rules,
    sender_profiles,
    senders,
    transparency_log,
)
from consents_cli.check import check
from consents_cli.console import console
from consents_cli.drop import drop
from consents_cli.errors import exit_on_error
from consents_cli.history import history
from consents_cli.proof import proof
from consents_cli.revoke import revoke
from consents_cli.verify import EVERY_ARGUMENT, verify


class Commands(TyperGroup):
    """The commands; an expected error exits with code 1, unless a command sets another."""

    def invoke(self, ctx: Any) -> Any:  # typer does not export the type of a context
        """Run the requested command."""
        with exit_on_error(1):
            return super().invoke(ctx)


app = typer.Typer(
    cls=Commands,
    help="Operate a consent ledger: local stack, organizations, keys, rules, imports, consents.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(local_stack.app, name="local")
app.add_typer(organizations.app, name="org")
app.add_typer(credentials.keys, name="key")
app.add_typer(credentials.accounts, name="account")
app.add_typer(senders.app, name="sender")
senders.app.command("profile")(sender_profiles.profile)
app.add_typer(imports.app, name="import")
app.add_typer(transparency_log.app, name="log")
app.add_typer(outbox.app, name="outbox")
app.add_typer(rules.app, name="rules")
app.add_typer(contacts.app, name="contact")
app.command()(check)
app.command()(console)
app.command()(drop)
app.command()(history)
app.command()(proof)
app.command()(revoke)
app.command(context_settings=EVERY_ARGUMENT)(verify)

if __name__ == "__main__":
    app()
