"""What an operator's command can fail of without a fault of ours."""


class Failed(Exception):
    """A command cannot do what it was asked; the message is one line, for a person."""
