"""Operators with the IAM policy of the guide to the console, on an engine that enforces it.

The engine checks `dynamodb:BatchExecuteStatement` on any resource where AWS checks
`dynamodb:PartiQLInsert` on a table. Its stacks return the name of a secret, those of AWS the ARN.
"""

import json
import re
from collections.abc import Collection
from typing import Any
from uuid import uuid4

import boto3
from consents_cli.local_files import PROJECT
from consents_cli.stack import LOCAL_NAME, LOCAL_REGION, Stack, connect

_ACCOUNT = "000000000000"


def console_policy(stack: Stack, without: Collection[str] = ()) -> dict[str, Any]:
    """Return the policy of the guide for a stack, without some of its statements."""
    guide = (PROJECT / "docs" / "guides" / "console.md").read_text()
    found = re.search(r"^```json\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    assert found is not None
    secret = f"arn:aws:secretsmanager:REGION:ACCOUNT:secret:{stack.outputs['PepperSecret']}*"
    text = found[1].replace("PEPPER_SECRET", secret)
    text = text.replace("DROPS_BUCKET", stack.outputs["DropsBucket"])
    text = text.replace("LOG_BUCKET", stack.outputs["LogBucket"])
    text = text.replace("LOG_KEY", stack.outputs["LogKey"])
    text = text.replace("REGION", LOCAL_REGION).replace("ACCOUNT", _ACCOUNT)
    document: dict[str, Any] = json.loads(text.replace("NAME", LOCAL_NAME))
    kept = [each for each in document["Statement"] if each["Sid"] not in without]
    for statement in kept:
        if statement["Action"] == "dynamodb:PartiQLInsert":
            statement |= {"Action": "dynamodb:BatchExecuteStatement", "Resource": "*"}
    return document | {"Statement": kept}


def operator_of(url: str, iam: Any, document: dict[str, Any]) -> tuple[Stack, boto3.Session]:
    """Return the stack as a new user with a policy sees it, and the session of the user."""
    name = f"operator-{uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="console", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=LOCAL_REGION)
    return connect(session, LOCAL_NAME, url), session
