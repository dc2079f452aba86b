"""The imports API as one organization calls it, and uploads through its links."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
from consents.imports.drop import Drop, parse_key

from tests.factories import item_json, jsonl
from tests.integration.drops import DROPS_BUCKET
from tests.integration.invocation import Response

CONTENT = jsonl(item_json(1), 7, item_json(2))


class Api:
    """Calls the routes as one organization."""

    def __init__(self, invoke: Callable[..., Response], tenant: Any) -> None:
        self._invoke = invoke
        self.tenant = tenant

    def post(self, content: bytes = CONTENT, **changes: Any) -> Response:
        """Announce a file, and return the response."""
        announced = {"wire": "bulk-consents", "format": "jsonl", "size": len(content)} | changes
        return self._invoke("create_import.csv", self.tenant.bearer, body=json.dumps(announced))

    def announce(self, content: bytes = CONTENT, **changes: Any) -> dict[str, Any]:
        """Announce a file, and return the announcement."""
        response = self.post(content, **changes)
        assert response.status == 201, response.body
        return dict(response.json)

    def get(self, import_id: str) -> Response:
        """Return the response that shows an import."""
        path = {"import_id": import_id}
        return self._invoke("get_import.unknown", self.tenant.bearer, pathParameters=path)

    def shown(self, import_id: str) -> dict[str, Any]:
        """Return an import."""
        response = self.get(import_id)
        assert response.status == 200, response.body
        return dict(response.json)

    def page(self, **query: str) -> dict[str, Any]:
        """Return a page of imports."""
        response = self._invoke(
            "list_imports.first_page", self.tenant.bearer, queryStringParameters=query or None
        )
        assert response.status == 200, response.body
        return dict(response.json)

    def pages(self, limit: int) -> Iterator[list[str]]:
        """Return the ids of imports, page by page."""
        cursor: dict[str, str] = {}
        while True:
            page = self.page(limit=str(limit), **cursor)
            yield [each["import_id"] for each in page["imports"]]
            if page["next_cursor"] is None:
                return
            cursor = {"cursor": page["next_cursor"]}


def put(announced: dict[str, Any], content: bytes = CONTENT, **headers: str) -> httpx.Response:
    """Upload as the announcement says."""
    upload = announced["upload"]
    sent = upload["headers"] | headers
    return httpx.request(upload["method"], upload["url"], headers=sent, content=content)


def uploaded(announced: dict[str, Any], content: bytes = CONTENT) -> Drop:
    """Upload as the announcement says, and return the drop that S3's event then names."""
    response = put(announced, content)
    assert response.status_code == 200, response.text
    key = urlsplit(announced["upload"]["url"]).path.removeprefix(f"/{DROPS_BUCKET}/")
    drop = parse_key(DROPS_BUCKET, key, response.headers["x-amz-version-id"])
    assert drop is not None
    return drop
