"""Classes of records that cannot be kept whole, refused when they are made."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typing_extensions import is_typeddict

from khive_persist.errors import InvalidRecordError
from khive_persist.models.columns import Columns


def check_class(record: type[Columns], fields: Mapping[str, FieldInfo]) -> None:
    """Refuse a class whose records could not be kept whole.

    Raises:
        InvalidRecordError: It takes undeclared fields, declares one that its content has too, or
            has a version and no `upgrade`.
    """
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
