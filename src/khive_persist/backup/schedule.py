"""When the next backup is due, and of which kind, by config.toml."""

from datetime import datetime, timedelta
from typing import Final, Literal

from khive_persist.backup.catalogue import Catalogue
from khive_persist.backup.manifest import Manifest
from khive_persist.settings import Settings

Kind = Literal["full", "incremental"]

LATEST: Final = "latest"


def due(catalogue: Catalogue, settings: Settings, now: datetime) -> Kind | None:
    """What kind of backup is due; None where none is, or no schedule is set.

    One is due `backup.every_hours` after the latest began. It is full where the latest full one is
    older than `backup.full_every_days`, or where there is none; otherwise it stores what changed
    since the latest.
    """
    if not settings.backup_every_hours:
        return None
    # In the order of time: the latest is the last.
    made = list(catalogue.manifests.values())
    if made and now - made[-1].created < timedelta(hours=settings.backup_every_hours):
        return None
    full = [one for one in made if _is_full(one)]
    oldest = now - timedelta(days=settings.backup_full_every_days)
    return "incremental" if full and full[-1].created > oldest else "full"


def _is_full(manifest: Manifest) -> bool:
    return manifest.parent is None
