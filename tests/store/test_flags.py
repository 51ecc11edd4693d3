"""Which backend is in use, asked as Quilltap's code asks."""

import logging
from pathlib import Path

import pytest

from store import flags
from store.settings import read_settings
from tests.factories import settings_for


@pytest.mark.parametrize(
    ("backend", "sql", "json", "dual"),
    [("sql", True, False, False), ("json", False, True, False), ("dual", True, True, True)],
)
def test_the_flags_follow_the_backend(tmp_path: Path, backend: str, sql: bool, json: bool, dual: bool) -> None:
    settings = settings_for(tmp_path, backend=backend)
    assert flags.get_data_backend(settings) == backend
    assert flags.should_use_sql(settings) is sql
    assert flags.should_use_json_store(settings) is json
    assert flags.is_dual_mode(settings) is dual
    assert flags.is_migration_mode(settings) is dual


def test_quilltaps_word_for_sql_is_understood(tmp_path: Path) -> None:
    assert flags.get_data_backend(read_settings({"DATA_BACKEND": "prisma"}, tmp_path)) == "sql"


def test_the_configuration_is_logged_without_a_password(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        flags.log_backend_config(settings_for(tmp_path, "postgresql://ada:hunter2@localhost/quilltap"))
    assert "DATA_BACKEND=dual: database in use, JSON side in use" in caplog.text
    assert "hunter2" not in caplog.text
