"""Test connection, for a key or a profile: a POST, and what came of it. Without scripts on a page of its own, with them
as a part of the page that asked.
"""

from typing import Any

from flask import request, url_for
from flask_admin import expose

from dashboard.auth import current_account, people
from dashboard.formatters import provider
from dashboard.throttle import in_words
from dashboard.views.base import RepositoryView
from dashboard.views.listing import clean
from store.documents import ApiKey
from store.errors import NotFoundError, ProviderError, SecretError, StoreError
from store.providers import NEEDS_BASE_URL, Outcome, Subject
from store.secrets import API_KEY, Cipher

TESTS_AT_MOST = 30  # of one account within the throttle's window
PART = "X-Tandem-Part"  # the header of a request by a script that wants a part of a page


class ConnectionView(RepositoryView):
    """Pages whose records say how a provider is reached."""

    @property
    def extra_css(self) -> list[str]:
        return [*super().extra_css, url_for("static", filename="css/connections.css")]

    def subject_of(self, document: Any) -> tuple[Subject, ApiKey | None]:
        """What is tested for a record, and the key whose health that tells."""
        raise NotImplementedError

    @expose("/test/", methods=("POST",))
    def test(self) -> Any:
        """Ask the record's provider, and show what came of it. Nothing of the record changes."""
        document = self.get_one(clean(request.form.get("id", "")))
        if document is None:
            raise NotFoundError(f"This {self.noun} does not exist, or not any more.")
        outcome = self.outcome_of(lambda: self.subject_of(document))
        context = {"outcome": outcome, "model": document, "asked": provider(document.provider)}
        if request.headers.get(PART):
            return self.render("connections/_outcome.html", **context)
        title = self.title_of(document)
        return self.render("connections/outcome.html", title=title, return_url=self.back(), **context)

    def outcome_of(self, subject_of: Any) -> Outcome:
        """Test what a function says; what stands in the way of that is an outcome too. Raises ProviderError when this
        account tests too much."""
        account = current_account()
        wait = people().throttle.take("test", account.id if account else "", TESTS_AT_MOST)
        if wait is not None:
            raise ProviderError("That were many tests in a short time.", hint=f"Test again in {in_words(wait)}.")
        try:
            subject, key = subject_of()
        except SecretError as error:
            return Outcome("unreachable", f"Nothing was sent. {error.sentence}", 0.0)
        outcome: Outcome = self.store.providers.test(subject)
        if key is not None:
            self.store.key_tests.note(key.id, parts_of(key), outcome)
        return outcome

    def subject(
        self, called: str, key: ApiKey | None, base_url: str | None, model: str | None = None, *, ask: bool = False
    ) -> tuple[Subject, ApiKey | None]:
        """What is tested. Where a provider has an address of its own only that is asked, as Quilltap does: a key of it
        goes nowhere else, whatever a profile says. Raises SecretError."""
        asks_base_url = called in NEEDS_BASE_URL
        if key is not None and asks_base_url and key.provider not in NEEDS_BASE_URL:
            sentence = f"The key is for {provider(key.provider)}, and goes to no address that was typed in."
            raise SecretError(sentence, hint=f"Choose a key for {provider(called)}, or none.")
        value = self.value_of(key) if key is not None else None
        return Subject(called, value, base_url if asks_base_url else None, model, ask), key

    def value_of(self, key: ApiKey) -> str:
        """A key's value, for the provider. Raises SecretError."""
        cipher = Cipher.found_in(parts_of(key), API_KEY)
        if cipher is None:
            raise SecretError("The key has no value.", hint="Replace its value, then test again.")
        value: str = self.store.secrets.decrypt(self.owner_of_key(key), cipher)
        return value

    def owner_of_key(self, key: ApiKey) -> str:
        """The user whose id is part of what a key is encrypted with."""
        user_id = key.value("userId")
        if user_id is None and (user := self.store.users.get_current_user()) is not None:
            user_id = user.id
        return str(user_id or "")

    def key_or_none(self, key_id: str | None) -> ApiKey | None:
        """A key that can be read; None for the others."""
        try:
            return self.store.keys.find_by_id(key_id) if key_id else None  # type: ignore[no-any-return]
        except StoreError:
            return None


def parts_of(key: ApiKey) -> dict[str, Any]:
    """The three columns of a key's value."""
    return {name: key.value(name) for name in API_KEY}
