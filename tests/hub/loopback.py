"""A small Hub on loopback that speaks real HTTP: create, LFS upload, commit, resolve, errors.

Commits are whole: a tree of names and blobs under a commit's id. Blobs are served from another
host name than the API, as the Hub's are, so that a client's token must not follow them.
"""

import base64
import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

OWNER, TOKEN = "tester", "hf_loopbackSecretToken"
TYPES = ("models", "datasets", "spaces")
Tree = dict[str, str]  # a file's name: its content's sha256


class RefusalError(Exception):
    """An error answer as the Hub gives it."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        self.status = status
        self.message = message
        self.headers = {"X-Error-Code": code, "X-Error-Message": message, **headers}


@dataclass
class Repository:
    kind: str
    name: str
    private: bool = False
    gated: bool = False
    refs: dict[str, str] = field(default_factory=dict)
    trees: dict[str, Tree] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)

    def commit(self, ref: str, tree: Tree, title: str) -> str:
        text = json.dumps([self.kind, self.name, len(self.commits), title, tree], sort_keys=True)
        sha = hashlib.sha1(text.encode()).hexdigest()
        self.trees[sha], self.refs[ref] = dict(tree), sha
        self.commits.append(title)
        return sha

    def at(self, revision: str) -> str:
        sha = self.refs.get(revision, revision)
        if sha not in self.trees:
            raise RefusalError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha


class Hub:
    """What is on the Hub; tests look here, and switch faults on."""

    def __init__(self) -> None:
        self.url = ""
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.lfs: set[str] = set()
        self.requests: list[tuple[str, str, str | None]] = []
        self.broken_uploads = False

    def model(self, name: str) -> Repository:
        return self.repositories["models", name]

    def read(self, repository: Repository, path: str, revision: str = "main") -> bytes:
        return self.blobs[repository.trees[repository.at(revision)][path]]

    def files(self, repository: Repository, revision: str = "main") -> set[str]:
        return set(repository.trees[repository.at(revision)])

    def store(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        self.blobs[sha256] = content
        return sha256

    def oid(self, sha256: str) -> str:
        """git's name of a blob; of the pointer where it is stored as LFS."""
        content = self.blobs[sha256]
        if sha256 in self.lfs:
            content = (
                f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\n"
                f"size {len(content)}\n"
            ).encode()
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextlib.contextmanager
def running_hub() -> Iterator[Hub]:
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            address = urlsplit(self.path)
            path, query = address.path, parse_qs(address.query)
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
            hub.requests.append((self.command, unquote(path), token))
            try:
                status, headers, content = Answers(hub, token).to(self.command, path, query, body)
            except RefusalError as refusal:
                status, headers = refusal.status, refusal.headers
                content = json.dumps({"error": refusal.message}).encode()
            except ConnectionAbortedError:
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_POST = do_PUT = answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


Answer = tuple[int, dict[str, str], bytes]


def _json(value: Any, **headers: str) -> Answer:
    return 200, {"Content-Type": "application/json", **headers}, json.dumps(value).encode()


