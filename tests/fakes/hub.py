"""A local server that plays the hub: the data set some/set, and models that are pushed to it."""

import base64
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

SHA = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "README.md": b"about",
    "data/en.jsonl": b'{"a": 1}\n' * 5_000,
    "data/ko.jsonl": '{"a": "가"}\n'.encode() * 5_000,
    "other.bin": b"\0",
}
ROUTE = re.compile(r"/(?:api/)?datasets/(?P<repo>\w+/\w+)/(?P<kind>\w+)/(?P<revision>[^/]+)/?(?P<file>.*)")


class Handler(BaseHTTPRequestHandler):
    """As much of the hub's API as a download and a streamed data set use."""

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path, query = urlsplit(self.path)[2:4]
        asked = ROUTE.fullmatch(unquote(path))
        if asked is None:
            self.refuse(404, "")
            return
        self.server.asked.append((self.command, asked["kind"], asked["file"], self.headers.get("Authorization")))
        if self.server.refuses:
            self.refuse(403, self.server.refuses)
        elif asked["repo"] != "some/set":
            self.refuse(401, "RepoNotFound")
        elif asked["revision"] not in (SHA, "main"):
            self.refuse(404, "RevisionNotFound")
        elif asked["kind"] == "revision":
            files = [{"rfilename": name} for name in self.server.files]
            self.json({"id": "some/set", "sha": SHA, "siblings": files})
        elif asked["kind"] == "tree":
            self.tree(asked["file"], "recursive=true" in query.lower())
        elif asked["file"] not in self.server.files:
            self.refuse(404, "EntryNotFound")
        else:
            self.file(asked["file"])

    def do_POST(self):
        """A repository that is made, and a commit of files in one: all of them in the request, as small ones are."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = urlsplit(self.path).path
        self.server.asked.append((self.command, path, None, self.headers.get("Authorization")))
        if self.server.refuses:
            self.refuse(403, self.server.refuses)
        elif path == "/api/repos/create":
            named = json.loads(body)
            self.json({"url": f"{self.server.url}/{named['organization']}/{named['name']}"})
        elif path == "/api/validate-yaml":  # the head of a card
            self.json({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            files = [file["path"] for file in json.loads(body)["files"]]
            self.json({"files": [{"path": file, "uploadMode": "regular", "shouldIgnore": False} for file in files]})
        else:
            rows = [json.loads(line) for line in body.splitlines()]
            self.server.message = next(row["value"]["summary"] for row in rows if row["key"] == "header")
            files = [row["value"] for row in rows if row["key"] == "file"]
            self.server.pushed |= {file["path"]: base64.b64decode(file["content"]) for file in files}
            url = f"{self.server.url}{path.removeprefix('/api/models').removesuffix('/main')}/{SHA}"
            self.json({"commitUrl": url, "commitOid": SHA, "pullRequestUrl": None})

    def tree(self, folder, recursive):
        base = f"{folder}/" if folder else ""
        entries = []
        for name, body in self.server.files.items():
            if name.startswith(base) and (recursive or "/" not in name[len(base) :]):
                entries.append({"type": "file", "path": name, "size": len(body), "oid": f"{len(body):040x}"})
        if entries:
            self.json(entries)
        else:
            self.refuse(404, "EntryNotFound")

    def file(self, name):
        if self.command == "GET" and name == self.server.stuck:
            self.server.reached.set()
            self.server.released.wait(60)
        body = self.server.files[name]
        self.answer(200, body, {"ETag": f'"{len(body)}"', "X-Repo-Commit": SHA})

    def json(self, value):
        self.answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def refuse(self, status, code):
        self.answer(status, b"{}", {"X-Error-Code": code})

    def answer(self, status, body, heads):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **heads}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def serving(files=FILES):
    """A server with `url`, the requests `asked` (method, kind, file, Authorization), the error code it `refuses` all
    with, and the file at which it gets `stuck`: `reached` is set, and it waits until `released` is. What was `pushed`
    are files by their paths, and `message` that of the commit."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.asked, server.refuses, server.stuck = files, [], None, None
    server.pushed, server.message = {}, None
    server.reached, server.released = threading.Event(), threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
