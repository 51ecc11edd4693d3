"""One action on many records: on those ticked, or on all that answer the list's question. Nothing happens unasked.

The list's bar posts ``action``, the ids (``rowid``) or ``all_matching=1`` with the list's ``query``, and after a dialog
has asked ``confirmed=1``; otherwise a page asks. Both name the number; if it has changed by then, the page asks again.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar

from flask import request, url_for
from flask_admin import expose
from werkzeug.wrappers import Response

from dashboard import notices
from dashboard.formatters import counted
from dashboard.forms import NEW, tags_sent
from dashboard.views.base import RepositoryView
from dashboard.views.listing import parse_query
from store.errors import InvalidValueError, NotFoundError, StillInUseError, StoreError
from store.repositories.contract import Query

MOST = 10_000  # records in one action; one unit of work has to end within a request


@dataclass(frozen=True)
class BulkAction:
    """One entry of the bar. ``question`` holds {n} and {noun}; ``method`` runs it with the ids.

    ``asks``: the template that asks for what the action needs. ``asks_page``: a dialog would have too little room for
    what there is to say, so that a page always asks.
    """

    name: str
    label: str
    icon: str
    question: str
    confirm: str
    method: str
    kind: str = "plain"
    asks_tag: bool = False
    asks: str = ""
    asks_page: bool = False


ADD_TAG = BulkAction("add_tag", "Add tag", "tags", "Add tags to {n} {noun}?", "Add tags", "bulk_add_tag", asks_tag=True)
REMOVE_TAG = BulkAction(
    "remove_tag", "Remove tag", "close", "Remove tags from {n} {noun}?", "Remove tags", "bulk_remove_tag", asks_tag=True
)
FAVORITE = BulkAction("favorite", "Favourite", "star", "Mark {n} {noun} as favourite?", "Mark", "bulk_favorite")
UNFAVORITE = BulkAction(
    "unfavorite", "No favourite", "star", "Take {n} {noun} off the favourites?", "Take off", "bulk_unfavorite"
)
DELETE = BulkAction(
    "delete",
    "Delete",
    "trash",
    "Delete {n} {noun}? There is no undo for all at once.",
    "Delete",
    "bulk_delete",
    kind="danger",
)


class BulkView(RepositoryView):
    """Bulk actions over a repository."""

    bulk_actions: ClassVar[Sequence[BulkAction]] = (DELETE,)

    def offered(self) -> list[BulkAction]:
        """The actions this person may run here."""
        return [action for action in self.bulk_actions if self.is_action_allowed(action.name)]

    @expose("/action/", methods=("POST",))
    def action_view(self) -> Any:
        """Run one action, or ask first."""
        action = next((one for one in self.offered() if one.name == request.form.get("action")), None)
        if action is None:
            raise InvalidValueError("There is no such action.", hint="Go back to the list and use one of its buttons.")
        ids, everything = self.selected()
        if not ids:
            notices.tell("Nothing was selected. Tick some rows first.", notices.INFO)
            return self.go(self.back())
        if not self.is_confirmed(ids, everything):
            return self.ask(action, ids, everything)
        if problem := self.missing(action):
            return self.ask(action, ids, everything, problem=problem)
        try:
            getattr(self, action.method)(ids)
        except StillInUseError as error:
            return self.refused(error)  # a page of its own has room to say who stands in the way
        except StoreError as error:
            notices.tell_error(error)
        return self.go(self.back())

    def selected(self) -> tuple[list[str], bool]:
        """The ids, and whether they are all that match. Raises InvalidValueError when those are too many for one go."""
        if request.form.get("all_matching") != "1":
            ids = list(dict.fromkeys(one for one in request.form.getlist("rowid") if one))
            everything = False
        else:
            query = parse_query(request.form.get("query", ""), self.filters, self.repository.sortable)
            ids = list(self.repository.matching_ids(query, MOST + 1))
            everything = True
        if len(ids) > MOST:
            raise InvalidValueError(
                f"More than {MOST:,} {self.noun}s are too many for one go.",
                hint="Narrow the list with a search or a filter and do it in parts; nothing was changed.",
            )
        return ids, everything

    def is_confirmed(self, ids: list[str], everything: bool) -> bool:
        """Whether a person has said yes to these very records: of all that match, others may have come and gone."""
        if request.values.get("confirmed") != "1":
            return False
        return not everything or request.form.get("expected") == fingerprint(ids)

    def ask(
        self, action: BulkAction, ids: list[str], everything: bool, problem: str = ""
    ) -> tuple[str, int] | Response:
        """The page that asks, and names the number."""
        told = request.form.get("expected", "").partition("-")[0]
        if everything and request.values.get("confirmed") == "1" and told.isdecimal():
            problem = problem or f"You were asked about {int(told):,}; by now other {self.noun}s match. Look again."
        page = self.render(
            "admin/model/bulk.html",
            action=action,
            question=self.question(action, len(ids)),
            ids=[] if everything else ids,
            everything=everything,
            expected=fingerprint(ids),
            query=request.form.get("query", ""),
            problem=problem,
            sample=self.sample(ids),
            count=len(ids),
            loses=self.loses_together(ids) if action.name == DELETE.name else "",
            **self.tags_to_choose(action),
            **self.asked_context(),
            return_url=self.back(),
        )
        return page, HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK

    def missing(self, action: BulkAction) -> str:
        """What an action still has to be told, in a sentence; empty when it knows everything."""
        return "Choose a tag, or write the name of a new one." if action.asks_tag and not self.tags_asked() else ""

    def asked_context(self) -> dict[str, Any]:
        """What the templates need that ask for something; on the list and on a page of their own."""
        return {}

    def loses_together(self, ids: Sequence[str]) -> str:
        """What goes with all these records, in a sentence; empty where that is not worth a look at each."""
        return ""

    def question(self, action: BulkAction, count: int) -> str:
        return action.question.format(n=f"{count:,}", noun=self.noun if count == 1 else f"{self.noun}s")

    def sample(self, ids: Sequence[str]) -> list[str]:
        """The names of the first few, so that a person sees what they are about to change."""
        return [self.name_in(self.repository, one, "(gone)", self.title_of) for one in ids[:8]]

    def tags_to_choose(self, action: BulkAction) -> dict[str, Any]:
        """For an action that asks for tags: those already chosen, and some to choose from without a script."""
        if not action.asks_tag:
            return {}
        known, new = self.tags_asked_for()
        rows = self.store.tags.list(Query(sort="name", page_size=200)).rows
        chosen = [*self.tags_named(known), *({"id": f"{NEW}{name}", "name": name} for name in new)]
        options = [(row["id"], row["name"]) for row in rows if row["id"] not in known]
        return {"tags_asked": chosen, "tag_options": options}

    # -------------------------------------------------------------- the actions

    def bulk_delete(self, ids: list[str]) -> None:
        result = self.repository.delete_many(ids)
        notices.tell_result(result, notices.deleted(result.value, len(ids), self.noun, self.delete_word[1]))

    def bulk_favorite(self, ids: list[str]) -> None:
        result = self.repository.set_favorite_of_many(ids, True)
        notices.tell_result(result, notices.favored(result.value, len(ids), True, self.noun))

    def bulk_unfavorite(self, ids: list[str]) -> None:
        result = self.repository.set_favorite_of_many(ids, False)
        notices.tell_result(result, notices.favored(result.value, len(ids), False, self.noun))

    def bulk_add_tag(self, ids: list[str]) -> None:
        known, new = self.tags_asked_for()
        for tag_id in known:
            self.add_known_tag(ids, tag_id)
        for name in new:
            for user_id, own in self.by_user(ids).items():
                tag = self.store.tags.find_or_create(user_id, name)
                result = self.repository.add_tag_to_many(own, tag.value.id)
                notices.tell_result(result, notices.tagged(result.value, len(own), tag.value.name, self.noun))

    def add_known_tag(self, ids: list[str], tag_id: str) -> None:
        """A tag belongs to a user, and goes to that user's records only."""
        tag = self.tag(tag_id)
        own = self.by_user(ids).get(tag.userId, [])
        if own:
            result = self.repository.add_tag_to_many(own, tag.id)
            notices.tell_result(result, notices.tagged(result.value, len(own), tag.name, self.noun))
        if len(own) < len(ids):
            others = counted(len(ids) - len(own), self.noun)
            notices.tell(f"“{tag.name}” belongs to another user than {others}; those were left alone.", notices.WARNING)

    def bulk_remove_tag(self, ids: list[str]) -> None:
        known, new = self.tags_asked_for()
        for name in new:
            notices.tell(f"There is no tag “{name}”, so nothing had to be removed.", notices.INFO)
        for tag_id in known:
            tag = self.tag(tag_id)
            result = self.repository.remove_tag_from_many(ids, tag.id)
            notices.tell_result(result, notices.untagged(result.value, len(ids), tag.name, self.noun))

    # -------------------------------------------------------------- tags and users

    def tags_asked(self) -> bool:
        known, new = self.tags_asked_for()
        return bool(known or new)

    def tags_asked_for(self) -> tuple[list[str], list[str]]:
        """Ids of tags, and names of new ones."""
        return tags_sent(request.form, f"tag-{request.form.get('action', '')}")

    def tag(self, tag_id: str) -> Any:
        found = self.store.tags.find_by_id(tag_id)
        if found is None:
            raise NotFoundError("This tag does not exist, or not any more.", hint="Choose another one and try again.")
        return found

    def by_user(self, ids: list[str]) -> dict[str, list[str]]:
        """The ids by the user the records belong to."""
        users = self.users()
        if len(users) == 1:
            return {users[0][0]: ids}
        found = {}
        for user_id, _ in users:
            own = set(self.repository.matching_ids(Query(user_id=user_id), 1_000_000))
            if mine := [one for one in ids if one in own]:
                found[user_id] = mine
        return found

    def bulk_context(self, listing: Any, count: int, count_is_more: bool) -> dict[str, Any]:
        """What the list's bar needs."""
        return {
            "bulk_actions": self.offered(),
            "bulk_url": url_for(f"{self.endpoint}.action_view"),
            "bulk_fields": {"query": listing.query_string},
            **self.asked_context(),
        }


def fingerprint(ids: list[str]) -> str:
    """How many, and a short text that is another for any other records."""
    return f"{len(ids)}-{hashlib.blake2b(json.dumps(sorted(ids)).encode(), digest_size=8).hexdigest()}"
