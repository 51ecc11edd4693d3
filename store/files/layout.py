"""Which file holds what: the one list of shelves."""

from typing import Final

from store.documents import (
    Account,
    ApiKey,
    Character,
    ConnectionProfile,
    ImageProfile,
    Persona,
    Session,
    Tag,
    VerificationToken,
)
from store.files.aggregates import Aggregate, Section
from store.files.binaries import Binaries, ChatsIndex
from store.files.forms import LinesForm, ListForm, ObjectForm
from store.files.shelves import OwnFiles, Shelf
from store.files.user_files import UserFiles
from store.mapping import MAPPINGS


def _by_id(record: dict[str, str]) -> tuple[str, ...]:
    return (record["id"],)


_ALL: Final[tuple[Shelf, ...]] = (
    UserFiles(),
    Aggregate("auth/accounts.json", ListForm("accounts"), Section("account", Account, "accounts", order=_by_id)),
    Aggregate("auth/sessions.jsonl", LinesForm(), Section("session", Session, order=_by_id)),
    Aggregate(
        "auth/verification-tokens.jsonl",
        LinesForm(),
        Section("token", VerificationToken, order=lambda record: (record["identifier"], record["token"])),
    ),
    Aggregate("tags/tags.json", ObjectForm("tags"), Section("tag", Tag, "tags")),
    Aggregate(
        "settings/connection-profiles.json",
        ObjectForm("apiKeys", "llmProfiles"),
        Section("key", ApiKey, "apiKeys", owns=lambda record: "ciphertext" in record),
        Section("profile", ConnectionProfile, "llmProfiles", owns=lambda record: "ciphertext" not in record),
    ),
    Aggregate(
        "settings/image-profiles.json", ObjectForm("profiles"), Section("image_profile", ImageProfile, "profiles")
    ),
    Binaries(),
    OwnFiles("persona", "personas", Persona),
    OwnFiles("character", "characters", Character),
    ChatsIndex(),
)
_OF_KIND: Final = {kind: shelf for shelf in _ALL for kind in shelf.kinds}
# Kind -> the shelf its records lie on, in the order in which links point.
SHELVES: Final[dict[str, Shelf]] = {kind: _OF_KIND[kind] for kind in MAPPINGS}
