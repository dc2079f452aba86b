"""The URL under which people reach the API, for links."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit


def public_url(configured: str, event: Mapping[str, Any]) -> str:
    """Return the URL that paths of routes follow, without a slash at the end.

    `configured` may name `{api_id}` and `{stage}`. If it is empty, the URL is the one of the
    request, as API Gateway has it: no header of the request is read.
    """
    context = event["requestContext"]
    if configured:
        return configured.replace("{api_id}", context["apiId"]).replace("{stage}", context["stage"])
    return f"https://{context['domainName']}{context['path'].removesuffix(route_path(event))}"


def route_path(event: Mapping[str, Any]) -> str:
    """Return the path of a route with its parameters filled in, without that of the stage."""
    template: str = event["resource"].replace("+}", "}")
    return template.format_map(event.get("pathParameters") or {})


def origin(url: str) -> str:
    """Return the origin of a URL, as browsers send it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
