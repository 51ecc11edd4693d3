"""Two addresses for whoever watches over the process: is it up, and can it work?"""

import os

from flask import Blueprint, Response, current_app, jsonify

from dashboard.jobs import workshop
from store import Store
from store.errors import StoreError

health = Blueprint("health", __name__)


@health.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return jsonify({"up": True})


@health.get("/readyz")
def readyz() -> tuple[Response, int]:
    """What Tandem works on is usable; status 503 when something is not. Says which, and nothing more to a stranger."""
    store: Store = current_app.extensions["tandem_store"]
    queue = workshop().answers()
    checks = {"database": _database_answers(store), "jsonSide": _json_side_usable(store), "queue": queue}
    ready = False not in checks.values()
    return jsonify({"ready": ready, **checks}), 200 if ready else 503


def _database_answers(store: Store) -> bool:
    try:
        store.database.get_state("ready")
    except StoreError:
        return False
    return True


def _json_side_usable(store: Store) -> bool | None:
    """None where the backend has no JSON side."""
    if store.settings.data_backend == "sql":
        return None
    folder = store.settings.data_dir
    while not folder.exists():  # it is made with the first record
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.R_OK | os.W_OK | os.X_OK)
