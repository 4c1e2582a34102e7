"""`TeamRecord`: one version of one record, as it leaves a machine."""

from typing import Final, NamedTuple, Self

from khive_persist.store import codec

FORMS: Final = ("metrics", "redacted", "all")


class TeamRecord(NamedTuple):
    """One version of one record, as it leaves a machine.

    Attributes:
        person: The person who pushes it: a keyed hash, or the name that they chose.
        machine: The machine: a keyed hash, or its name.
        project: The project: a keyed hash, or its name.
        purpose: The name of the purpose, as `claude_hooks`.
        session: The session's id, or a keyed hash of it; empty where it has none.
        id: The record's id.
        version: A number that grows with each version of the record that is sent.
        form: The part of it that is there: "metrics", "redacted" or "all".
        created_at: The time of the record, as its column has it.
        content: The JSON of its content; None once the record was purged.
    """

    person: str
    machine: str
    project: str
    purpose: str
    session: str
    id: str
    version: int
    form: str
    created_at: str | None
    content: str | None

    @property
    def message_id(self) -> str:
        """The name of this version of the record, which no other has."""
        return "/".join((self.machine, self.project, self.purpose, self.id, str(self.version)))

    def to_json(self) -> str:
        """Return it as a JSON array, in the order of its attributes."""
        return codec.dump(list(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Return the record of a JSON array.

        Raises:
            ValueError: It is none, or has another form.
        """
        values = codec.load(text)
        if not isinstance(values, list) or len(values) != len(cls._fields):
            raise ValueError("it is no record of a team")
        record = cls(*values)
        texts = (*record[:6], record.form)
        if not all(isinstance(text, str) for text in texts) or type(record.version) is not int:
            raise ValueError("it is no record of a team")
        if record.form not in FORMS or not all(
            value is None or isinstance(value, str) for value in record[8:]
        ):
            raise ValueError("it is no record of a team")
        return record
