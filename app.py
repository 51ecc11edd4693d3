"""Tandem: a dashboard for Quilltap's data. ``python app.py`` serves it; ``flask --app app`` has its commands."""

import errno
import gc
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import click
import waitress
from flask import Flask, redirect
from werkzeug.wrappers import Response

from dashboard import auth, commands, error_pages, jobs, menu, reauth, security, trail
from dashboard.entrance import entrance
from dashboard.health import health
from store import Store, open_store
from store.errors import StoreError
from store.settings import Settings, read_settings
from store.tables import db

ROOT = Path(__file__).resolve().parent
THREADS = 8


def create_app(environ: Mapping[str, str] | None = None, root: Path | None = None) -> Flask:
    """The application over the store that the environment (by default the process's own) names.

    Raises StoreError when it cannot start. Without ``environ`` it is the program that starts, under the ``flask``
    command or a server, and then it ends with the error's sentence instead.
    """
    try:
        settings = read_settings(os.environ if environ is None else environ, root or ROOT)
        if environ is None:
            _start_logging(settings.verbose)
        store = open_store(settings)
        if (refusal := store.peppers.refusal()) and not _runs_a_command():
            store.close()
            raise refusal
        return _build(store)
    except StoreError as error:
        if environ is None:
            sys.exit(error.sentence)
        raise


def _runs_a_command() -> bool:
    """Whether this is ``flask --app app …`` with a command of ours: those may be what puts things right."""
    context = click.get_current_context(silent=True)
    return context is not None and context.info_name != "run"


def _build(store: Store) -> Flask:
    app = Flask(__name__, root_path=str(ROOT), instance_path=str(store.settings.instance_dir))
    app.extensions["tandem_store"] = store
    # Never connected to: store.tables hands out the store's engine.
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    db.init_app(app)
    trail.mount(app, store)
    # The guard before all else: it is the first to see what a request asks for.
    auth.mount(app, auth.People.of(store.database, store.settings.secret_key))
    security.mount(app, store.settings.secret_key)
    error_pages.mount(app)
    reauth.mount(app)
    app.register_blueprint(entrance)
    app.register_blueprint(health)
    app.add_url_rule("/", "home", _home)
    jobs.mount(app, store)
    menu.build_admin(app, store)
    commands.register(app)
    return app


def _home() -> Response:
    return redirect(auth.HOME)


def _start_logging(verbose: bool) -> None:
    handler = logging.StreamHandler()
    handler.addFilter(security.RequestIds())
    form = "%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s"
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format=form, handlers=[handler])


def main() -> None:
    """Serve Tandem until Ctrl-C or SIGTERM. Prints one line: the address to open."""
    if sys.argv[1:]:  # else who mistypes a command would wait for a server
        sys.exit("python app.py serves Tandem and takes no words after it. Commands begin with: flask --app app")
    app = create_app()
    store: Store = app.extensions["tandem_store"]
    workshop: jobs.Workshop = app.extensions["tandem_workshop"]
    try:
        server = _listen(app, store.settings)
        signal.signal(signal.SIGTERM, _stop)
        if store.settings.jobs == "embedded":
            workshop.open()
        print(_welcome(app, store.settings), flush=True)
        gc.freeze()  # what is there now stays: the collector need not look through it in the middle of a request
        server.run()  # comes back after Ctrl-C and SIGTERM, when the requests under way are answered
        for channel in list(server.active_channels.values()):
            channel.close()  # browsers keep theirs open
        server.close()
    except KeyboardInterrupt:
        pass
    except StoreError as error:
        sys.exit(error.sentence)
    finally:
        workshop.close()
        trail.close(app)
        store.close()


def _listen(app: Flask, settings: Settings) -> Any:
    try:
        return waitress.create_server(
            app,
            host=settings.host,
            port=settings.port,
            threads=THREADS,
            ident="Tandem",
            # Of who is no proxy of ours nothing of this is believed, and waitress takes it out.
            trusted_proxy=settings.trusted_proxy or None,
            trusted_proxy_headers={"x-forwarded-for", "x-forwarded-proto"} if settings.trusted_proxy else set(),
            clear_untrusted_proxy_headers=True,
            # A little above Flask's own limit, so that the page that says so comes from us.
            max_request_body_size=security.LARGEST_REQUEST + 16 * 1024 * 1024,
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            sys.exit(f"PORT {settings.port} is in use by another program. Set PORT to a free one and start again.")
        if error.errno == errno.EACCES:
            sys.exit(f"PORT {settings.port} is for system programs only. Set PORT to one above 1023 and start again.")
        sys.exit(f"HOST {settings.host} is no address of this machine. Set HOST to one that is and start again.")
    except ValueError:  # waitress's word for a name that cannot be looked up
        sys.exit(f"HOST {settings.host} cannot be looked up. Set HOST to an address of this machine and start again.")


def _welcome(app: Flask, settings: Settings) -> str:
    # Looked up, not listened on: where Tandem listens everywhere, this machine is one of the places.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1"}.get(settings.host, settings.host)  # noqa: S104  # see above
    address = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    people: auth.People = app.extensions["tandem_people"]
    if token := people.accounts.offer_setup():
        # Behind the #, where it reaches no server log and no referrer.
        return f"Tandem is ready. Make the first account at: {address}/setup#token={token}"
    return f"Tandem is ready: {address}/"


def _stop(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
