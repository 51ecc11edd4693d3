"""Making characters of cards, through the repositories like every other edit."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from store.audit import because
from store.cards.reader import Card
from store.documents import Character, User
from store.errors import NotFoundError, StoreError
from store.repositories.contract import CharactersRepository, Result, TagsRepository, UsersRepository
from store.uploads import Added, Gallery, add_image, remove_image


class Library(Gallery, Protocol):
    """What cards are saved in: a Store is one."""

    @property
    def characters(self) -> CharactersRepository: ...

    @property
    def tags(self) -> TagsRepository: ...


@dataclass(frozen=True)
class Saved(Result[Character]):
    """A character made of a card. ``no_picture`` says why the card's picture was not kept, where it has one."""

    no_picture: StoreError | None = None


def owner(users: UsersRepository, email: str | None) -> User:
    """The user new characters belong to: the one with this address (made when there is none), or Quilltap's own choice.

    Raises NotFoundError when no address is given and there is no user at all.
    """
    if email is None:
        if (user := users.get_current_user()) is None:
            raise NotFoundError(
                "There is no user yet to whom a character could belong.", hint="Give an e-mail address."
            )
        return user
    return users.find_by_email(email) or users.create({"email": email}).value


def known_tags(tags: TagsRepository, user_id: str) -> Callable[[list[str]], set[str]]:
    """For ``plan_import``: which of some names are tags of the user already."""
    return lambda names: {name for name in names if tags.find_by_name(user_id, name) is not None}


def save_card(card: Card, user_id: str, library: Library) -> Saved:
    """A new character with everything the card says; tags the user does not have yet are made, and so is an image of
    the card's picture, unless the user has the same.

    The whole card, with what Quilltap has no field for, lies unchanged in ``sillyTavernData``. A picture that cannot be
    kept stops no character.
    """
    with because(f"Made of the card {card.filename}."):
        return _save(card, user_id, library)


def _save(card: Card, user_id: str, library: Library) -> Saved:
    tag_ids = [library.tags.find_or_create(user_id, name).value.id for name in card.tags]
    fields = {**card.fields, "userId": user_id, "tags": tag_ids, "sillyTavernData": card.source}
    image: Added | None = None
    no_picture: StoreError | None = None
    if card.image is not None:
        try:
            image = add_image(library, user_id, card.image, card.filename, "import")
            fields["defaultImageId"] = image.value.id
        except StoreError as error:
            no_picture = error
    try:
        result = library.characters.create(fields)
    except BaseException:
        if image is not None and image.is_new:
            with contextlib.suppress(StoreError):
                remove_image(library, image.value.id)
        raise
    return Saved(result.value, result.sources, no_picture)