class Answers:
    """The Hub's side of one request."""

    def __init__(self, hub: Hub, token: str | None) -> None:
        self.hub = hub
        self.token = token

    def to(self, method: str, path: str, query: dict[str, list[str]], body: bytes) -> Answer:
        if path.startswith("/blobs/"):
            return self.blob(method, path.removeprefix("/blobs/"), body)
        if self.token not in (None, TOKEN):
            raise RefusalError(401, "", "Invalid credentials in Authorization header")
        if path == "/api/validate-yaml":
            return _json({"errors": [], "warnings": []})
        if path == "/api/whoami-v2":
            self.require_token()
            return _json({"type": "user", "name": OWNER, "orgs": []})
        if path == "/api/repos/create":
            return self.create(json.loads(body))
        parts = [unquote(part) for part in path.strip("/").split("/")]  # refs%2Fpr%2F1 is one
        is_api = parts[0] == "api"
        parts = parts[is_api:]
        kind = parts.pop(0) if parts[0] in TYPES else "models"
        if len(parts) < 2:
            raise RefusalError(404, "", f"{path} is not here")
        owner, name, *rest = parts
        is_lfs = name.endswith(".git")
        repository = self.hub.repositories.get((kind, f"{owner}/{name.removesuffix('.git')}"))
        if repository is None or (repository.private and self.token is None):
            status = 401 if self.token is None else 404
            raise RefusalError(status, "RepoNotFound", "Repository not found")
        if is_lfs:
            return self.lfs_batch(json.loads(body))
        if is_api:
            return self.api(method, repository, rest, query, body)
        return self.resolve(method, repository, rest[1], "/".join(rest[2:]))

    def require_token(self) -> None:
        if self.token is None:
            raise RefusalError(401, "", "Invalid username or password.")

    def create(self, wanted: dict[str, Any]) -> Answer:
        self.require_token()
        kind = f"{wanted.get('type', 'model')}s"
        owner = wanted.get("organization") or OWNER
        if owner != OWNER:
            raise RefusalError(
                403, "", f"You don't have the rights to create a model under {owner}"
            )
        name = f"{owner}/{wanted['name']}"
        prefix = "" if kind == "models" else f"{kind}/"
        facts = {"url": f"{self.hub.url}/{prefix}{name}", "name": name, "id": name}
        if (kind, name) in self.hub.repositories:
            _, headers, content = _json({"error": "You already created this repo", **facts})
            return 409, headers, content
        private = bool(wanted.get("private")) or wanted.get("visibility") == "private"
        made = self.hub.repositories[kind, name] = Repository(kind, name, private=private)
        made.commit("main", {}, "initial commit")
        return _json(facts)

    def lfs_batch(self, wanted: dict[str, Any]) -> Answer:
        self.require_token()
        objects = []
        for each in wanted["objects"]:
            known = each["oid"] in self.hub.blobs
            upload = {"upload": {"href": f"{self.hub.url}/blobs/{each['oid']}", "header": {}}}
            objects.append({**each, **({} if known else {"actions": upload})})
        return _json({"transfer": "basic", "objects": objects})

    def blob(self, method: str, sha256: str, body: bytes) -> Answer:
        if method == "PUT":
            if self.hub.broken_uploads:
                raise ConnectionAbortedError
            assert self.hub.store(body) == sha256
            return 200, {}, b""
        return 200, {"ETag": f'"{sha256}"'}, self.hub.blobs[sha256]

    def api(
        self,
        method: str,
        repository: Repository,
        rest: list[str],
        query: dict[str, list[str]],
        body: bytes,
    ) -> Answer:
        if method == "GET":
            what, revision = (rest[0], rest[1]) if rest else ("revision", "main")
            sha = repository.at(revision)
            tree = repository.trees[sha]
            if what == "tree":
                return _json([self.entry(path, blob) for path, blob in sorted(tree.items())])
            return _json(
                {
                    "id": repository.name,
                    "sha": sha,
                    "private": repository.private,
                    "siblings": [{"rfilename": path} for path in sorted(tree)],
                }
            )
        self.require_token()
        what, revision = rest[0], rest[1]
        if what == "branch":
            repository.refs[revision] = repository.refs["main"]
            return _json({})
        tree = repository.trees[repository.at(revision)]
        if what == "preupload":
            return _json({"files": [self.mode(each, tree) for each in json.loads(body)["files"]]})
        assert what == "commit"
        lines = [json.loads(line) for line in body.splitlines()]
        return self.commit(repository, revision, lines, pull_request="create_pr" in query)

    def entry(self, path: str, sha256: str) -> dict[str, Any]:
        size = len(self.hub.blobs[sha256])
        entry = {"type": "file", "path": path, "oid": self.hub.oid(sha256), "size": size}
        pointer = {"lfs": {"oid": sha256, "size": size, "pointerSize": 130}}
        return {**entry, **(pointer if sha256 in self.hub.lfs else {})}

    def mode(self, wanted: dict[str, Any], tree: Tree) -> dict[str, Any]:
        path = wanted["path"]
        known = tree.get(path)
        oid = known and (known if known in self.hub.lfs else self.hub.oid(known))
        mode = "lfs" if path.endswith((".safetensors", ".png", ".npy")) else "regular"
        return {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid}

    def commit(
        self,
        repository: Repository,
        revision: str,
        lines: list[dict[str, Any]],
        *,
        pull_request: bool,
    ) -> Answer:
        tree = dict(repository.trees[repository.at(revision)])
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                tree[value["path"]] = self.hub.store(base64.b64decode(value["content"]))
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.hub.blobs:
                    raise RefusalError(
                        400, "BadRequest", "LFS pointer to a file that does not exist"
                    )
                self.hub.lfs.add(value["oid"])
                tree[value["path"]] = value["oid"]
            else:
                assert line["key"] == "deletedFile"
                del tree[value["path"]]
        ref = "refs/pr/1" if pull_request else revision
        sha = repository.commit(ref, tree, lines[0]["value"]["summary"])
        address = f"{self.hub.url}/{repository.name}"
        answer = {"success": True, "commitOid": sha, "commitUrl": f"{address}/commit/{sha}"}
        return _json(
            {**answer, **({"pullRequestUrl": f"{address}/discussions/1"} if pull_request else {})}
        )

    def resolve(self, method: str, repository: Repository, revision: str, path: str) -> Answer:
        sha = repository.at(revision)
        commit = {"X-Repo-Commit": sha}
        if repository.gated:
            raise RefusalError(403, "GatedRepo", "Access to this model is restricted", **commit)
        blob = repository.trees[sha].get(path)
        if blob is None:
            raise RefusalError(404, "EntryNotFound", f"{path} does not exist", **commit)
        size = str(len(self.hub.blobs[blob]))
        if blob in self.hub.lfs:
            elsewhere = self.hub.url.replace("127.0.0.1", "localhost")
            linked = {"X-Linked-Etag": f'"{blob}"', "X-Linked-Size": size}
            return 302, {**commit, **linked, "Location": f"{elsewhere}/blobs/{blob}"}, b""
        headers = {**commit, "ETag": f'"{self.hub.oid(blob)}"'}
        content = self.hub.blobs[blob]
        return 200, {**headers, "Content-Length": str(len(content))}, content
