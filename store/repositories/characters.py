"""Characters."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy import Connection

from store import rows
from store.audit.differences import note_set
from store.documents import Character, now
from store.repositories.contract import Result
from store.repositories.tagged import TaggedRepository
from store.tables.characters import character_personas as links


class CharactersRepository(TaggedRepository[Character]):
    """Characters, with tags and personas."""

    kind = "character"
    short = ("id", "userId", "name", "title", "avatarUrl", "defaultImageId", "isFavorite", "createdAt", "updatedAt")
    sortable = ("name", "title", "isFavorite", "createdAt", "updatedAt")
    searched = ("name", "title")

    def add_persona(self, character_id: str, persona_id: str, is_default: bool = False) -> Result[Character]:
        """Link a persona; a new default takes the place of the old one."""

        def work(connection: Connection) -> Character:
            old = self._locked(connection, character_id)
            mine = links.c.characterId == character_id
            if is_default:
                others = sa.update(links).where(mine, links.c.personaId != persona_id, links.c.isDefault)
                connection.execute(others.values(isDefault=False))
            this = sa.update(links).where(mine, links.c.personaId == persona_id).values(isDefault=is_default)
            if not connection.execute(this).rowcount:
                values = {"characterId": character_id, "personaId": persona_id, "isDefault": is_default}
                connection.execute(sa.insert(links).values(values))
            return self._relinked(connection, old)

        return self._change(work, [character_id])

    def remove_persona(self, character_id: str, persona_id: str) -> Result[Character]:
        """Take a link to a persona away; nothing changes when there is none."""

        def work(connection: Connection) -> Character:
            old = self._locked(connection, character_id)
            pair = (links.c.characterId == character_id, links.c.personaId == persona_id)
            connection.execute(sa.delete(links).where(*pair))
            return self._relinked(connection, old)

        return self._change(work, [character_id])

    def set_favorite(self, character_id: str, is_favorite: bool) -> Result[Character]:
        """Make it a favourite, or no longer."""
        return self.update(character_id, {"isFavorite": is_favorite})

    def set_favorite_of_many(self, character_ids: Iterable[str], is_favorite: bool) -> Result[int]:
        """The same for several as one unit; how many changed."""
        ids = list(dict.fromkeys(character_ids))

        def work(connection: Connection) -> int:
            changed = 0
            for some in rows.chunks(ids):
                others = sa.and_(self._main.c.id.in_(some), self._main.c.isFavorite != is_favorite)
                names = self._names(connection, others)
                values = {"isFavorite": is_favorite, "updatedAt": now()}
                changed += connection.execute(sa.update(self._main).where(others).values(values)).rowcount
                note_set(self.kind, names, "isFavorite", not is_favorite, is_favorite)
            return changed

        return self._change(work, ids)
