"""A character card as SillyTavern writes it: built to the V2 specification, without Tandem's own code."""

import base64
import io
import json

from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

DATA = {
    "name": "Seraphina",
    "description": "A guardian of the glade. “Größe” & <b>care</b> 🌿",
    "personality": "caring",
    "scenario": "You wake up in a glade.",
    "first_mes": "*She smiles.* You are awake!",
    "mes_example": "<START>\n{{user}}: Where am I?",
    "creator_notes": "",
    "system_prompt": "",
    "post_history_instructions": "",
    "alternate_greetings": ["Hello."],
    "tags": ["Forest", "Healer"],
    "creator": "tests",
    "character_version": "1.0",
    "extensions": {"depth_prompt": {"depth": 4, "weight": 0.10}, "fav": False},
    "future_field": {"kept": [1.50, 12345678901234567890123]},
}


def png_card(**changes: object) -> bytes:
    """A real picture with a `chara` chunk."""
    picture = Image.new("RGB", (400, 600), "#2f5d50")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((100, 120, 300, 320), fill="#e8d9b5")
    draw.rectangle((60, 330, 340, 600), fill="#8fb996")
    card = {"spec": "chara_card_v2", "spec_version": "2.0", "data": {**DATA, **changes}}
    chunk = PngInfo()
    chunk.add_text("chara", base64.b64encode(json.dumps(card, ensure_ascii=False).encode()).decode())
    target = io.BytesIO()
    picture.save(target, "PNG", pnginfo=chunk)
    return target.getvalue()
