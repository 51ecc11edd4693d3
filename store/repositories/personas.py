"""Personas."""

import contextlib
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy import Connection

from store import rows
from store.audit.differences import note_updated
from store.documents import Persona
from store.mapping.characters import CHARACTERS
from store.repositories.contract import Result
from store.repositories.tagged import TaggedRepository
from store.tables.characters import character_personas as links


class PersonasRepository(TaggedRepository[Persona]):
    """Personas. Their links to characters are the characters' links seen from here."""

    kind = "persona"
    short = ("id", "userId", "name", "title", "avatarUrl", "defaultImageId", "createdAt", "updatedAt")
    sortable = ("name", "title", "createdAt", "updatedAt")
    searched = ("name", "title")

    def add_character_link(self, persona_id: str, character_id: str) -> Result[Persona]:
        """Link a character; nothing changes when it is linked."""

        def work(connection: Connection) -> Persona:
            self._locked(connection, persona_id)
            pair = {"personaId": persona_id, "characterId": character_id}
            there = sa.select(links.c.personaId).filter_by(**pair)
            if connection.execute(there).first() is None:
                with self._noting(connection, character_id):
                    connection.execute(sa.insert(links).values(**pair, isDefault=False))
            return self._reload(connection, persona_id)

        return self._change(work, [persona_id])

    def remove_character_link(self, persona_id: str, character_id: str) -> Result[Persona]:
        """Take a link to a character away; nothing changes when there is none."""

        def work(connection: Connection) -> Persona:
            self._locked(connection, persona_id)
            pair = (links.c.personaId == persona_id, links.c.characterId == character_id)
            with self._noting(connection, character_id):
                connection.execute(sa.delete(links).where(*pair))
            return self._reload(connection, persona_id)

        return self._change(work, [persona_id])

    @staticmethod
    @contextlib.contextmanager
    def _noting(connection: Connection, character_id: str) -> Iterator[None]:
        """What is done within to the links is a change of the character: they are its own."""
        old = rows.load(connection, CHARACTERS, [character_id])
        yield
        new = rows.load(connection, CHARACTERS, [character_id])
        if character_id in old and character_id in new:
            note_updated(CHARACTERS, old[character_id], new[character_id])
