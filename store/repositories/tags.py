"""Tags."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from store import rows
from store.documents import Tag
from store.errors import DuplicateError
from store.mapping import MAPPINGS
from store.repositories.base import Repository
from store.repositories.contract import Result, Sources
from store.repositories.listing import tag_link


class TagsRepository(Repository[Tag]):
    """Tags; a name is unique per user, without regard to case."""

    kind = "tag"

    def _completed(self, fields: dict[str, Any]) -> dict[str, Any]:
        # nameLower is what makes a name unique; it follows the name unless it is given.
        name = fields.get("name")
        return {"nameLower": name.lower(), **fields} if isinstance(name, str) else fields

    def find_by_name(self, user_id: str, name: str) -> Tag | None:
        """The user's tag of this name, without regard to case."""
        found = self._find(sa.and_(self._main.c.userId == user_id, self._main.c.nameLower == name.strip().lower()))
        return found[0] if found else None

    def find_or_create(self, user_id: str, name: str) -> Result[Tag]:
        """The user's tag of this name; made when there is none."""
        if tag := self.find_by_name(user_id, name):
            return Result(tag, Sources(sql=None, json=None, consistent=True))
        try:
            return self.create({"userId": user_id, "name": name.strip()})
        except DuplicateError:  # somebody else made it a moment ago
            if tag := self.find_by_name(user_id, name):
                return Result(tag, Sources(sql=None, json=None, consistent=True))
            raise

    def usage(self, tag_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """tag id -> kind -> how many records carry it; kinds without any are left out."""
        used: dict[str, dict[str, int]] = {tag_id: {} for tag_id in tag_ids}
        with self._backend.reading() as connection:
            for kind, mapping in MAPPINGS.items():
                if link := tag_link(mapping):
                    tag_id = link[0].c.tagId
                    for some in rows.chunks(used):
                        counts = sa.select(tag_id, sa.func.count()).where(tag_id.in_(some)).group_by(tag_id)
                        for one, number in connection.execute(counts):
                            used[one][kind] = number
        return used
