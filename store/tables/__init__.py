"""Quilltap's 23 tables (schema 0.7.0) in Flask-SQLAlchemy, one file per noun; no logic."""

from typing import Final

from sqlalchemy import Table

from store.tables import (
    attachments,
    avatars,
    characters,
    chats,
    image_profiles,
    images,
    keys,
    messages,
    personas,
    profiles,
    signin,
    tags,
    users,
)
from store.tables.base import JSON_NULL, Unusable, db

# Quilltap's model names, in the order of its schema.
MODELS: Final[dict[str, Table]] = {
    "User": users.users,
    "ChatSettings": users.chat_settings,
    "Account": signin.accounts,
    "Session": signin.sessions,
    "VerificationToken": signin.verification_tokens,
    "ApiKey": keys.api_keys,
    "ConnectionProfile": profiles.connection_profiles,
    "ConnectionProfileTag": profiles.connection_profile_tags,
    "Character": characters.characters,
    "CharacterPersona": characters.character_personas,
    "CharacterTag": characters.character_tags,
    "Persona": personas.personas,
    "PersonaTag": personas.persona_tags,
    "Chat": chats.chats,
    "Message": messages.messages,
    "ChatFile": attachments.chat_files,
    "ChatTag": chats.chat_tags,
    "Image": images.images,
    "ImageTag": images.image_tags,
    "ChatAvatarOverride": avatars.chat_avatar_overrides,
    "ImageProfile": image_profiles.image_profiles,
    "ImageProfileTag": image_profiles.image_profile_tags,
    "Tag": tags.tags,
}

__all__ = ["JSON_NULL", "MODELS", "Unusable", "db"]
