"""A REST catalog: what is exported arrives as requests of Iceberg's own protocol, with the token of the environment."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyiceberg.catalog
import pytest
from pydantic import TypeAdapter
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
)
from pyiceberg.table.update import TableRequirement, TableUpdate
from pyiceberg.utils.config import Config
from werkzeug import Request, Response
from werkzeug.serving import make_server

from tests.conftest import MakeRepo
from tests.support.lakes import differences

CODES = {
    NoSuchTableError: (404, "NoSuchTableException"),
    NoSuchNamespaceError: (404, "NoSuchNamespaceException"),
    NamespaceAlreadyExistsError: (409, "AlreadyExistsException"),
    CommitFailedException: (409, "CommitFailedException"),
}


class Server:
    """The requests that an export makes, answered from an SQL catalog."""

    def __init__(self, folder: Path) -> None:
        self.catalog = SqlCatalog("rest", uri=f"sqlite:///{folder}/rest.db")
        self.tokens: set[str | None] = set()
        self.lock = threading.Lock()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        self.tokens.add(request.headers.get("Authorization"))
        with self.lock:
            try:
                found = self.answer(request, request.get_json(silent=True) or {})
                response = Response(json.dumps(found), 200 if found else 204, content_type="application/json")
            except tuple(CODES) as error:
                code, type = CODES[error.__class__]
                told = {"error": {"message": str(error), "type": type, "code": code}}
                response = Response(json.dumps(told), code, content_type="application/json")
        return response(environ, start_response)

    def answer(self, request: Request, body: Any) -> Any:
        path = [tuple(unquote(part).split("\x1f")) for part in environ_path(request).split("/")[2:]]
        match request.method, path:
            case "GET", [("config",)]:
                return {"defaults": {}, "overrides": {}}
            case "POST", [("namespaces",)]:
                self.catalog.create_namespace(tuple(body["namespace"]))
                return {"namespace": body["namespace"]}
            case "GET", [("namespaces",), namespace]:
                return {"namespace": namespace, "properties": self.catalog.load_namespace_properties(namespace)}
            case "GET", [("namespaces",), namespace, ("tables",)]:
                tables = self.catalog.list_tables(namespace)
                return {"identifiers": [{"namespace": one[:-1], "name": one[-1]} for one in tables]}
            case "POST", [("namespaces",), namespace, ("register",)]:
                return self.loaded(self.catalog.register_table((*namespace, body["name"]), body["metadata-location"]))
            case "GET", [("namespaces",), namespace, ("tables",), (name,)]:
                return self.loaded(self.catalog.load_table((*namespace, name)))
            case "POST", [("namespaces",), namespace, ("tables",), (name,)]:
                requirements = TypeAdapter(tuple[TableRequirement, ...]).validate_python(body["requirements"])
                updates = TypeAdapter(tuple[TableUpdate, ...]).validate_python(body["updates"])
                table = self.catalog.load_table((*namespace, name))
                self.catalog.commit_table(table, requirements, updates)
                return self.loaded(self.catalog.load_table((*namespace, name)))
            case "POST", [("tables",), ("rename",)]:
                names = [(*body[end]["namespace"], body[end]["name"]) for end in ("source", "destination")]
                self.catalog.rename_table(*names)
            case "DELETE", [("namespaces",), namespace, ("tables",), (name,)]:
                self.catalog.drop_table((*namespace, name))
            case _:
                raise AssertionError(request)
        return None

    def loaded(self, table: Any) -> Any:
        metadata = json.loads(table.metadata.model_dump_json())
        return {"metadata-location": table.metadata_location, "metadata": metadata, "config": {}}


def environ_path(request: Request) -> str:
    return str(request.environ.get("RAW_URI") or request.environ["REQUEST_URI"]).partition("?")[0]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Server]]:
    app = Server(tmp_path)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", app
    server.shutdown()
    thread.join()


def test_a_rest_catalog(
    make_repo: MakeRepo, tmp_path: Path, served: tuple[str, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYICEBERG_CATALOG__EPOCH__TOKEN", "t0ken")
    # pyiceberg reads the environment when it is imported.
    monkeypatch.setattr(pyiceberg.catalog, "_ENV_CONFIG", Config())
    uri, server = served
    repo = make_repo(
        "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t FROM range(50); CREATE TABLE gone (i INTEGER)"
    )
    asked = (
        "SELECT status FROM epoch_export_iceberg(refs := ['main'], warehouse := ?, catalog := ?, namespace := 'a.b')"
    )
    places = str(tmp_path / "lake"), uri
    assert repo(asked, *places) == [("exported",), ("exported",)]
    repo("DELETE FROM t WHERE id = 7; ALTER TABLE t ADD COLUMN v VARCHAR; CALL epoch_commit('a column')")
    repo("ALTER TABLE t RENAME TO u; DROP TABLE gone; CALL epoch_commit('a name')")
    assert sorted(repo(asked, *places)) == [("exported",), ("removed",)]
    assert server.catalog.list_tables(("a", "b")) == [("a", "b", "u")]
    found = server.catalog.load_table(("a", "b", "u"))
    assert differences(repo, found.scan().to_arrow(), "FROM epoch_at('main', 'u')") == []
    assert repo(asked, *places) == [("unchanged",)]
    assert server.tokens == {"Bearer t0ken"}
    assert b"t0ken" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
