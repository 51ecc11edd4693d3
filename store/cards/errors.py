"""What a character card can be refused for."""

from store.errors import StoreError


class CardError(StoreError):
    """A file is no character card that can be read. The message names the file and the fault."""

    hint_by_default = "Export the card again from the program it came from, and import that file."


class PngError(CardError):
    """Bytes that are not a whole, sound PNG. The message names the fault only: this floor knows no file names."""

    hint_by_default = "Download the picture again, as the original file: screenshots and previews hold no card."
