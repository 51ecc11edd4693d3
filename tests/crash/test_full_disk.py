"""A disk that is full before an export, or becomes so meanwhile: the files in use stay, and a sentence says why. It is
a small image, mounted, so that the kernel itself says that it is full."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from store import open_store
from store.errors import StorageFullError
from store.exporting import export
from store.files.generations import Generations
from store.files.side import JsonSide
from tests.dashboard.test_start import ROOT, run, settings_below
from tests.factories import (
    files_below,
    lay_database,
    make_character,
    make_image,
    open_test_store,
    put,
    settings_for,
)

pytestmark = pytest.mark.slow
MANY = 1_500  # characters: enough that a disk can be filled while they are written
SIZE = 64 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 64 MB."""
    image, folder = tmp_path / "image", tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or not (shutil.which("mkfs.ext4") and shutil.which("mount")):
        pytest.skip("a disk of our own needs root, mkfs.ext4 and mount")
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
    mounted = subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"this machine mounts no image: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(disk: Path, leave: int = 0) -> Path:
    """Take all room but so many bytes; another process may be taking some of it too."""
    path = disk / "filler"
    with path.open("wb") as file:
        for _ in range(20):
            status = os.statvfs(disk)
            with contextlib.suppress(OSError):
                size, room = os.fstat(file.fileno()).st_size, status.f_bavail * status.f_frsize - leave
                os.posix_fallocate(file.fileno(), size, max(room, 1))
    return path


def add_characters(url: str) -> None:
    """As another program would."""
    with contextlib.closing(sa.create_engine(url).raw_connection()) as connection:
        row = dict(zip(*_first_character(connection), strict=True))
        marks = ", ".join("?" * len(row))
        rows = [tuple({**row, "id": f"00000000-0000-4000-8000-{n:012d}"}.values()) for n in range(MANY)]
        connection.cursor().executemany(f"INSERT INTO characters VALUES ({marks})", rows)
        connection.commit()


def _first_character(connection: sa.PoolProxiedConnection) -> tuple[list[str], tuple[object, ...]]:
    cursor = connection.cursor()
    cursor.execute("SELECT * FROM characters LIMIT 1")
    row = cursor.fetchone()
    assert row is not None
    return [column[0] for column in cursor.description], row


def test_the_files_in_use_stay_and_the_next_export_succeeds(tmp_path: Path, disk: Path) -> None:
    store = open_test_store(tmp_path, backend="sql")
    make_character(store)
    url = store.settings.database_url
    store.close()
    settings = {"DATABASE_URL": url, "DATA_DIR": str(disk / "data"), "DATA_BACKEND": "sql", "JOBS": "inline"}
    command = ("-m", "flask", "--app", "app", "data", "export")
    first = run(tmp_path, *command, **settings)
    assert first.returncode == 0, first.stderr
    generations = Generations(JsonSide(disk / "data", disk / "data.tandem"))
    before = files_below(disk / "data")
    add_characters(url)

    def assert_nothing_changed() -> None:
        assert generations.current() == "gen-000001"
        assert files_below(disk / "data") == before
        assert generations.verify("gen-000001") == []
        assert not (generations.folder / "gen-000002").exists(), "what was begun is gone"

    filler = fill(disk, leave=1 << 20)
    refused = run(tmp_path, *command, **settings)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "The export may need" in refused.stderr
    assert "MB are free. Free some space and export again" in refused.stderr
    assert_nothing_changed()

    filler.unlink()
    environ = settings_below(tmp_path, **settings)
    characters = generations.folder / "gen-000002" / "characters"
    with subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True
    ) as exporting:
        while exporting.poll() is None and not (characters.is_dir() and any(characters.iterdir())):
            time.sleep(0.001)
        fill(disk)
        _, told = exporting.communicate(timeout=60)
    assert exporting.returncode == 1, told
    assert "There is no room left to write" in told
    assert "Free some space and export again; the files in use are as they were." in told
    assert "Traceback" not in told
    assert_nothing_changed()

    filler.unlink()
    again = run(tmp_path, *command, **settings)
    assert again.returncode == 0, again.stderr
    assert generations.current() == "gen-000002"
    assert len(list((disk / "data" / "characters").iterdir())) == MANY + 1
    assert generations.verify("gen-000002") == []


def test_pictures_on_another_disk_have_to_find_room_too(tmp_path: Path, disk: Path) -> None:
    picture = put(tmp_path, "public/uploads/large.png", os.urandom(SIZE // 2))
    fill(disk, leave=SIZE // 4)
    settings = settings_for(tmp_path, backend="sql", data_dir=disk / "data")
    lay_database(tmp_path / "quilltap.sqlite")
    store = open_store(settings, follow=False)
    make_image(store, filepath="uploads/large.png")
    with pytest.raises(StorageFullError, match=r"may need 3[5-9] MB"):
        export(store)
    assert list(Generations(store.side).folder.glob("*")) == []
    picture.write_bytes(b"a small one")
    assert export(store).switched
    store.close()
