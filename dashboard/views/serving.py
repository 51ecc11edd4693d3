"""The bytes of images, for signed-in people only. Whatever a record or a file's name says, a browser gets only what its
first bytes tell to be a picture as something to show; everything else is a file to keep."""

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from flask import abort, request
from flask_admin import expose
from werkzeug.wrappers import Response

from dashboard.thumbnails import SIZES, Thumbnails
from store.errors import NotFoundError, PictureError
from store.pictures import mime_type_of
from store.repositories.contract import Query


class PicturesOut:
    """Two addresses of the images' pages: a picture, and a small copy of it."""

    roles: ClassVar[Mapping[str, str]] = {"picture": "viewer", "thumb": "viewer"}
    store: Any
    _thumbnails: Thumbnails | None = None

    @expose("/picture/")
    def picture(self) -> Response:
        """An image as it lies on the disk; with ``?download=1`` as a file to keep."""
        path, filename = self.asked()
        data = self.store.public.read(path)
        mime_type = mime_type_of(data)
        inline = mime_type is not None and request.args.get("download") != "1"
        return file_response(data, mime_type or "application/octet-stream", filename, inline=inline)

    @expose("/thumb/")
    def thumb(self) -> Response:
        """A small copy of it."""
        path, filename = self.asked()
        if self._thumbnails is None:
            self._thumbnails = Thumbnails(self.store.public)
        try:
            data = self._thumbnails.get(path, SIZES.get(request.args.get("size", ""), SIZES["large"]))
        except (NotFoundError, PictureError):
            abort(404)
        return file_response(data, "image/webp", f"{filename}.webp", inline=True)

    def asked(self) -> tuple[str, str]:
        """Path and name of the image the address names. Raises NotFoundError."""
        asked = request.args.get("id", "")
        query = Query(where=(("id", asked),), sort="createdAt", page_size=1)
        rows = self.store.images.list(query).rows if asked and "\0" not in asked else []
        if not rows:
            raise NotFoundError("This image does not exist, or not any more.")
        return rows[0]["filepath"], rows[0]["filename"]


def file_response(data: bytes, mime_type: str, filename: str, *, inline: bool = False) -> Response:
    """A file for a browser. The name is told in ASCII, and in full for those that read RFC 6266."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in filename)
    spelled = quote(filename.encode("utf-8", "replace"), safe="")
    disposition = f"{'inline' if inline else 'attachment'}; filename=\"{plain}\"; filename*=UTF-8''{spelled}"
    return Response(data, mimetype=mime_type, headers={"Content-Disposition": disposition})
