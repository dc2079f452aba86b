"""The Lambda context of an invocation."""

from uuid import uuid4


class Context:
    """An invocation that has just begun."""

    function_name = "bench"
    function_version = "$LATEST"
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:bench"
    memory_limit_in_mb = 1769

    def __init__(self) -> None:
        self.aws_request_id = str(uuid4())

    def get_remaining_time_in_millis(self) -> int:
        """Return the remaining time in milliseconds."""
        return 29_000
