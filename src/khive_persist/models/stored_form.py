"""`StoredForm`: write a class's content and declared fields into a row, and read them back."""

import inspect
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, SchemaValidator, to_json
from typing_extensions import is_typeddict

from khive_persist.errors import InvalidRecordError
from khive_persist.models.columns import Columns
from khive_persist.models.content_schema import ContentSchema
from khive_persist.models.model_json import with_numbers
from khive_persist.models.odd_number import within_bounds

COLUMNS: Final = frozenset(Columns.model_fields)
UNREADABLE: Final = "unreadable_content"
VERSION: Final = "content_version"

_INPUT_CHARACTERS: Final = 80
_NO_JSON: Final = "give its type a serializer, as Annotated[…, PlainSerializer(…)]"
_FORM: Final = "__stored_form__"


class StoredForm:
    """The form in which records of one class are written and read.

    Declared fields stand in `content` under their names, beside the content's own keys, where SQL
    and `field(...)` reach them. Content that is no object, or that has the single key `content`,
    stands under that key. Content of models and of Python's types stands as pydantic's JSON of it,
    and a Decimal as a number.
    """

    def __init__(self, record: type[Columns]) -> None:
        """Examine a class.

        Raises:
            InvalidRecordError: It takes undeclared fields, declares one that its content has too,
                or has a version and no `upgrade`.
        """
        self._record = record
        self._fields = {
            name: info
            for name, info in record.model_fields.items()
            if name not in COLUMNS and info.exclude is not True
        }
        self._adapters: dict[str, TypeAdapter[Any]] | None = None
        self._content: ContentSchema | None = None
        self._validator: Any = None
        self._strict: SchemaValidator | None = None
        _check_class(record, self._fields)

    def write_sound(self, record: Columns) -> Any:
        """Write in half the time of `write`, where no number is odd; else return None."""
        if self._strict is None or (record.node_metadata and VERSION in record.node_metadata):
            return None
        try:
            return self._strict.validate_python(record.content)
        except ValidationError:
            return None

    def write(self, record: Columns) -> Any:
        """Return the value of the content column, validated; made of JSON's types and Decimal.

        Raises:
            InvalidRecordError: The content, or a declared field, is not as the class declares it,
                or of a newer version than the class. The message names the field.
        """
        if record.node_metadata:
            self._check_version(record)
        schema = self._content or self._schema()
        if schema.is_any and not self._fields:
            return record.content
        try:
            if self._validator is not None:
                return self._validator.validate_python(record.content)
        except ValidationError as error:
            raise self._refusal(record, describe(error, "content")) from error
        try:
            if self._is_plain():
                # The record stays as it is: its content may be another object than the checked one.
                checked = _copy(record)
                self._record.__pydantic_validator__.validate_assignment(
                    checked, "content", record.content
                )
                return record.content if schema.has_own_validator else checked.content
            # What is read back is what counts: a part of a model may have been changed unseen.
            columns = {name: getattr(record, name) for name in COLUMNS - {"content"}}
            columns["id"] = columns["id"] or "unset"
            return self._merged(self._dumped(self._parsed(columns, self._dumped(record))))
        except ValidationError as error:
            raise self._refusal(record, describe(error)) from error
        except (PydanticSerializationError, UnicodeError) as error:
            raise self._refusal(
                record, f"a part of it has no JSON ({error})", hint=_NO_JSON
            ) from error

    def read(self, id: str, content: Any, metadata: dict[str, Any], columns: dict[str, Any]) -> Any:
        """Make the record of a row; one that does not fit the class keeps its content, marked.

        Args:
            id: The row's id.
            content: The value of the content column.
            metadata: The row's `node_metadata`.
            columns: The values of `created_at` and `embedding`, as the record has them.
        """
        columns = columns | {"id": id, "node_metadata": metadata}
        upgrade = _version(metadata) < self._record.content_version
        if self._is_plain() and not upgrade:
            return self._record.model_construct(content=content, **columns)
        try:
            if upgrade:
                content = self._upgraded(content, metadata)
                columns["node_metadata"] = metadata | {VERSION: self._record.content_version}
            record = self._parsed(columns, self._split(content))
        except Exception as error:  # A listing goes on, whatever a validator of a user's raises.
            mark = describe(error) if isinstance(error, ValidationError) else repr(error)
            columns["node_metadata"] = metadata | {UNREADABLE: mark}
            return self._unread(content, columns)
        vars(record).update(columns)
        return record

    def shown(self, record: Columns) -> Any:
        """Return the value of the content column for a record that need not be valid."""
        return record.content if self._is_plain() else self._merged(self._dumped(record))

    def _schema(self) -> ContentSchema:
        if self._content is None:
            self._record.model_rebuild()
            schema = ContentSchema(self._record.__pydantic_core_schema__, COLUMNS)
            self._content = schema
            if self._is_plain() and not schema.has_validator:
                # The content alone is validated in a third of the time that the record takes.
                info = self._record.model_fields["content"]
                adapter = TypeAdapter[Any](info.rebuild_annotation())
                self._validator = adapter.validator
                self._strict = SchemaValidator(within_bounds(adapter.core_schema))
        return self._content

    def _is_plain(self) -> bool:
        """Return whether JSON gives the content back as it was, without the class."""
        is_frozen = self._record.model_config.get("frozen", False)
        return self._schema().is_plain and not self._fields and not is_frozen

    def _dumped(self, record: Any) -> dict[str, Any]:
        """Return the content and the declared fields, by name."""
        if self._adapters is None:
            infos = {"content": self._record.model_fields["content"], **self._fields}
            self._adapters = {
                name: TypeAdapter(info.rebuild_annotation()) for name, info in infos.items()
            }
        return {
            name: self._dump(adapter, getattr(record, name, None))
            for name, adapter in self._adapters.items()
        }

    def _dump(self, adapter: TypeAdapter[Any], value: Any) -> Any:
        dumped = adapter.dump_python(
            value, mode="json", by_alias=True, round_trip=True, warnings=False
        )
        if not self._schema().may_have_numbers:
            return dumped
        python = adapter.dump_python(value, by_alias=True, round_trip=True, warnings=False)
        return with_numbers(dumped, python)

    def _parsed(self, columns: dict[str, Any], values: dict[str, Any]) -> Any:
        inputs = {
            _input_name(self._fields.get(name), name): value for name, value in values.items()
        }
        # As JSON: strict models take text for a date, and bytes have a spelling of their own.
        text = to_json(columns | inputs, inf_nan_mode="constants")
        return self._record.__pydantic_validator__.validate_json(text)

    def _merged(self, values: dict[str, Any]) -> Any:
        if not self._fields:
            return values["content"]
        content = values.pop("content")
        if not isinstance(content, Mapping) or content.keys() == {"content"}:
            return {**values, "content": content}
        for name in values.keys() & content.keys():
            raise InvalidRecordError(
                f"{self._record.__name__} declares {name}, and content has it too",
                hint="rename one of them",
            )
        return {**values, **content}

    def _split(self, column: Any) -> dict[str, Any]:
        """Return the content and the declared fields of a content column."""
        if not self._fields or not isinstance(column, Mapping):
            return {"content": column}
        values = {name: column[name] for name in self._fields if name in column}
        content: Any = {name: value for name, value in column.items() if name not in self._fields}
        if content.keys() == {"content"}:
            content = content["content"]
        return {**values, "content": content}

    def _unread(self, content: Any, columns: dict[str, Any]) -> Any:
        values = self._split(content)
        missing = {n: None for n, info in self._fields.items() if info.is_required()}
        return self._record.model_construct(**(missing | values | columns))

    def _upgraded(self, content: Any, metadata: dict[str, Any]) -> Any:
        upgrade: Any = getattr(self._record, "upgrade")  # noqa: B009 - a class of version 1 has none
        takes_version = len(inspect.signature(upgrade).parameters) > 1
        return upgrade(content, _version(metadata)) if takes_version else upgrade(content)

    def _check_version(self, record: Columns) -> None:
        version = _version(record.node_metadata)
        if version > self._record.content_version:
            raise self._refusal(
                record,
                f"its content is of version {version}, and this program knows"
                f" {self._record.content_version}",
                hint="save it with the newer program",
            )

    def _refusal(self, record: Columns, reason: str, hint: str = "") -> InvalidRecordError:
        return InvalidRecordError(
            f"{self._record.__name__} {str(record.id)[:_INPUT_CHARACTERS]}: {reason}",
            hint=hint or "set it right and save again; what the row has stays until then",
        )


