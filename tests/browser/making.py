"""A character card as SillyTavern writes it, built to the V2 specification without Tandem's own code; and pictures."""

import base64
import io
import json
from typing import Any

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


def pictures() -> list[dict[str, Any]]:
    """Some landscapes, as files that a form takes: sky, sun or moon, hills."""
    looks = {
        "bram.png": ("#22304a", "#e9e4d0", "#31425f", "#17202f"),
        "noor.png": ("#cfe3dc", "#f2c14e", "#7fae96", "#2f6b52"),
        "the-last-ferry.png": ("#3b2f52", "#f4d9a8", "#5a4a78", "#241c36"),
        "halloran.png": ("#b9c2c9", "#eef1f2", "#8a969f", "#4d5860"),
        "ash.png": ("#6b2f2a", "#f0a35e", "#8d443a", "#33191a"),
        "sparrow.png": ("#10262f", "#8fd3c8", "#1d4450", "#0a171d"),
        "lyra.png": ("#f3d9b1", "#fff6df", "#c58f5c", "#7d4f35"),
    }
    files = []
    for name, (sky, light, far, near) in looks.items():
        picture = Image.new("RGB", (640, 480), sky)
        draw = ImageDraw.Draw(picture)
        draw.ellipse((400, 70, 510, 180), fill=light)
        draw.ellipse((-200, 260, 460, 760), fill=far)
        draw.ellipse((240, 310, 960, 820), fill=near)
        target = io.BytesIO()
        picture.save(target, "PNG")
        files.append({"name": name, "mimeType": "image/png", "buffer": target.getvalue()})
    return files
