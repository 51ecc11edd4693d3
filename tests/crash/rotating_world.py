"""A world with secrets: who has which, how it is brought back, and what an outside reader says of it."""

from pathlib import Path

from store import Settings, Store
from store.files.system import System
from store.secrets import BACKUP_CODES, TOTP_SECRET, Keys
from tests.crash.secrets_reader import Expected, in_files, in_sql, peppers_in
from tests.crash.world import World
from tests.factories import make_key, make_user, settings_for

OLD, NEW, THIRD = (letter * 40 for letter in "ont")
KEYS = Keys()  # deriving is slow on purpose; in one process each is derived once


def secret_settings(
    path: Path, url: str = "", backend: str = "dual", *, given: bool = False, laid: bool = False
) -> Settings:
    """The pepper is ``OLD``: in the environment (``given``), or in its file, which may be ``laid`` already."""
    settings = settings_for(path, url, backend, encryption_master_pepper=OLD, pepper_given=given)
    settings.instance_dir.mkdir(parents=True, exist_ok=True)
    if not given and not laid:
        (settings.instance_dir / "encryption-master-pepper").write_text(OLD)
    return settings


def opened(settings: Settings, system: System | None = None, *, start: bool = True, read: bool = True) -> Store:
    """What a new process has: it reads the pepper's file anew, when that is where the pepper is."""
    if read and not settings.pepper_given:
        there = peppers_in(settings.instance_dir)["encryption-master-pepper"]
        settings = Settings(**{**vars(settings), "encryption_master_pepper": there})
    store = Store(settings, system)
    store.secrets.keys = KEYS
    if start:
        store.start(follow=False)
    return store


def populate_secrets(store: Store, keys: int = 2, users: int = 1) -> Expected:
    """Users with a TOTP secret and backup codes, and API keys; what each of them says."""
    texts: dict[tuple[str, str], str] = {}
    for number in range(users):
        user = make_user(store, f"user {number}")
        texts["totp", user.id], texts["codes", user.id] = f"TOTP{number}", f'["A{number}","é"]'
        fields = store.secrets.encrypt(user.id, texts["totp", user.id]).spelled(TOTP_SECRET)
        fields |= store.secrets.encrypt_codes(user.id, [f"A{number}", "é"]).spelled(BACKUP_CODES)
        store.users.update(user.id, {**fields, "totpEnabled": True})
        mine = range(number, keys, users)
        for one in mine:
            value = f"sk-{one}-ß"
            texts["key", make_key(store, f"key {one}", value, userId=user.id).id] = value
    return Expected(texts)


def violations(settings: Settings, expected: Expected) -> list[str]:
    """What is lost, or opens under none or several of the peppers that lie in the instance folder or are given."""
    known = list(peppers_in(settings.instance_dir).values())
    if settings.pepper_given:
        known.append(settings.encryption_master_pepper)
    sides = [in_sql(settings.database_url)]
    if settings.data_backend != "sql":
        sides.append(in_files(settings.data_dir))
    return [told for side in sides for told in expected.violations(side, known)]


class SecretWorld(World):
    """A world whose instance folder counts too."""

    expected: Expected

    def _parts(self) -> list[Path]:
        return [*super()._parts(), self.settings.instance_dir]

    def left_now(self) -> object:
        instance = self.settings.instance_dir
        return super().left_now(), frozenset((path.name, path.stat().st_ino) for path in instance.iterdir())


def make_secret_world(path: Path, backend: str, *, given: bool = False) -> SecretWorld:
    world = SecretWorld(secret_settings(path / "live", "", backend, given=given), path / "kept")
    store = opened(world.settings)
    world.expected = populate_secrets(store)
    store.close()
    world.keep()
    return world
