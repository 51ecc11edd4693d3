"""How a value is told in words; what it looks like is the templates' part, and escaping is theirs too."""

from datetime import datetime
from typing import Any

from store import codec
from store.cards.limits import in_words

PROVIDERS = {
    "OPENAI": "OpenAI",
    "ANTHROPIC": "Anthropic",
    "OLLAMA": "Ollama",
    "OPENROUTER": "OpenRouter",
    "OPENAI_COMPATIBLE": "OpenAI-compatible",
    "GROK": "Grok",
    "GAB_AI": "Gab AI",
    "GOOGLE_IMAGEN": "Google Imagen",
}


def excerpt(text: Any, length: int = 120) -> str:
    """The beginning of a text on one line, cut at a word with an ellipsis."""
    if text is None:
        return ""
    beginning = str(text)[: length * 4]
    line = " ".join(beginning.split())
    if len(line) <= length:
        return line if len(str(text)) == len(beginning) else f"{line}…"
    head = line[:length]
    whole, _, _ = head.rpartition(" ")
    return f"{whole if len(whole) > length // 2 else head}…"


def counted(count: int, one: str, many: str | None = None) -> str:
    """``1 character``, ``2,000 characters``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def a(noun: str) -> str:
    """The noun with its article: ``a tag``, ``an API key``."""
    return f"{'an' if noun[0] in 'aeiouAEIO' else 'a'} {noun}"


def provider(name: Any) -> str:
    """A provider as people write it; one that is not known as it is."""
    return PROVIDERS.get(name, str(name))


def size(count: int) -> str:
    """``12 bytes``, ``1.5 KiB``, ``20 MiB``."""
    return in_words(count)


def browser(user_agent: str) -> str:
    """What a browser says of itself, as people say it: ``Firefox on Linux``; what is not known, as it is."""
    # The order counts: many say that they are others as well.
    names = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}
    systems = {"Android": "Android", "iPhone": "iPhone", "iPad": "iPad", "Windows": "Windows", "Mac OS": "macOS"}
    name = next((told for mark, told in names.items() if f"{mark}/" in user_agent), "")
    system = next((told for mark, told in {**systems, "Linux": "Linux"}.items() if mark in user_agent), "")
    return " on ".join(filter(None, (name, system))) or excerpt(user_agent, 60) or "unknown"


def yes_no(value: Any) -> str:
    """A boolean as a word."""
    return "yes" if value else "no"


def pretty_json(value: Any) -> str:
    """Free-form JSON as indented text; empty for nothing."""
    return "" if value is None else codec.dumps_pretty(value).decode()


def listed(names: list[str], at_most: int = 5) -> str:
    """``Ada, Bo and 3 more``."""
    if len(names) > at_most:
        return f"{', '.join(names[:at_most])} and {len(names) - at_most:,} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def duration(seconds: float) -> str:
    """``less than a second``, ``12 seconds``, ``3 minutes``, ``1 hour 5 minutes``."""
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return counted(round(seconds), "second")
    minutes = round(seconds / 60)
    if minutes < 90:
        return counted(minutes, "minute")
    hours, minutes = divmod(minutes, 60)
    return counted(hours, "hour") + (f" {counted(minutes, 'minute')}" if minutes else "")


def seconds(count: float) -> str:
    """``350 milliseconds``, ``2.5 seconds``: for what a person has waited for."""
    return f"{count:.1f} seconds" if count >= 1 else counted(max(round(count * 1000), 1), "millisecond")


def between(start: str | None, end: str | None) -> str:
    """How long it took from one moment to another; empty where one of them is not known."""
    if not start or not end:
        return ""
    return duration((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())