def stored_form(record: type[Columns]) -> StoredForm:
    """Return the form of a class, examined once.

    Raises:
        InvalidRecordError: As for `StoredForm`.
    """
    form: StoredForm | None = vars(record).get(_FORM)
    if form is None:
        form = StoredForm(record)
        type.__setattr__(record, _FORM, form)
    return form


def _check_class(record: type[Columns], fields: Mapping[str, FieldInfo]) -> None:
    """Refuse a class whose records could not be kept whole."""
    name = record.__name__
    if record.model_config.get("extra") == "allow":
        raise InvalidRecordError(
            f"{name} takes any field, which its row has no place for",
            hint='leave out extra="allow", and put what is not declared into content',
        )
    twice = sorted(fields.keys() & _content_names(record.model_fields["content"].annotation))
    if twice:
        raise InvalidRecordError(
            f"{name} declares {twice[0]}, and its content has it too", hint="rename one of them"
        )
    version = record.content_version
    if type(version) is not int or version < 1:
        raise InvalidRecordError(f"{name}: content_version {version!r} is no number from 1")
    if version > 1 and not callable(getattr(record, "upgrade", None)):
        raise InvalidRecordError(
            f"{name} has content_version {version} and no way to read version {version - 1}",
            hint="give it a class method upgrade(content)",
        )


def _content_names(annotation: Any) -> set[str]:
    if is_typeddict(annotation):
        return {*annotation.__annotations__}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        aliases = {info.alias for info in annotation.model_fields.values()}
        return {*annotation.model_fields, *(alias for alias in aliases if alias)}
    return set()


def describe(error: ValidationError, *within: str) -> str:
    """Return the first fault of a validation: its field, and the reason."""
    fault = error.errors(include_url=False)[0]
    steps = (*within, *fault["loc"])
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    path = path.lstrip(".")
    input_text = repr(fault["input"])
    if fault["type"] == "missing" or len(input_text) > _INPUT_CHARACTERS:
        return f"{path or 'record'}: {fault['msg']}"
    return f"{path or 'record'}: {fault['msg']} (it is {input_text})"


def _input_name(info: FieldInfo | None, name: str) -> str:
    alias = None if info is None else info.validation_alias or info.alias
    return alias if isinstance(alias, str) else name


def _copy(record: Columns) -> Columns:
    """Copy a record in a quarter of the time of `model_copy`: each that is saved is copied."""
    copy = type(record).__new__(type(record))
    for name, value in (
        ("__dict__", vars(record).copy()),
        ("__pydantic_fields_set__", set()),
        ("__pydantic_extra__", None),
        ("__pydantic_private__", record.__pydantic_private__),
    ):
        object.__setattr__(copy, name, value)
    return copy


def _version(metadata: Mapping[str, Any]) -> int:
    version = metadata.get(VERSION, 1)
    return max(version, 1) if type(version) is int else 1
