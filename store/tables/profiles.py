"""Connection profiles and image profiles, with their tags."""

from typing import Any

from sqlalchemy import Column

from store.tables.base import (
    EnumName,
    FreeForm,
    created,
    db,
    flag,
    identity,
    index,
    link,
    moment,
    owner,
    tag_links,
    text,
    unique,
)


def _profile_columns(provider: str) -> list[Column[Any]]:
    return [
        identity(),
        owner(),
        text("name"),
        Column("provider", EnumName(provider), nullable=False),
        link("apiKeyId", "api_keys", "SET NULL", nullable=True),
        text("baseUrl", nullable=True),
        text("modelName"),
        Column("parameters", FreeForm, nullable=False, server_default="{}"),
        flag("isDefault"),
        created(),
        moment("updatedAt"),
    ]


connection_profiles = db.Table("connection_profiles", *_profile_columns("Provider"))
connection_profile_tags = tag_links("connection_profile_tags", "connectionProfileId", "connection_profiles")

image_profiles = db.Table(
    "image_profiles",
    *_profile_columns("ImageProvider"),
    unique("image_profiles", "userId", "name"),
    index("image_profiles", "userId", "isDefault"),
)
image_profile_tags = tag_links("image_profile_tags", "imageProfileId", "image_profiles")
