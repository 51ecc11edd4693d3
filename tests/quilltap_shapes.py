"""The records of Quilltap 1.3, key by key in the order in which it writes them, after the description of its files."""

Shape = dict[
    str, tuple[str, str]
]  # key -> type and marks: R required, O may be absent, N null allowed, D has a default


def shape(lines: str) -> Shape:
    return {key: (kind, marks) for key, kind, marks in (line.split() for line in lines.strip().splitlines())}


TOTP = shape("""
ciphertext string R
iv string R
authTag string R
enabled boolean D
verifiedAt timestamp ON
""")
BACKUP_CODES = shape("""
ciphertext string R
iv string R
authTag string R
createdAt timestamp R
""")
USER = shape("""
id uuid R
email email R
name string ON
image string ON
emailVerified timestamp ON
passwordHash string ON
totp totp O
backupCodes backupCodes O
createdAt timestamp R
updatedAt timestamp R
""")
CHAT_SETTINGS = shape("""
id uuid R
userId uuid R
avatarDisplayMode mode D
avatarDisplayStyle string D
createdAt timestamp R
updatedAt timestamp R
""")
GENERAL = shape("""
version number D
user user R
chatSettings chatSettings R
createdAt timestamp R
updatedAt timestamp R
""")
TAG = shape("""
id uuid R
userId uuid R
name string R
nameLower string R
createdAt timestamp R
updatedAt timestamp R
""")
TAGS = shape("""
version number D
tags [tag] D
createdAt timestamp R
updatedAt timestamp R
""")
PERSONA_LINK = shape("""
personaId uuid R
isDefault boolean D
""")
AVATAR_OVERRIDE = shape("""
chatId uuid R
imageId uuid R
""")
CHARACTER = shape("""
id uuid R
userId uuid R
name string R
title string ON
description string R
personality string R
scenario string R
firstMessage string R
exampleDialogues string ON
systemPrompt string ON
avatarUrl string ON
defaultImageId uuid ON
sillyTavernData json ON
isFavorite boolean D
personaLinks [personaLink] D
tags [uuid] D
avatarOverrides [avatarOverride] D
createdAt timestamp R
updatedAt timestamp R
""")
PERSONA = shape("""
id uuid R
userId uuid R
name string R
title string ON
description string R
personalityTraits string ON
avatarUrl string ON
defaultImageId uuid ON
sillyTavernData json ON
characterLinks [uuid] D
tags [uuid] D
createdAt timestamp R
updatedAt timestamp R
""")
API_KEY = shape("""
id uuid R
label string R
provider provider R
ciphertext string R
iv string R
authTag string R
isActive boolean D
lastUsed timestamp ON
createdAt timestamp R
updatedAt timestamp R
""")


def _profile(provider: str) -> Shape:
    return shape(f"""
id uuid R
userId uuid R
name string R
provider {provider} R
apiKeyId uuid ON
baseUrl string ON
modelName string R
parameters json D
isDefault boolean D
tags [uuid] D
createdAt timestamp R
updatedAt timestamp R
""")


PROFILE = _profile("provider")
IMAGE_PROFILE = _profile("imageProvider")
CONNECTIONS = shape("""
version number D
apiKeys [apiKey] D
llmProfiles [profile] D
createdAt timestamp R
updatedAt timestamp R
""")
IMAGE_PROFILES = shape("""
version number D
profiles [imageProfile] D
createdAt timestamp R
updatedAt timestamp R
""")
CHAT = shape("""
id uuid R
userId uuid R
characterId uuid R
personaId uuid ON
connectionProfileId uuid R
imageProfileId uuid ON
title string R
contextSummary string ON
sillyTavernMetadata json ON
tags [uuid] D
messageCount number D
lastMessageAt timestamp ON
createdAt timestamp R
updatedAt timestamp R
""")
MESSAGE = shape("""
type message R
id uuid R
role role R
content string R
rawResponse json ON
tokenCount number ON
swipeGroupId string ON
swipeIndex number ON
attachments [uuid] D
createdAt timestamp R
""")
SUMMARY = shape("""
type context-summary R
id uuid R
context string R
createdAt timestamp R
""")
BINARY = shape("""
id uuid R
sha256 sha256 R
type binary R
userId uuid R
filename string R
relativePath string R
mimeType string R
size number R
width number ON
height number ON
source source D
generationPrompt string ON
generationModel string ON
chatId uuid ON
characterId uuid ON
messageId uuid ON
tags [uuid] D
createdAt timestamp R
updatedAt timestamp R
""")
# Of these Quilltap checks nothing, so every key may hold anything; only their order counts.
ACCOUNT = shape("""
id any O
userId any O
type any O
provider any O
providerAccountId any O
refresh_token any O
access_token any O
expires_at any O
token_type any O
scope any O
id_token any O
session_state any O
""")
SESSION = shape("""
id any O
sessionToken any O
userId any O
expires any O
""")
TOKEN = shape("""
identifier any O
token any O
expires any O
""")
SHAPES = {
    "apiKey": API_KEY,
    "profile": PROFILE,
    "imageProfile": IMAGE_PROFILE,
    "totp": TOTP,
    "backupCodes": BACKUP_CODES,
    "user": USER,
    "chatSettings": CHAT_SETTINGS,
    "tag": TAG,
    "personaLink": PERSONA_LINK,
    "avatarOverride": AVATAR_OVERRIDE,
}
