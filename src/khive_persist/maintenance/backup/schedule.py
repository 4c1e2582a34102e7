"""The schedule of backups in config.toml: the time of the next one, and its kind."""

from datetime import datetime

from khive_persist.maintenance.backup.catalogue import Catalogue
from khive_persist.maintenance.backup.manifest import Kind
from khive_persist.settings import Settings


def due(catalogue: Catalogue, settings: Settings, instant: datetime) -> Kind | None:
    """Return the kind of backup that is due; None where none is, or no schedule is set.

    One is due `backup.every_hours` after the latest began. It is full where the latest full one is
    older than `backup.full_every_days`, or where there is none; otherwise it stores what changed
    since the latest.
    """
    if not settings.backup_every_hours:
        return None
    # In the order of time: the latest is the last.
    ages = [(instant - backup.created).total_seconds() for backup in catalogue.dated]
    if ages and ages[-1] < settings.backup_every_hours * 3600:
        return None
    full = [age for age, backup in zip(ages, catalogue.dated, strict=True) if backup.parent is None]
    is_recent = full and full[-1] < settings.backup_full_every_days * 86_400
    return "incremental" if is_recent else "full"
