"""Image profiles."""

from typing import Any, get_args

from wtforms.fields.choices import SelectChoice

from dashboard.formatters import provider
from dashboard.forms import KeptChoice
from dashboard.parameter_fields import Parameters
from dashboard.views.profiles import ProfileForm, ProfilePages
from store.documents import ImageProfile
from store.documents.image_profiles import ImageProvider
from store.providers.parameters import IMAGE


class ImageProfileForm(ProfileForm):
    provider = KeptChoice("Provider", choices=[SelectChoice(name, provider(name)) for name in get_args(ImageProvider)])
    parameters = Parameters("Parameters", IMAGE, description="A JSON object, or empty.")


class ImageProfilesView(ProfilePages):
    """The image profiles' pages."""

    noun = "image profile"
    form = ImageProfileForm
    unique_field = "name"
    address_hint = "Kept for Quilltap; the providers of images have addresses of their own."
    goes_along = "Chats that use it go on without one."

    def __init__(self, store: Any) -> None:
        repository, icon = store.image_profiles, "image-profiles"
        super().__init__(store, repository, ImageProfile, "Image profiles", "image_profiles", icon)

    def loses(self, document: Any) -> str:
        count, named = self.users_named(document)
        if not named:
            return "No chat uses it."
        return f"{count[0].upper()}{count[1:]} {'goes' if count == '1 chat' else 'go'} on without one: {named}."
