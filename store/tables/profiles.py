"""Connection profiles: how a language model is reached; with their tags."""

from store.tables.base import db, profile_columns, tag_links

connection_profiles = db.Table("connection_profiles", *profile_columns("Provider"))

connection_profile_tags = tag_links("connection_profile_tags", "connectionProfileId", "connection_profiles")
