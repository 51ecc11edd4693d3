"""Image profiles: how an image model is reached; with their tags."""

from store.tables.base import db, index, profile_columns, tag_links, unique

image_profiles = db.Table(
    "image_profiles",
    *profile_columns("ImageProvider"),
    unique("image_profiles", "userId", "name"),
    index("image_profiles", "userId", "isDefault"),
)

image_profile_tags = tag_links("image_profile_tags", "imageProfileId", "image_profiles")
