"""Connection profiles: the row and its tags. Image profiles lie the same way in other tables."""

from collections.abc import Callable

from store.documents.profiles import ConnectionProfile
from store.mapping.base import (
    Child,
    Mapping,
    Record,
    Rows,
    raw_or,
    set_tags,
    tag_links,
    tag_rows,
    with_extras,
)
from store.tables.base import JSON_NULL
from store.tables.profiles import connection_profile_tags, connection_profiles

_PLAIN = ("id", "userId", "name", "provider", "apiKeyId", "baseUrl", "modelName")


def record_from(table: str, tag_table: str) -> Callable[[Rows], Record]:
    """The function that makes a profile's record of its rows."""

    def to_record(rows: Rows) -> Record:
        row = rows[table][0]
        raw: Record = {}
        record: Record = {key: row[key] for key in _PLAIN}
        parameters = row["parameters"]
        if isinstance(parameters, dict):
            record["parameters"] = parameters
        else:  # Quilltap takes objects only
            record["parameters"], raw["parameters"] = {}, None if parameters is JSON_NULL else parameters
        record["isDefault"] = row["isDefault"]
        links = tag_links(rows[tag_table])
        record["tags"] = [link["tagId"] for link in links]
        record["createdAt"], record["updatedAt"] = row["createdAt"], row["updatedAt"]
        return with_extras(record, tagLinks=links, raw=raw)

    return to_record


def rows_from(table: str, tag_table: str, column: str) -> Callable[[Record], Rows]:
    """The function that makes a profile's rows of its record."""

    def to_rows(record: Record) -> Rows:
        main = {key: record.get(key) for key in (*_PLAIN, "createdAt", "updatedAt")}
        parameters = raw_or(record, "parameters")
        main["parameters"] = {} if parameters is None else parameters
        main["isDefault"] = record.get("isDefault", False)
        return {table: [main], tag_table: tag_rows(record, column)}

    return to_rows


PROFILES = Mapping(
    kind="profile",
    model="ConnectionProfile",
    main=connection_profiles,
    document=ConnectionProfile,
    to_record=record_from("connection_profiles", "connection_profile_tags"),
    to_rows=rows_from("connection_profiles", "connection_profile_tags", "connectionProfileId"),
    children=(Child(connection_profile_tags, "connectionProfileId"),),
    links={"tags": set_tags("connection_profile_tags", "connectionProfileId", "connection_profiles")},
)
