"""Making characters of cards, through the repositories like every other edit."""

from collections.abc import Callable

from store.cards.reader import Card
from store.documents import Character, User
from store.errors import NotFoundError
from store.repositories.contract import CharactersRepository, Result, TagsRepository, UsersRepository


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


def save_card(card: Card, user_id: str, characters: CharactersRepository, tags: TagsRepository) -> Result[Character]:
    """A new character with everything the card says; tags the user does not have yet are made.

    The whole card, with what Quilltap has no field for, lies unchanged in ``sillyTavernData``.
    """
    tag_ids = [tags.find_or_create(user_id, name).value.id for name in card.tags]
    return characters.create({**card.fields, "userId": user_id, "tags": tag_ids, "sillyTavernData": card.source})
