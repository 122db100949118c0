"""The registry's decisions: register, look up, delete, compare. Pure but for the store; errors carry the Confluent codes."""

from typing import Any

from twin_app.embedded.registry.compatibility import LEVELS, BadSchema, breaks, canonical
from twin_app.embedded.registry.store import SCHEMAS_MAX, Store, Version

MODES = ("READWRITE", "READONLY", "IMPORT")
VERSION_MAX = (1 << 31) - 1
SUBJECT_CHARACTERS_MAX = 500


class Refused(Exception):
    """An answer with an error code of the Confluent API; the HTTP status is its first three digits."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = code if code < 1000 else code // 100


class Subjects:
    def __init__(self, store: Store) -> None:
        self.store = store

    # -- finding ----------------------------------------------------------------------------------------------------------

    def names(self, *, deleted: bool = False) -> list[str]:
        return sorted(
            name for name, versions in self.store.subjects.items() if deleted or any(not version.deleted for version in versions)
        )

    def versions(self, subject: str, *, deleted: bool = False) -> list[Version]:
        """Raises Refused 40401 when the subject is unknown."""
        found = [version for version in self.store.subjects.get(subject, ()) if deleted or not version.deleted]
        if not found:
            raise Refused(40401, f"Subject '{subject}' not found.")
        return found

    def version(self, subject: str, wanted: str, *, deleted: bool = False) -> Version:
        """`wanted` is a number, -1 or `latest`. Raises Refused 40401, 40402, 42202."""
        found = self.versions(subject, deleted=deleted)
        if wanted in ("latest", "-1"):
            return found[-1]
        if not wanted.isascii() or not wanted.isdigit() or not 1 <= int(wanted[:11]) <= VERSION_MAX:
            raise Refused(42202, f"The specified version '{wanted[:40]}' is not a valid version id.")
        for version in found:
            if version.number == int(wanted):
                return version
        raise Refused(40402, f"Version {wanted} not found.")

    def schema(self, schema_id: str) -> str:
        if not schema_id.isascii() or not schema_id.isdigit() or int(schema_id[:11]) not in self.store.schemas:
            raise Refused(40403, f"Schema {schema_id[:40]} not found")
        return self.store.schemas[int(schema_id[:11])]

    def uses(self, schema_id: str) -> list[tuple[str, int]]:
        self.schema(schema_id)
        wanted = int(schema_id)
        return [
            (name, version.number)
            for name, versions in sorted(self.store.subjects.items())
            for version in versions
            if version.schema_id == wanted and not version.deleted
        ]

    # -- registering ------------------------------------------------------------------------------------------------------

    def register(self, subject: str, body: Any) -> int:
        """The id of the schema, new or known. Raises Refused 409 (incompatible), 42201 (no schema), 42205 (read only)."""
        text = self._text(body)
        if not subject or len(subject) > SUBJECT_CHARACTERS_MAX or "\x00" in subject:
            raise Refused(42208, "The specified subject is not valid.")
        present = [version for version in self.store.subjects.get(subject, ()) if not version.deleted]
        for version in present:
            if self.store.schemas[version.schema_id] == text:
                return version.schema_id
        if self.mode(subject, default=True) == "READONLY":
            raise Refused(42205, f"Subject {subject} is in read-only mode")
        level = self.level(subject, default=True)
        broken = breaks(text, [self.store.schemas[version.schema_id] for version in present], level)
        if broken:
            raise Refused(409, f"Schema being registered is incompatible with an earlier schema ({level}): {broken[0]}")
        schema_id = self.store.ids.get(text)
        if schema_id is None:
            if len(self.store.schemas) >= SCHEMAS_MAX:
                raise Refused(50001, f"there are {SCHEMAS_MAX} schemas already")
            schema_id = max(self.store.schemas, default=0) + 1
            self.store.write("schema", schema_id, text)
        everything = self.store.subjects.get(subject, ())
        number = max((version.number for version in everything), default=0) + 1
        self.store.write("version", subject, number, schema_id)
        return schema_id

    def look_up(self, subject: str, body: Any, *, deleted: bool = False) -> Version:
        text = self._text(body)
        for version in self.versions(subject, deleted=deleted):
            if self.store.schemas[version.schema_id] == text:
                return version
        raise Refused(40403, "Schema not found")

    def compare(self, subject: str, wanted: str | None, body: Any) -> list[str]:
        """Why the schema may not follow version `wanted` (None: those that the subject's level asks for)."""
        text = self._text(body)
        level = self.level(subject, default=True)
        if wanted is None:
            present = [version for version in self.store.subjects.get(subject, ()) if not version.deleted]
            return breaks(text, [self.store.schemas[version.schema_id] for version in present], level)
        return breaks(text, [self.store.schemas[self.version(subject, wanted).schema_id]], level)

    @staticmethod
    def _text(body: Any) -> str:
        if not isinstance(body, dict) or not isinstance(body.get("schema"), str):
            raise Refused(42201, "Invalid schema: the body has no text 'schema'")
        if body.get("schemaType", "AVRO") not in ("AVRO", None):
            raise Refused(42201, f"Invalid schema: type {str(body['schemaType'])[:40]} is not kept here, only AVRO")
        if body.get("references"):
            raise Refused(42201, "Invalid schema: references are not kept here; send one schema with its types inside")
        try:
            return canonical(body["schema"])
        except BadSchema as error:
            raise Refused(42201, f"Invalid schema: {str(error)[:1000]}") from error

    # -- deleting ---------------------------------------------------------------------------------------------------------

    def delete_subject(self, subject: str, *, permanent: bool) -> list[int]:
        if not permanent:
            numbers = [version.number for version in self.versions(subject)]
            self.store.write("delete", subject, numbers)
            return numbers
        if any(not version.deleted for version in self.versions(subject, deleted=True)):
            raise Refused(40405, f"Subject '{subject}' was not deleted first before being permanently deleted")
        numbers = [version.number for version in self.versions(subject, deleted=True)]
        self.store.write("erase", subject, numbers)
        return numbers

    def delete_version(self, subject: str, wanted: str, *, permanent: bool) -> int:
        version = self.version(subject, wanted, deleted=permanent)
        if permanent and not version.deleted:
            raise Refused(
                40407, f"Subject '{subject}' Version {version.number} was not deleted first before being permanently deleted"
            )
        self.store.write("erase" if permanent else "delete", subject, [version.number])
        return version.number

    # -- settings ---------------------------------------------------------------------------------------------------------

    def level(self, subject: str = "", *, default: bool = False) -> str:
        own = self.store.levels.get(subject)
        if own is None and subject and not default:
            raise Refused(40408, f"Subject '{subject}' does not have subject-level compatibility configured")
        return own or self.store.levels.get("", "BACKWARD")

    def set_level(self, subject: str, body: Any) -> str:
        level = body.get("compatibility") if isinstance(body, dict) else None
        if level not in LEVELS:
            raise Refused(42203, f"Invalid compatibility level. Valid values are {', '.join(LEVELS)}")
        self.store.write("level", subject, level)
        return str(level)

    def mode(self, subject: str = "", *, default: bool = False) -> str:
        own = self.store.modes.get(subject)
        if own is None and subject and not default:
            raise Refused(40409, f"Subject '{subject}' does not have subject-level mode configured")
        return own or self.store.modes.get("", "READWRITE")

    def set_mode(self, subject: str, body: Any) -> str:
        mode = body.get("mode") if isinstance(body, dict) else None
        if mode not in MODES:
            raise Refused(42204, f"Invalid mode. Valid values are {', '.join(MODES)}")
        self.store.write("mode", subject, mode)
        return str(mode)
