"""The admin listener's API as a program uses it: one connection, JSON both ways, the admin token from the store."""
import http.client
import json
import os

from .description import Description, jsonschema


class Refused(Exception):
    def __init__(self, status, document):
        self.status = status
        self.code = document["error"]["code"]
        self.message = document["error"]["message"]
        super().__init__(f"{status} {self.code}: {self.message}")


class Api:
    """Not for several threads at once: each makes its own."""

    def __init__(self, cache, token=True):
        self.cache = cache
        self.connection = http.client.HTTPConnection("127.0.0.1", cache.admin_port, timeout=60)
        path = f"{cache.store}/admin.token"
        self.description = None
        self.token = open(path, encoding="ascii").read().strip() if token and os.path.exists(path) else None

    def described(self):
        """From now on every answer is held against the server's own description."""
        self.description = None
        self.description = Description(self.get("/openapi.json")) if jsonschema else None
        return self

    def ask(self, method, path, document=None, headers=None):
        """(status, headers, document or None)"""
        headers = dict(headers or {})
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if document is not None:
            headers["Content-Type"] = "application/json"
        self.connection.request(method, path, None if document is None else json.dumps(document), headers)
        reply = self.connection.getresponse()
        body = reply.read()
        answer = json.loads(body) if body else None
        if self.description:
            self.description.check(method, path, reply.status, reply.headers.get("Content-Type", ""), answer)
        return reply.status, reply.headers, answer

    def must(self, method, path, document=None, headers=None):
        status, _, answer = self.ask(method, f"/api/v1{path}", document, headers)
        if status >= 400:
            raise Refused(status, answer)
        return answer

    def get(self, path):
        return self.must("GET", path)

    def create(self, kind, name, document, **query):
        return self.must("PUT", f"/{kind}/{name}{query_of(query)}", document, {"If-None-Match": "*"})

    def replace(self, kind, name, document, etag="*"):
        return self.must("PUT", f"/{kind}/{name}", document, {"If-Match": etag if etag == "*" else f'"{etag}"'})

    def patch(self, kind, name, document, etag=None):
        return self.must("PATCH", f"/{kind}/{name}", document, {"If-Match": f'"{etag}"'} if etag else None)

    def delete(self, kind, name):
        return self.must("DELETE", f"/{kind}/{name}")

    def rule(self, name, source, target, **fields):
        return self.create("cache-rules", name, {"sourceRepository": source, "targetRepository": target, **fields})

    def everything(self, kind, limit=1000):
        """All of a list, page by page."""
        found, path = [], f"/{kind}?limit={limit}"
        while path:
            page = self.get(path)
            found += page["value"]
            path = page["nextLink"] and page["nextLink"].removeprefix("/api/v1")
        return found


def query_of(query):
    return "?" + "&".join(f"{key}={str(value).lower()}" for key, value in query.items()) if query else ""
