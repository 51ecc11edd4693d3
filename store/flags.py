"""Which backend is in use, under the names Quilltap's code knows."""

import logging

from store.settings import Backend, Settings

log = logging.getLogger("tandem.flags")


def get_data_backend(settings: Settings) -> Backend:
    """``sql``, ``json`` or ``dual`` (Quilltap's word ``prisma`` is read as ``sql``)."""
    return settings.data_backend


def should_use_sql(settings: Settings) -> bool:
    """Whether the database is written."""
    return settings.data_backend in ("sql", "dual")


def should_use_json_store(settings: Settings) -> bool:
    """Whether the JSON files are written."""
    return settings.data_backend in ("json", "dual")


def is_dual_mode(settings: Settings) -> bool:
    """Whether every write goes to both sides."""
    return settings.data_backend == "dual"


def is_migration_mode(settings: Settings) -> bool:
    """Whether the data is on its way to the JSON side: both sides are in use, and SQL is still the one that counts."""
    return is_dual_mode(settings)


def log_backend_config(settings: Settings) -> None:
    """Write down once, at the start, where the data lies; never a password."""
    log.info(
        "DATA_BACKEND=%s: database %s, JSON side %s (%s)",
        settings.data_backend,
        "in use" if should_use_sql(settings) else "not written",
        "in use" if should_use_json_store(settings) else "not written",
        settings.data_dir,
    )
