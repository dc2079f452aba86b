"""`consents console`: pages about the ledger, on this machine."""

import time
import webbrowser
from typing import Annotated

import typer

from consents_cli.errors import Failed
from consents_cli.options import Region, StackName
from consents_cli.stack import open_stack


def console(
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="Port on 127.0.0.1; 0 is any.")
    ] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the browser.")
    ] = True,
    stack: StackName = None,
    region: Region = None,
) -> None:
    """Open the operator's console: contacts, imports, organizations, audit.

    Pages are served on 127.0.0.1 with your AWS credentials. The link opens the console once, in one
    browser. The console ends with Ctrl-C, or after 30 minutes without use.
    """
    # No other command needs these libraries.
    from consents_console.server import listen, serve
    from consents_console.session import Session

    def ready(link: str) -> None:
        typer.echo(f"Open the console:\n\n{link}\n\nThe link is valid once. Ctrl-C stops.")
        if browser:
            webbrowser.open(link)

    opened = open_stack(stack, region)
    opened.output("AccessLogTable")
    opened.caller()  # without a name nobody sees a contact
    try:
        listener = listen(port)
    except OSError as error:
        raise Failed(f"port {port} is not available: {error.strerror}") from None
    serve(opened, Session(time.monotonic), listener, ready)
