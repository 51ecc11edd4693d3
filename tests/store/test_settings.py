"""Every setting: its default, its spellings, and what is said when it is wrong."""

import re
import stat
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest

from store import Settings, read_settings
from store.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]
PEPPER = "p" * 32


def read(root: Path, **environ: str) -> Settings:
    return read_settings(environ, root)


def test_without_any_variable_everything_lies_beside_the_app(tmp_path: Path) -> None:
    settings = read(tmp_path)
    assert settings.database_url == f"sqlite:///{tmp_path}/instance/tandem.sqlite"
    assert (settings.data_dir, settings.public_dir) == (tmp_path / "data", tmp_path / "public")
    assert settings.own_dir == tmp_path / "data.tandem"
    assert settings.instance_dir == tmp_path / "instance"
    assert (settings.data_backend, settings.jobs) == ("dual", "embedded")
    assert settings.jobs_queue == f"sqlite:///{tmp_path}/instance/jobs.sqlite"
    assert (settings.host, settings.port, settings.verbose, settings.verbose_migration) == (
        "127.0.0.1",
        5000,
        False,
        False,
    )
    assert settings.allow_local_providers is False


def test_every_variable_is_read(tmp_path: Path) -> None:
    given = {
        "DATABASE_URL": "postgresql://u:p@host/db",
        "DATA_DIR": "/srv/data",
        "PUBLIC_DIR": "pub",
        "DATA_BACKEND": "json",
        "ENCRYPTION_MASTER_PEPPER": PEPPER,
        "SECRET_KEY": "secret",
        "JOBS": "inline",
        "JOBS_QUEUE": "redis://x",
        "HOST": "0.0.0.0",
        "PORT": "8080",
        "TRUSTED_PROXY": "10.0.0.2",
        "VERBOSE": "true",
        "VERBOSE_MIGRATION": "1",
        "ALLOW_LOCAL_PROVIDERS": "yes",
    }
    settings = read(tmp_path, **given)
    assert settings == Settings(
        database_url="postgresql+psycopg://u:p@host/db",
        data_dir=Path("/srv/data"),
        public_dir=tmp_path / "pub",
        instance_dir=tmp_path / "instance",
        data_backend="json",
        encryption_master_pepper=PEPPER,
        secret_key="secret",
        jobs="inline",
        jobs_queue="redis://x",
        host="0.0.0.0",
        port=8080,
        trusted_proxy="10.0.0.2",
        verbose=True,
        verbose_migration=True,
        allow_local_providers=True,
    )
    assert {field.name.upper() for field in fields(Settings)} == given.keys() | {"INSTANCE_DIR", "PEPPER_GIVEN"}
    assert not (tmp_path / "instance").exists()  # nothing had to be made


@pytest.mark.parametrize("how", ["dual", "DUAL", " sql ", "prisma", "json", ""])
def test_the_backend_has_quilltaps_spellings(tmp_path: Path, how: str) -> None:
    expected = {"prisma": "sql", "": "dual"}.get(how, how.strip().lower())
    assert read(tmp_path, DATA_BACKEND=how).data_backend == expected


@pytest.mark.parametrize(
    ("url", "read_as"),
    [
        (
            "postgresql://u@h/d?schema=public&sslmode=require",
            "postgresql+psycopg://u@h/d?schema=public&sslmode=require",
        ),
        ("postgres://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
        ("sqlite:///below/it.sqlite", "sqlite:///ROOT/below/it.sqlite"),
        ("sqlite:////srv/it.sqlite", "sqlite:////srv/it.sqlite"),
        ("  sqlite:////srv/it.sqlite ", "sqlite:////srv/it.sqlite"),
    ],
)
def test_an_address_of_a_database(tmp_path: Path, url: str, read_as: str) -> None:
    assert read(tmp_path, DATABASE_URL=url).database_url == read_as.replace("ROOT", str(tmp_path))


@pytest.mark.parametrize("url", ["mysql://u:geheim@h/d", "sqlite://", "sqlite:///:memory:", "sqlite:///", "x.sqlite"])
def test_a_wrong_address_is_refused_without_telling_its_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL") as refused:
        read(tmp_path, DATABASE_URL=url)
    assert "geheim" not in refused.value.sentence


def test_all_wrong_values_are_named_together_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    wrong = {
        "DATABASE_URL": "oracle://x",
        "DATA_DIR": "file",
        "PUBLIC_DIR": str(tmp_path / "file"),
        "DATA_BACKEND": "both",
        "ENCRYPTION_MASTER_PEPPER": "short",
        "JOBS": "sometimes",
        "JOBS_QUEUE": "amqp://x",
        "PORT": "70000",
        "VERBOSE": "perhaps",
        "VERBOSE_MIGRATION": "2",
        "ALLOW_LOCAL_PROVIDERS": "ollama",
    }
    with pytest.raises(SettingsError) as refused:
        read(tmp_path, **wrong)
    assert {name for name in wrong if re.search(rf"\b{name}\b", refused.value.message)} == wrong.keys()
    assert refused.value.hint
    assert "short" not in refused.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "80.5", "1e3"])
