"""`consents verify`: the verifier of proof packs, a separate package."""

import consents_verify
import typer

EVERY_ARGUMENT = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": ["--usage"],  # --help is that of the verifier
}


def verify(context: typer.Context) -> None:
    """Verify a proof pack, or audit a log: the same program as `consents-verify`.

    `consents verify --help` lists its arguments.
    """
    raise typer.Exit(consents_verify.main(context.args))
