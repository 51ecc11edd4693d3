"""Quilltap's five enum types. Nothing is imported here that takes time to load."""

from typing import Final

# PostgreSQL's enum types in stored order, which is Quilltap's.
ENUMS: Final[dict[str, tuple[str, ...]]] = {
    "Provider": ("OPENAI", "ANTHROPIC", "OLLAMA", "OPENROUTER", "OPENAI_COMPATIBLE", "GROK", "GAB_AI"),
    "ImageProvider": ("OPENAI", "GROK", "GOOGLE_IMAGEN"),
    "Role": ("SYSTEM", "USER", "ASSISTANT", "TOOL"),
    "ImageTagType": ("CHARACTER", "PERSONA", "CHAT", "THEME"),
    "AvatarDisplayMode": ("ALWAYS", "GROUP_ONLY", "NEVER"),
}
