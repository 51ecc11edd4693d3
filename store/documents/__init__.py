"""Records in Quilltap's JSON shape, checked by pydantic; one file per noun."""

from store.documents.attachments import Attachment
from store.documents.avatars import Avatar
from store.documents.base import EPOCH, Document, now
from store.documents.characters import Character
from store.documents.chats import Chat
from store.documents.image_profiles import ImageProfile
from store.documents.images import Image
from store.documents.keys import ApiKey
from store.documents.messages import ContextSummary, Message
from store.documents.personas import Persona
from store.documents.profiles import ConnectionProfile
from store.documents.signin import Account, Session, VerificationToken
from store.documents.tags import Tag
from store.documents.users import User

__all__ = [
    "EPOCH",
    "Account",
    "ApiKey",
    "Attachment",
    "Avatar",
    "Character",
    "Chat",
    "ConnectionProfile",
    "ContextSummary",
    "Document",
    "Image",
    "ImageProfile",
    "Message",
    "Persona",
    "Session",
    "Tag",
    "User",
    "VerificationToken",
    "now",
]
