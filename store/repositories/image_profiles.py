"""Image profiles."""

import sqlalchemy as sa

from store.documents import ImageProfile
from store.repositories.defaults import ProfileRepository


class ImageProfilesRepository(ProfileRepository[ImageProfile]):
    """Image profiles; a name is unique per user."""

    kind = "image_profile"

    def find_by_name(self, user_id: str, name: str) -> ImageProfile | None:
        """The user's image profile of exactly this name."""
        found = self._find(sa.and_(self._main.c.userId == user_id, self._main.c.name == name))
        return found[0] if found else None
