"""Every setting, read once. Nothing else in the program looks at the environment."""

import contextlib
import ipaddress
import logging
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dotenv import dotenv_values

from store.errors import SettingsError

log = logging.getLogger("tandem.settings")

Backend = Literal["sql", "json", "dual"]
_BACKENDS: dict[str, Backend] = {"sql": "sql", "prisma": "sql", "json": "json", "dual": "dual"}
_TRUE, _FALSE = {"true", "1", "yes", "on"}, {"", "false", "0", "no", "off"}
PEPPER_LENGTH = 32  # characters; Quilltap refuses a shorter one
PEPPER_FILE = "encryption-master-pepper"  # in ``instance_dir``; while it is replaced, others beside it


@dataclass(frozen=True)
class Settings:
    """Where everything is and how it behaves; what `interface.md` promises, one field per variable."""

    database_url: str
    data_dir: Path
    public_dir: Path
    instance_dir: Path
    data_backend: Backend = "dual"
    encryption_master_pepper: str = field(default="", repr=False)
    pepper_given: bool = True  # by a person, in the environment; else it is kept in ``instance_dir``
    secret_key: str = field(default="", repr=False)
    jobs: Literal["embedded", "worker", "inline"] = "embedded"
    jobs_queue: str = ""
    host: str = "127.0.0.1"
    port: int = 5000
    trusted_proxy: str = ""  # the address from which a reverse proxy asks; empty: there is none
    verbose: bool = False
    verbose_migration: bool = False
    allow_local_providers: bool = False

    @property
    def own_dir(self) -> Path:
        """The sibling folder of the JSON side where Tandem keeps what is not Quilltap's."""
        return self.data_dir.with_name(self.data_dir.name + ".tandem")


def read_settings(environ: Mapping[str, str], root: Path) -> Settings:
    """The settings from the environment over ``root/.env``.

    Makes ``root/instance`` and, where they are not given, the pepper and the secret key in it (mode 0600, once).
    Raises SettingsError that names every wrong variable.
    """
    given = {k: v for k, v in dotenv_values(root / ".env").items() if v is not None}
    given.update(environ)
    problems: list[str] = []
    instance = root / "instance"

    def choice(name: str, allowed: Mapping[str, str], default: str) -> str:
        text = given.get(name, "").strip().lower() or default
        if text not in allowed:
            problems.append(f"{name} is “{text}”, allowed are {', '.join(allowed)}")
        return allowed.get(text, default)

    def flag(name: str) -> bool:
        text = given.get(name, "").strip().lower()
        if text not in _TRUE | _FALSE:
            problems.append(f"{name} is “{text}”, allowed are true and false")
        return text in _TRUE

    def folder(name: str, default: Path) -> Path:
        path = Path(given.get(name, "").strip() or default).expanduser()
        path = path if path.is_absolute() else root / path
        if path.exists() and not path.is_dir():
            problems.append(f"{name} is “{path}”, which is a file and not a folder")
        return path

    url = given.get("DATABASE_URL", "").strip() or f"sqlite:///{instance / 'tandem.sqlite'}"
    url = _database_url(url, root, problems)
    port = given.get("PORT", "").strip() or "5000"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        problems.append(f"PORT is “{port}”, allowed are 1 to 65535")
        port = "5000"
    proxy = given.get("TRUSTED_PROXY", "").strip()
    if proxy and not _is_address(proxy):
        problems.append(f"TRUSTED_PROXY is “{proxy}”, allowed is one IP address such as 127.0.0.1")
    pepper = given.get("ENCRYPTION_MASTER_PEPPER", "")
    if pepper and len(pepper) < PEPPER_LENGTH:
        problems.append(f"ENCRYPTION_MASTER_PEPPER has {len(pepper)} characters, it needs {PEPPER_LENGTH} or more")
    backend = _BACKENDS[choice("DATA_BACKEND", _BACKENDS, "dual")]
    jobs = choice("JOBS", {"embedded": "embedded", "worker": "worker", "inline": "inline"}, "embedded")
    data_dir, public_dir = folder("DATA_DIR", root / "data"), folder("PUBLIC_DIR", root / "public")
    queue = _queue_url(given.get("JOBS_QUEUE", "").strip() or f"sqlite:///{instance / 'jobs.sqlite'}", root, problems)
    verbose, verbose_migration = flag("VERBOSE"), flag("VERBOSE_MIGRATION")
    allow_local_providers = flag("ALLOW_LOCAL_PROVIDERS")
    if problems:
        raise SettingsError("Wrong settings: " + "; ".join(problems) + ".")
    return Settings(
        database_url=url,
        data_dir=data_dir,
        public_dir=public_dir,
        instance_dir=instance,
        data_backend=backend,
        encryption_master_pepper=pepper or _kept_secret(instance / PEPPER_FILE),
        pepper_given=bool(pepper),
        secret_key=given.get("SECRET_KEY", "") or _kept_secret(instance / "secret-key"),
        jobs=jobs,  # type: ignore[arg-type]  # choice() returns one of the three
        jobs_queue=queue,
        host=given.get("HOST", "").strip() or "127.0.0.1",
        port=int(port),
        trusted_proxy=proxy,
        verbose=verbose,
        verbose_migration=verbose_migration,
        allow_local_providers=allow_local_providers,
    )


def _is_address(text: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(text))
    return False


def _database_url(url: str, root: Path, problems: list[str]) -> str:
    """Name the driver, make a relative SQLite path relative to the project, refuse everything else."""
    if match := re.match(r"postgres(?:ql)?(?:\+psycopg)?://", url):
        return "postgresql+psycopg://" + url[match.end() :]
    if url.startswith("sqlite:///"):
        path = url.removeprefix("sqlite:///")
        if path and path != ":memory:":
            return f"sqlite:///{path if path.startswith('/') else root / path}"
    # The value is not repeated: it may hold a password.
    problems.append("DATABASE_URL is neither postgresql://… nor sqlite:///path")
    return "sqlite:///"


def _queue_url(url: str, root: Path, problems: list[str]) -> str:
    """An address that the queue understands; a relative path is relative to the project."""
    if re.match(r"(postgres(ql)?|rediss?)://", url):
        return url
    if url.startswith("sqlite:///") and (path := url.removeprefix("sqlite:///")):
        return f"sqlite:///{path if path.startswith('/') else root / path}"
    # The value is not repeated: it may hold a password.
    problems.append("JOBS_QUEUE is none of sqlite:///path, postgresql://… and redis://…")
    return url


def _kept_secret(path: Path) -> str:
    """The secret in ``path``; made there once, readable by its owner only, when there is none yet."""
    with contextlib.suppress(FileNotFoundError):
        if secret := path.read_text("utf-8").strip():
            return secret
        raise SettingsError(f"{path} is empty.", hint="Restore it from a backup, or delete it to have a new one made.")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # the database lies there too
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(36))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first: its secret counts
            os.link(temporary, path)
            log.warning("Made a new secret in %s. Keep a copy of it in a safe place.", path)
    finally:
        temporary.unlink()
    return path.read_text("utf-8").strip()
