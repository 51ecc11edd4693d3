"""Whether both sides hold the same: every record, field by field; relations; secrets; what Quilltap would refuse.

``validate_all_data`` looks at all 23 models; for each there is a function of its own, named as its table.
"""

from collections.abc import Sequence

from store.progress import Progress
from store.validation.report import (
    Dangling,
    Difference,
    FailedSecret,
    ModelCount,
    Rejected,
    Report,
    SecretCount,
    Unreadable,
)
from store.validation.running import Sides, validate_side, validate_store
from store.validation.values import real_ids, shown_id


def validate_all_data(
    store: Sides, *, only: Sequence[str] = (), quick: bool = False, progress: Progress | None = None
) -> Report:
    """Compare both sides. ``only``: these models; ``quick``: which records there are and where links lead, no values.

    Others may go on writing: what is not equal is looked at again when nothing of it waits. Raises InvalidValueError
    for a model that is none, DatabaseError, JsonSideError, CancelledError.
    """
    return validate_store(store, only=only, quick=quick, progress=progress)


def validate_users(store: Sides) -> Report:
    """The model User alone."""
    return validate_store(store, only=("User",))


def validate_chat_settings(store: Sides) -> Report:
    """The model ChatSettings alone."""
    return validate_store(store, only=("ChatSettings",))


def validate_accounts(store: Sides) -> Report:
    """The model Account alone."""
    return validate_store(store, only=("Account",))


def validate_sessions(store: Sides) -> Report:
    """The model Session alone."""
    return validate_store(store, only=("Session",))


def validate_verification_tokens(store: Sides) -> Report:
    """The model VerificationToken alone."""
    return validate_store(store, only=("VerificationToken",))


def validate_api_keys(store: Sides) -> Report:
    """The model ApiKey alone."""
    return validate_store(store, only=("ApiKey",))


def validate_connection_profiles(store: Sides) -> Report:
    """The model ConnectionProfile alone."""
    return validate_store(store, only=("ConnectionProfile",))


def validate_connection_profile_tags(store: Sides) -> Report:
    """The model ConnectionProfileTag alone."""
    return validate_store(store, only=("ConnectionProfileTag",))


def validate_characters(store: Sides) -> Report:
    """The model Character alone."""
    return validate_store(store, only=("Character",))


def validate_character_personas(store: Sides) -> Report:
    """The model CharacterPersona alone."""
    return validate_store(store, only=("CharacterPersona",))


def validate_character_tags(store: Sides) -> Report:
    """The model CharacterTag alone."""
    return validate_store(store, only=("CharacterTag",))


def validate_personas(store: Sides) -> Report:
    """The model Persona alone."""
    return validate_store(store, only=("Persona",))


def validate_persona_tags(store: Sides) -> Report:
    """The model PersonaTag alone."""
    return validate_store(store, only=("PersonaTag",))


def validate_chats(store: Sides) -> Report:
    """The model Chat alone."""
    return validate_store(store, only=("Chat",))


def validate_messages(store: Sides) -> Report:
    """The model Message alone."""
    return validate_store(store, only=("Message",))


def validate_chat_files(store: Sides) -> Report:
    """The model ChatFile alone."""
    return validate_store(store, only=("ChatFile",))


def validate_chat_tags(store: Sides) -> Report:
    """The model ChatTag alone."""
    return validate_store(store, only=("ChatTag",))


def validate_images(store: Sides) -> Report:
    """The model Image alone."""
    return validate_store(store, only=("Image",))


def validate_image_tags(store: Sides) -> Report:
    """The model ImageTag alone."""
    return validate_store(store, only=("ImageTag",))


def validate_chat_avatar_overrides(store: Sides) -> Report:
    """The model ChatAvatarOverride alone."""
    return validate_store(store, only=("ChatAvatarOverride",))


def validate_image_profiles(store: Sides) -> Report:
    """The model ImageProfile alone."""
    return validate_store(store, only=("ImageProfile",))


def validate_image_profile_tags(store: Sides) -> Report:
    """The model ImageProfileTag alone."""
    return validate_store(store, only=("ImageProfileTag",))


def validate_tags(store: Sides) -> Report:
    """The model Tag alone."""
    return validate_store(store, only=("Tag",))


__all__ = [
    "Dangling",
    "Difference",
    "FailedSecret",
    "ModelCount",
    "Rejected",
    "Report",
    "SecretCount",
    "Sides",
    "Unreadable",
    "real_ids",
    "shown_id",
    "validate_accounts",
    "validate_all_data",
    "validate_api_keys",
    "validate_character_personas",
    "validate_character_tags",
    "validate_characters",
    "validate_chat_avatar_overrides",
    "validate_chat_files",
    "validate_chat_settings",
    "validate_chat_tags",
    "validate_chats",
    "validate_connection_profile_tags",
    "validate_connection_profiles",
    "validate_image_profile_tags",
    "validate_image_profiles",
    "validate_image_tags",
    "validate_images",
    "validate_messages",
    "validate_persona_tags",
    "validate_personas",
    "validate_sessions",
    "validate_side",
    "validate_tags",
    "validate_users",
    "validate_verification_tokens",
]