def test_a_wrong_port_is_refused(tmp_path: Path, port: str) -> None:
    with pytest.raises(SettingsError, match=f"PORT is “{re.escape(port)}”"):
        read(tmp_path, PORT=port)


@pytest.mark.parametrize("proxy", ["*", "proxy.example", "10.0.0.0/8", "10.0.0.1, 10.0.0.2"])
def test_a_proxy_is_trusted_by_its_one_address(tmp_path: Path, proxy: str) -> None:
    with pytest.raises(SettingsError, match="TRUSTED_PROXY is “"):
        read(tmp_path, TRUSTED_PROXY=proxy)


@pytest.mark.parametrize(("told", "meant"), [("True", True), ("on", True), ("no", False), ("", False), ("0", False)])
def test_a_flag_has_several_spellings(tmp_path: Path, told: str, meant: bool) -> None:
    assert read(tmp_path, VERBOSE=told).verbose is meant


def test_the_environment_counts_more_than_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=6000\nHOST=10.0.0.1\n# DATA_BACKEND=sql\nSECRET_KEY='it''s'\n")
    settings = read(tmp_path, PORT="7000")
    assert (settings.port, settings.host, settings.data_backend) == (7000, "10.0.0.1", "dual")


def test_secrets_are_made_once_and_readable_by_their_owner_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = read(tmp_path)
    assert stat.S_IMODE((tmp_path / "instance").stat().st_mode) == 0o700
    for name in ("encryption-master-pepper", "secret-key"):
        path = tmp_path / "instance" / name
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert str(path) in caplog.text
        assert path.read_text() not in caplog.text
    assert len(first.encryption_master_pepper) >= 32
    assert len(first.secret_key) >= 32
    assert first.encryption_master_pepper != first.secret_key
    caplog.clear()
    assert read(tmp_path) == first
    assert caplog.text == ""
    assert sorted(path.name for path in (tmp_path / "instance").iterdir()) == ["encryption-master-pepper", "secret-key"]


def test_a_secret_does_not_show_in_the_settings_text(tmp_path: Path) -> None:
    settings = read(tmp_path)
    assert settings.encryption_master_pepper not in repr(settings)
    assert settings.secret_key not in repr(settings)


def test_an_empty_secret_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "instance").mkdir()
    (tmp_path / "instance" / "encryption-master-pepper").write_text("\n")
    with pytest.raises(SettingsError, match="encryption-master-pepper is empty") as refused:
        read(tmp_path)
    assert "backup" in refused.value.hint
    assert (tmp_path / "instance" / "encryption-master-pepper").read_text() == "\n"


RACER = """
import pathlib, sys, time
from store import read_settings
root, start = pathlib.Path(sys.argv[1]), float(sys.argv[2])
time.sleep(max(0, start - time.time()))
settings = read_settings({}, root)
print(settings.encryption_master_pepper, settings.secret_key)
"""


@pytest.mark.slow
def test_two_processes_that_start_together_have_the_same_secrets(tmp_path: Path) -> None:
    command = [sys.executable, "-c", RACER, str(tmp_path), str(time.time() + 1.5)]
    racers = [subprocess.Popen(command, cwd=ROOT, env={}, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    told = {racer.communicate(timeout=60)[0] for racer in racers}
    assert len(told) == 1
    assert len(told.pop()) > 64
    assert len(list((tmp_path / "instance").iterdir())) == 2
