"""The pages that change one record: new, edit (with a merge page when somebody else was faster), delete.

The three writers ``create_model``, ``update_model`` and ``delete_model`` are the only places that write; Flask-Admin's
hooks around them are not used.
"""

from http import HTTPStatus
from typing import Any, ClassVar

from flask import request, url_for
from flask_admin import expose
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import Conflict
from werkzeug.wrappers import Response

from dashboard import notices
from dashboard.error_pages import status_of
from dashboard.formatters import a, yes_no
from dashboard.forms import Flag, RecordForm, Sent, Snapshot, owner_field, read_snapshot, spell_snapshot
from dashboard.views.base import GONE
from dashboard.views.history import HistoryView
from dashboard.views.merging import choices_in, differences, marked, resolved
from store.errors import ConflictError, DuplicateError, InvalidRecordError, NotFoundError, StoreError
from store.repositories.contract import Result

Answer = Response | str | tuple[str, int]


class EditableView(HistoryView):
    """A noun whose records can be made, changed and deleted here."""

    fields_template: ClassVar[str]
    can_create = can_edit = can_delete = True
    create_template, edit_template = "admin/model/create.html", "admin/model/edit.html"
    owned = True  # a new record belongs to a user
    unique_field = ""  # what no two records of a user may have in common
    can_duplicate = True

    # -------------------------------------------------------------- form <-> record

    def values_of(self, document: Any) -> dict[str, Any]:
        """The form's values of a record. A value Quilltap's shape has no place for is shown all the same."""
        return {name: document.value(name) for name in self._edit_form_class()._fields}

    def fields_from(self, form: RecordForm, names: list[str], user_id: str) -> dict[str, Any]:
        """What a form becomes: the store's fields. Here is the place where names of new tags become tags."""
        return form.fields(names)

    def edit_form(self, obj: Any = None, formdata: Any = None) -> RecordForm:
        form: RecordForm = self._edit_form_class(formdata, data=self.values_of(obj))
        return form

    def create_form(self, obj: Any = None) -> RecordForm:
        """An empty form; with ``?from=ID`` one that holds what another record says. Several users: it asks for whom."""
        formdata = request.form if request.method == "POST" else None
        form_class = self._create_form_class
        if self.owned and len(users := self.users()) > 1:
            form_class = type(form_class.__name__, (form_class,), {"userId": owner_field(users)})
        data = self.presets()
        form: RecordForm = form_class(formdata, data=data)
        return form

    def presets(self) -> dict[str, Any]:
        """What a new record starts with."""
        data: dict[str, Any] = {}
        if self.owned and (user := self.store.users.get_current_user()) is not None:
            data["userId"] = user.id
        pattern = self.get_one(request.args.get("from"))
        if pattern is not None:
            data.update(self.values_of(pattern), userId=pattern.userId, name=f"{pattern.name} (copy)")
        return data

    def owner_of(self, form: RecordForm) -> str:
        """The user a new record belongs to."""
        if "userId" in form:
            return str(form["userId"].data)
        user = self.store.users.get_current_user()
        if user is None:
            hint = "Create a user first, then come back."
            raise NotFoundError(f"There is no user yet, and every {self.noun} belongs to one.", hint=hint)
        return str(user.id)

    # -------------------------------------------------------------- the three writers

    def create_model(self, form: RecordForm) -> Any:
        """The new record; None when the store refused, and then the form says why."""
        names = [name for name in form._fields if name != "userId"]
        try:
            user_id = self.owner_of(form) if self.owned else ""
            fields = self.fields_from(form, names, user_id)
            if self.owned:
                fields["userId"] = user_id
            result = self.repository.create(fields)
        except StoreError as error:
            self.explain(form, error)
            return None
        notices.tell_result(result, f"Created the {self.noun} “{self.title_of(result.value)}”.")
        return result.value

    def update_model(self, form: RecordForm, model: Any) -> bool:
        """Whether it is saved. Only what the person changed is written.

        Raises Conflict with the merge page as its response when somebody else changed the record meanwhile.
        """
        names = form.changed()
        if not names:
            notices.tell(f"Nothing was changed in “{self.title_of(model)}”.", notices.INFO)
            return True
        version = request.form.get("version", "")
        try:
            if version != self.repository.version(model):  # before a tag is made for a form that is not saved
                raise ConflictError(f"Somebody else changed this {self.noun} in the meantime.", current=model)
            fields = self.fields_from(form, names, getattr(model, "userId", ""))
            result = self.write(model, fields, version)
        except ConflictError as error:
            page = self.merge_page(form, error.current if error.current is not None else model, error)
            raise Conflict(response=page) from error
        except StoreError as error:
            self.explain(form, error)
            return False
        notices.tell_result(result, f"Saved “{self.title_of(result.value)}”.")
        return True

    def write(self, model: Any, fields: dict[str, Any], version: str) -> Result[Any]:
        """The one write of an edit, as the store's method wants it."""
        result: Result[Any] = self.repository.update(self.get_pk_value(model), fields, expected=version)
        return result

    def delete_model(self, model: Any) -> bool:
        """Whether it is gone."""
        result = self.repository.delete(self.get_pk_value(model))
        name = self.title_of(model)
        told = f"{self.delete_word[1]} the {self.noun} “{name}”." if result.value else f"“{name}” was already gone."
        stays = result.value and self.comes_back != GONE
        history = (self.get_url(".history_view", id=self.get_pk_value(model)), "History") if stays else None
        notices.tell_result(result, told, history)
        return True

    def explain(self, form: RecordForm, error: StoreError) -> None:
        """Hang a refusal on the fields it names, or on the form."""
        left = [error.sentence]
        if isinstance(error, InvalidRecordError):
            left = form.adopt(error.problems)
        elif isinstance(error, DuplicateError) and self.unique_field:
            field = form[self.unique_field]
            left = form.adopt({self.unique_field: f"there is already {a(self.noun)} “{field.data}”. {error.hint[:-1]}"})
        form.refusals = (*form.refusals, *left)
        form.status = status_of(error)

    @staticmethod
    def is_saving() -> bool:
        """Whether a form was sent to be saved, and not to be shown once more with other choices."""
        return request.method == "POST" and "_reload" not in request.form

    # -------------------------------------------------------------- new

    @expose("/new/", methods=("GET", "POST"))
    def create_view(self) -> Answer:
        form = self.create_form()
        if self.owned and "userId" not in form and self.store.users.get_current_user() is None:
            return self.render("no_user.html", noun=self.noun, back=self.back()), HTTPStatus.CONFLICT
        if self.is_saving() and form.validate():
            document = self.create_model(form)
            if document is not None:
                again = "_add_another" in request.form
                return self.go(
                    url_for(".create_view", url=self.back())
                    if again
                    else self.details_url(self.get_pk_value(document), self.back())
                )
        return self.show_form(self.create_template, form, None)

    # -------------------------------------------------------------- edit

    @expose("/edit/", methods=("GET", "POST"))
    def edit_view(self) -> Answer:
        if request.method == "POST" and self.get_one(request.args.get("id")) is None:
            return self.show_orphan()
        document = self.wanted()
        if request.method == "GET":
            return self.show_form(self.edit_template, self.edit_form(document), document)
        formdata = request.form
        if "theirs" in formdata:
            formdata, undecided = self.decided(document)
            if undecided is not None:
                return undecided
        form = self.edit_form(document, formdata)
        if self.is_saving() and form.validate() and self.update_model(form, document):
            if "_continue_editing" in request.form:
                return self.go(url_for(".edit_view", id=self.get_pk_value(document), url=self.back()))
            return self.go(self.back())
        return self.show_form(self.edit_template, form, document)

    def show_orphan(self) -> Answer:
        """The form of a record that somebody deleted meanwhile: what was typed can be saved as a new one."""
        form = self.create_form()
        told = f"Somebody deleted this {self.noun} in the meantime."
        form.refusals = (f"{told} What you typed is still here: save it as a new one, or leave.",)
        form.status = HTTPStatus.CONFLICT
        page, status = self.show_form(self.create_template, form, None, action=url_for(".create_view", url=self.back()))
        return page, status

    def show_form(self, template: str, form: RecordForm, document: Any, action: str | None = None) -> Answer:
        """The form; after a refusal with everything the person typed, and the version they started from."""
        sent = request.method == "POST"
        version = request.form.get("version", "") if sent else (self.repository.version(document) if document else "")
        seen = form.seen if sent else form.snapshot()
        page = self.render(
            template,
            form=form,
            model=document,
            version=version,
            form_action=action,
            seen=spell_snapshot(seen) if document else "",
            return_url=self.back(),
            **self.form_context(form, document),
        )
        refused = sent and self.is_saving()
        status = getattr(form, "status", HTTPStatus.UNPROCESSABLE_ENTITY if refused else HTTPStatus.OK)
        return page, status

    def form_context(self, form: RecordForm, document: Any) -> dict[str, Any]:
        """What the noun's fields need beyond the form."""
        return {}

    # -------------------------------------------------------------- two at once

    def decided(self, document: Any) -> tuple[MultiDict[str, str], Response | None]:
        """What the merge page sent, as one form; or the page once more, while a field is not decided."""
        mine = self.edit_form(document, request.form)
        theirs = read_snapshot(request.form["theirs"])
        found = differences(mine.seen, theirs, mine.snapshot(), choices_in(request.form))
        if any(difference.chosen is None for difference in found):
            again = self.merge_response(mine, document, theirs, request.form.get("version", ""), asked=True)
            return request.form, again
        merged = resolved(request.form, found)
        merged["seen"] = spell_snapshot(theirs)
        return merged, None

    def merge_page(self, form: RecordForm, current: Any, error: ConflictError) -> Response:
        """The three versions side by side. From here on the record as it is now is what the person has seen."""
        theirs = self.edit_form(current).snapshot()
        return self.merge_response(form, current, theirs, self.repository.version(current), error=error)

    def merge_response(
        self,
        form: RecordForm,
        current: Any,
        theirs: Snapshot,
        version: str,
        *,
        error: ConflictError | None = None,
        asked: bool = False,
    ) -> Response:
        found = differences(form.seen, theirs, form.snapshot(), choices_in(request.form) if asked else {})
        page = self.render(
            "admin/model/merge.html",
            form=form,
            model=current,
            rows=[(form[difference.name], difference) for difference in found],
            sent=[pair for field in form.snapshot().values() for pair in MultiDict(field).items(multi=True)],
            seen=spell_snapshot(form.seen),
            theirs=spell_snapshot(theirs),
            version=version,
            error=notices.of_error(error) if error else None,
            asked=asked,
            marked=marked,
            shown=self.shown,
            return_url=self.back(),
        )
        return Response(page, HTTPStatus.CONFLICT, mimetype="text/html")

    def shown(self, field: Any, sent: Sent | None) -> str:
        """A field's value as a person reads it, for the merge page."""
        if sent is None:
            return ""
        told = "\n".join(value for values in sent.values() for value in values)
        return yes_no(told) if isinstance(field, Flag) else told

    # -------------------------------------------------------------- delete

    @expose("/delete/", methods=("GET", "POST"))
    def delete_view(self) -> Answer:
        """Asks; deletes what a dialog or this page itself has asked about."""
        document = self.wanted()
        if request.method == "POST" and request.form.get("confirmed") == "1":
            self.delete_model(document)
            return self.go(self.back())
        return self.render(
            "admin/model/delete.html",
            model=document,
            title=self.title_of(document),
            loses=self.loses(document),
            return_url=self.back(),
        )

    def loses(self, document: Any) -> str:
        """What goes with the record, in a sentence."""
        return self.goes_along
