"""The form of each kind of record: `team.form`, and the rules of `team.kinds` before it."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, get_args

from khive_persist.errors import InvalidSettingsError
from khive_persist.models.purposes import Purpose
from khive_persist.settings import Settings, TeamForm
from khive_persist.team.form import has_metrics

_ANY: Final = "*"
_FORM: Final = "form="


class KindRule(NamedTuple):
    """The form of the records of one kind: a purpose's name, its table or view; or `*`."""

    kind: str
    form: str

    def fits(self, purpose: Purpose) -> bool:
        """Return whether a purpose is of the kind."""
        return self.kind in (_ANY, purpose.name, purpose.table, purpose.view)


def parse(text: str) -> KindRule:
    """Parse a rule of config.toml: `conversations form=off`.

    Raises:
        InvalidSettingsError: It is none.
    """
    kind, *words = text.split() or [""]
    form = words[0].removeprefix(_FORM) if len(words) == 1 and words[0].startswith(_FORM) else ""
    if form not in get_args(TeamForm):
        raise InvalidSettingsError(
            f"team.kinds: {text!r} is no rule",
            hint="write conversations form=metrics: one of " + ", ".join(get_args(TeamForm)),
        )
    return KindRule(kind, form)


def sends(settings: Settings) -> bool:
    """Return whether any record may leave: there is an address, and a form that is not `off`."""
    forms = [settings.team_form, *(parse(text).form for text in settings.team_kinds)]
    return bool(settings.team_url) and any(form != "off" for form in forms)


def forms_of(settings: Settings, purposes: Iterable[Purpose]) -> dict[str, str]:
    """Return the form of each purpose, by its name: `off` where nothing of it leaves.

    Raises:
        InvalidSettingsError: A rule of `team.kinds` is none.
    """
    rules = [parse(text) for text in settings.team_kinds]
    return {purpose.name: _form_of(settings, rules, purpose) for purpose in purposes}


def _form_of(settings: Settings, rules: Sequence[KindRule], purpose: Purpose) -> str:
    if not settings.team_url:
        return "off"
    form = next((rule.form for rule in rules if rule.fits(purpose)), settings.team_form)
    return "off" if form == "metrics" and not has_metrics(purpose) else form
