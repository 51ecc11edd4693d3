"""Quilltap's schema 0.7.0 as its description tells it, in a short spelling of its own.

A column: name, type, then ``?`` (may be NULL), ``=default``, ``>table RULE`` (a foreign key to its id, what a delete
does). Types: text, time (TIMESTAMP(3)), bool, int, json, or the name of an enum. A line that starts with ``key`` is a
unique index, with ``index`` a plain one, with ``pk`` a primary key other than ``id``.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

ENUMS = {
    "Provider": ["OPENAI", "ANTHROPIC", "OLLAMA", "OPENROUTER", "OPENAI_COMPATIBLE", "GROK", "GAB_AI"],
    "ImageProvider": ["OPENAI", "GROK", "GOOGLE_IMAGEN"],
    "Role": ["SYSTEM", "USER", "ASSISTANT", "TOOL"],
    "ImageTagType": ["CHARACTER", "PERSONA", "CHAT", "THEME"],
    "AvatarDisplayMode": ["ALWAYS", "GROUP_ONLY", "NEVER"],
}
_PROFILE = """
id text
userId text >users CASCADE
name text
provider {provider}
apiKeyId text ? >api_keys SET_NULL
baseUrl text ?
modelName text
parameters json ={{}}
isDefault bool =false
createdAt time =now
updatedAt time
"""
_TAGS = """
id text
{column} text >{table} CASCADE
tagId text >tags CASCADE
createdAt time =now
key {column} tagId
index tagId
"""
TEXTS = {
    "users": """
id text
email text
name text ?
image text ?
emailVerified time ?
createdAt time =now
updatedAt time
backupCodes text ?
backupCodesAuthTag text ?
backupCodesIv text ?
passwordHash text ?
totpEnabled bool =false
totpSecret text ?
totpSecretAuthTag text ?
totpSecretIv text ?
totpVerifiedAt time ?
key email
""",
    "chat_settings": """
id text
userId text >users CASCADE
avatarDisplayMode AvatarDisplayMode =ALWAYS
createdAt time =now
updatedAt time
avatarDisplayStyle text =CIRCULAR
key userId
""",
    "accounts": """
id text
userId text >users CASCADE
type text
provider text
providerAccountId text
refresh_token text ?
access_token text ?
expires_at int ?
token_type text ?
scope text ?
id_token text ?
session_state text ?
key provider providerAccountId
""",
    "sessions": """
id text
sessionToken text
userId text >users CASCADE
expires time
key sessionToken
""",
    "verification_tokens": """
identifier text
token text
expires time
pk
key token
key identifier token
""",
    "api_keys": """
id text
userId text >users CASCADE
provider Provider
label text
keyEncrypted text
keyIv text
keyAuthTag text
isActive bool =true
lastUsed time ?
createdAt time =now
updatedAt time
""",
    "connection_profiles": _PROFILE.format(provider="Provider"),
    "connection_profile_tags": _TAGS.format(column="connectionProfileId", table="connection_profiles"),
    "characters": """
id text
userId text >users CASCADE
name text
description text
personality text
scenario text
firstMessage text
exampleDialogues text ?
systemPrompt text ?
avatarUrl text ?
sillyTavernData json ?
createdAt time =now
updatedAt time
defaultImageId text ? >images SET_NULL
isFavorite bool =false
title text ?
""",
    "personas": """
id text
userId text >users CASCADE
name text
description text
personalityTraits text ?
avatarUrl text ?
sillyTavernData json ?
createdAt time =now
updatedAt time
title text ?
defaultImageId text ? >images SET_NULL
""",
    "character_personas": """
characterId text >characters CASCADE
personaId text >personas CASCADE
isDefault bool =false
pk characterId personaId
""",
    "character_tags": _TAGS.format(column="characterId", table="characters"),
    "persona_tags": _TAGS.format(column="personaId", table="personas"),
    "chats": """
id text
userId text >users CASCADE
characterId text >characters CASCADE
personaId text ? >personas SET_NULL
connectionProfileId text >connection_profiles RESTRICT
title text
contextSummary text ?
sillyTavernMetadata json ?
createdAt time =now
updatedAt time
imageProfileId text ? >image_profiles SET_NULL
""",
    "messages": """
id text
chatId text >chats CASCADE
role Role
content text
rawResponse json ?
tokenCount int ?
swipeGroupId text ?
swipeIndex int ?
createdAt time =now
index swipeGroupId
index chatId createdAt
""",
    "chat_files": """
id text
chatId text >chats CASCADE
messageId text ? >messages SET_NULL
filename text
filepath text
mimeType text
size int
width int ?
height int ?
sentToProvider bool =false
providerError text ?
createdAt time =now
index chatId
index messageId
""",
    "chat_tags": _TAGS.format(column="chatId", table="chats"),
    "images": """
id text
userId text >users CASCADE
filename text
filepath text
url text ?
mimeType text
size int
width int ?
height int ?
createdAt time =now
updatedAt time
generationModel text ?
generationPrompt text ?
source text =upload
""",
    "image_tags": """
id text
imageId text >images CASCADE
tagType ImageTagType
tagId text
createdAt time =now
key imageId tagType tagId
index tagType tagId
""",
    "chat_avatar_overrides": """
id text
chatId text >chats CASCADE
characterId text >characters CASCADE
imageId text >images CASCADE
createdAt time =now
key chatId characterId
""",
    "image_profiles": _PROFILE.format(provider="ImageProvider") + "index userId isDefault\nkey userId name",
    "image_profile_tags": _TAGS.format(column="imageProfileId", table="image_profiles"),
    "tags": """
id text
userId text >users CASCADE
name text
nameLower text
createdAt time =now
updatedAt time
index userId nameLower
key userId nameLower
""",
}


class Column(NamedTuple):
    type: str
    null: bool
    default: str | None


class Link(NamedTuple):
    name: str
    column: str
    target: str
    on_delete: str
    on_update: str


@dataclass
class Table:
    columns: dict[str, Column] = field(default_factory=dict)
    primary_key: tuple[str, ...] = ("id",)
    indexes: dict[str, tuple[bool, tuple[str, ...]]] = field(default_factory=dict)  # name -> unique, columns
    links: set[Link] = field(default_factory=set)


def _read(name: str, text: str) -> Table:
    table = Table()
    for line in text.strip().splitlines():
        first, *rest = line.split()
        if first in ("key", "index"):
            ending = "key" if first == "key" else "idx"
            table.indexes[f"{name}_{'_'.join(rest)}_{ending}"] = (first == "key", tuple(rest))
        elif first == "pk":
            table.primary_key = tuple(rest)
        else:
            default = next((one[1:] for one in rest if one[0] == "="), None)
            table.columns[first] = Column(rest[0], "?" in rest, default)
            if ">" in line:
                target, rule = line.partition(">")[2].split()
                link = Link(f"{name}_{first}_fkey", first, target, rule.replace("_", " "), "CASCADE")
                table.links.add(link)
    return table


TABLES = {name: _read(name, text) for name, text in TEXTS.items()}
