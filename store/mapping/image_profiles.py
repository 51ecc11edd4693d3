"""Image profiles: the row and its tags."""

from store.documents.image_profiles import ImageProfile
from store.mapping.base import Child, Mapping, set_tags
from store.mapping.profiles import record_from, rows_from
from store.tables.image_profiles import image_profile_tags, image_profiles

IMAGE_PROFILES = Mapping(
    kind="image_profile",
    model="ImageProfile",
    main=image_profiles,
    document=ImageProfile,
    to_record=record_from("image_profiles", "image_profile_tags"),
    to_rows=rows_from("image_profiles", "image_profile_tags", "imageProfileId"),
    children=(Child(image_profile_tags, "imageProfileId"),),
    links={"tags": set_tags("image_profile_tags", "imageProfileId", "image_profiles")},
)
