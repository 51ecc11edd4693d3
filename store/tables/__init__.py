"""Quilltap's 23 tables (schema 0.7.0) in Flask-SQLAlchemy, one file per noun; no logic."""

from typing import Final

from sqlalchemy import Table

from store.tables import characters, chats, images, keys, personas, profiles, signin, tags, users
from store.tables.base import ENUMS, JSON_NULL, Unusable, db

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
    "Message": chats.messages,
    "ChatFile": chats.chat_files,
    "ChatTag": chats.chat_tags,
    "Image": images.images,
    "ImageTag": images.image_tags,
    "ChatAvatarOverride": characters.chat_avatar_overrides,
    "ImageProfile": profiles.image_profiles,
    "ImageProfileTag": profiles.image_profile_tags,
    "Tag": tags.tags,
}

__all__ = ["ENUMS", "JSON_NULL", "MODELS", "Unusable", "db"]
