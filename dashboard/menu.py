"""Every page in its order. Flask-Admin is built from this list, and from nothing else."""

from typing import Any

from flask import Flask
from flask_admin import Admin
from flask_admin.theme import Theme

from dashboard.security import csp_nonce
from dashboard.views.account import AccountView
from dashboard.views.audit import AuditView
from dashboard.views.cards import CardsView
from dashboard.views.characters import CharactersView
from dashboard.views.chats import ChatsView
from dashboard.views.exports import ExportsView
from dashboard.views.home import HomeView
from dashboard.views.image_profiles import ImageProfilesView
from dashboard.views.images import ImagesView
from dashboard.views.keys import KeysView
from dashboard.views.messages import MessagesView
from dashboard.views.migration import MigrationView
from dashboard.views.people import PeopleView
from dashboard.views.personas import PersonasView
from dashboard.views.profiles import ProfilesView
from dashboard.views.rules import RulesView
from dashboard.views.signin import AccountsView, SessionsView, TokensView
from dashboard.views.tags import TagsView
from dashboard.views.users import UsersView
from dashboard.views.validation import ValidationView

PAGES = (
    CharactersView,
    PersonasView,
    ChatsView,
    TagsView,
    ImagesView,
    UsersView,
    CardsView,
    ExportsView,
    ValidationView,
    MigrationView,
    AuditView,
    ProfilesView,
    ImageProfilesView,
    KeysView,
    AccountsView,
    SessionsView,
    TokensView,
    MessagesView,
    PeopleView,
    RulesView,
    AccountView,
)


def build_admin(app: Flask, store: Any) -> Admin:
    """Mount all pages. To be called once, before the first request (Flask takes no further blueprints afterwards)."""
    # Flask-Admin's own templates are left out: the folder it would add them from does not exist.
    theme = Theme(folder="tandem", base_template="admin/base.html")
    admin = Admin(app, name="Tandem", index_view=HomeView(store), theme=theme, csp_nonce_generator=csp_nonce)
    for page in PAGES:
        admin.add_view(page(store))
    return admin
