"""The backups of a project in one destination, as its settings say, for commands and programs."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.errors import InvalidQueryError, InvalidRecordError
from khive_persist.maintenance.backup import create, restore, verify
from khive_persist.maintenance.backup.catalogue import LATEST, Catalogue, read_catalogue
from khive_persist.maintenance.backup.coding import Coding, has_zstd
from khive_persist.maintenance.backup.destination import Destination, open_destination
from khive_persist.maintenance.backup.keys import read_identities, read_recipients
from khive_persist.maintenance.backup.manifest import Manifest
from khive_persist.maintenance.backup.prune import abandoned, delete_backups, prunable
from khive_persist.maintenance.backup.restore import Restored
from khive_persist.maintenance.backup.schedule import due
from khive_persist.maintenance.backup.verify import VerifiedBackup
from khive_persist.models.purpose_registry import mirrored_purposes, remember
from khive_persist.project import Project
from khive_persist.project_search import existing_project, find_project
from khive_persist.store.staging import sweep
from khive_persist.threads import Advance, run_stoppable, silent

Compression = Literal["auto", "zstd", "none"]


class Backups:
    """The backups of a project in one destination."""

    def __init__(
        self, project: Project, destination: str | None = None, endpoint: str = ""
    ) -> None:
        """Open the destination.

        Args:
            destination: A folder, relative to the working directory, or `s3://bucket/prefix`; else
                that of config.toml.
            endpoint: The URL of the S3 service; else AWS_ENDPOINT_URL.

        Raises:
            InvalidSettingsError: config.toml is wrong.
            BackupError: The destination cannot be used.
            MissingExtraError: It needs a package that is not here.
        """
        self.project = project
        self._settings = configuration.load(project.config)
        if project.exists():
            sweep(project)
        if destination and "://" not in destination:
            destination = os.path.abspath(Path(destination).expanduser())
        self.target: Destination = open_destination(
            project, destination or self._settings.backup_destination, endpoint
        )

    def create(
        self,
        *,
        since: str = "",
        only_if_due: bool = False,
        recipients: Sequence[str] = (),
        compression: Compression | None = None,
        identities: Sequence[str] = (),
        progress: Advance = silent,
    ) -> Manifest | None:
        """Make a backup; None where none is due. See `create_backup`."""
        if only_if_due and since:
            raise InvalidQueryError("one that is made if due decides what it is based on")
        if only_if_due and not self._settings.backup_every_hours:
            raise InvalidQueryError(
                "config.toml has no schedule", hint="set backup.every_hours in it"
            )
        chosen_compression = compression or self._settings.backup_compression
        if chosen_compression == "auto":
            chosen_compression = "zstd" if has_zstd() else "none"
        keys = read_recipients(tuple(recipients) or self._settings.backup_recipients)
        secret = read_identities(tuple(identities))
        if only_if_due:
            kind = due(self.catalogue(), self._settings, clock.now())
            if kind is None:
                return None
            since = LATEST if kind == "incremental" else ""
        backup = create.create_backup(
            self.project,
            self.target,
            since=since,
            coding=Coding(chosen_compression, keys),
            identities=secret,
            progress=progress,
        )
        if only_if_due:
            self.prune()
        return backup

    def catalogue(self) -> Catalogue:
        """Return the backups that are there, the oldest first."""
        return read_catalogue(self.target)

    def verify(
        self, catalogue: Catalogue, ids: Sequence[str] = (), progress: Advance = silent
    ) -> list[VerifiedBackup]:
        """Compare backups with their digests. See `verify_backups`."""
        requested_ids = ids or (*catalogue.manifests, *catalogue.damaged)
        return verify.verify_backups(self.target, catalogue, requested_ids, progress)

    def restore(
        self,
        catalogue: Catalogue,
        manifest: Manifest,
        identities: Sequence[str] = (),
        progress: Advance = silent,
    ) -> Restored:
        """Make the project what a backup has. See `restore_backup`."""
        secret = read_identities(tuple(identities))
        result = restore.restore_backup(
            self.project, self.target, catalogue, manifest, identities=secret, progress=progress
        )
        # Kinds of a user's own are described in the mirror that came back. The restore is done,
        # whatever else is wrong with the register.
        with suppress(InvalidRecordError):
            for purpose in mirrored_purposes(self.project):
                if self.project.database(purpose.file).exists():
                    remember(self.project, purpose)
        return result

    def prunable(
        self, catalogue: Catalogue, keep_count: int | None = None, keep_days: float | None = None
    ) -> list[str]:
        """Return the ids of the backups that `prune` deletes."""
        if keep_count is None and keep_days is None:
            keep_count = self._settings.backup_keep_count
            keep_days = self._settings.backup_keep_days
        old_backups = prunable(catalogue, keep_count=keep_count or 0, keep_days=keep_days or 0)
        return [backup.id for backup in old_backups] + abandoned(catalogue)

    def prune(self, keep_count: int | None = None, keep_days: float | None = None) -> list[str]:
        """Delete old backups. See `prune_backups`."""
        ids = self.prunable(self.catalogue(), keep_count, keep_days)
        return delete_backups(self.target, ids)


async def create_backup(
    *,
    dir: Path | str | None = None,
    destination: str | None = None,
    endpoint: str = "",
    since: str = "",
    only_if_due: bool = False,
    recipients: Sequence[str] = (),
    compression: Compression | None = None,
    identities: Sequence[str] = (),
) -> Manifest | None:
    """Back up every database, config.toml and the mirror, while others write.

    On return it is in the destination, durably. Cancelled or killed before, it is not there.

    Args:
        dir: The directory that holds `.khive`.
        destination: A folder, or `s3://bucket/prefix`; else that of config.toml.
        endpoint: The URL of the S3 service; else AWS_ENDPOINT_URL.
        since: The id of a backup, or `latest`: only what changed since is stored.
        only_if_due: Do nothing until the schedule of config.toml says so; old backups are deleted
            then by its rules.
        recipients: The age or SSH public keys to encrypt for, or files of them.
        compression: `auto`, `zstd` or `none`; else that of config.toml.
        identities: Files with age secret keys, to read an encrypted `since`.

    Returns:
        The backup; None where none was due.

    Raises:
        InvalidQueryError: `only_if_due` with `since`, or without a schedule.
        InvalidSettingsError: config.toml is wrong.
        MissingExtraError: The destination, compression or encryption needs a package.
        NotFoundError: There is no backup `since`.
        ProjectError: There is no project.
        BackupError, StoreError: As `Backups` and its databases say.
    """
    project = existing_project(dir)
    return await run_stoppable(
        lambda advance: Backups(project, destination, endpoint).create(
            since=since,
            only_if_due=only_if_due,
            recipients=recipients,
            compression=compression,
            identities=identities,
            progress=advance,
        )
    )


async def list_backups(
    *, dir: Path | str | None = None, destination: str | None = None, endpoint: str = ""
) -> Catalogue:
    """Return the backups of a destination: manifests by id, the oldest first, and damaged ones.

    Args:
        dir: The directory that holds `.khive`.
        destination: The destination, as for `create_backup`.
        endpoint: The URL of the S3 service, as for `create_backup`.

    Raises:
        BackupError: The destination cannot be read.
        InvalidSettingsError: config.toml is wrong.
        ProjectError: None is named or found.
    """
    project = find_project(dir)
    return await run_stoppable(lambda _: Backups(project, destination, endpoint).catalogue())


async def verify_backups(
    *ids: str, dir: Path | str | None = None, destination: str | None = None, endpoint: str = ""
) -> list[VerifiedBackup]:
    """Compare every byte of backups, and of what they are based on, with their digests.

    Args:
        ids: The ids of the backups; without one, all.
        dir: The directory that holds `.khive`.
        destination: The destination, as for `create_backup`.
        endpoint: The URL of the S3 service, as for `create_backup`.

    Returns:
        For each its id and its `problems`, none where it can be restored.

    Raises:
        NotFoundError: There is no such backup.
        BackupError: The destination cannot be read.
        InvalidSettingsError: config.toml is wrong.
        ProjectError: None is named or found.
    """
    project = find_project(dir)

    def run(advance: Advance) -> list[VerifiedBackup]:
        backups = Backups(project, destination, endpoint)
        return backups.verify(backups.catalogue(), ids, advance)

    return await run_stoppable(run)


async def restore_backup(
    id: str = LATEST,
    *,
    dir: Path | str | None = None,
    destination: str | None = None,
    endpoint: str = "",
    identities: Sequence[str] = (),
) -> Restored:
    """Make all databases and the mirror those of a backup: checked before, synced on return.

    What is replaced is moved to `quarantine/`. Cancelled or killed at any point, all of the old is
    there, or all of the new. Open stores go on with the new files.

    Args:
        id: The id of the backup, the beginning of it, or `latest`.
        dir: The directory that holds `.khive`, made where it is missing.
        destination: The destination, as for `create_backup`.
        endpoint: The URL of the S3 service, as for `create_backup`.
        identities: Files with age secret keys.

    Raises:
        NotFoundError: There is no such backup, or more than one.
        BackupDamagedError: It is not as it was written.
        BackupError: It cannot be read or decrypted.
        InvalidSettingsError: config.toml is wrong.
        ProjectError: The project cannot be used.
        StoreError: As its subclasses say; the old files are there.
    """
    project = find_project(dir)

    def run(advance: Advance) -> Restored:
        backups = Backups(project, destination, endpoint)
        catalogue = backups.catalogue()
        return backups.restore(catalogue, catalogue.find(id), identities, advance)

    return await run_stoppable(run)


async def prune_backups(
    *,
    dir: Path | str | None = None,
    destination: str | None = None,
    endpoint: str = "",
    keep_count: int | None = None,
    keep_days: float | None = None,
    dry_run: bool = False,
) -> list[str]:
    """Delete old backups, and what was begun and not finished more than a day ago.

    A backup stays if either rule keeps it, or if one that stays, or was just made, is based on it.

    Args:
        dir: The directory that holds `.khive`.
        destination: The destination, as for `create_backup`.
        endpoint: The URL of the S3 service, as for `create_backup`.
        keep_count: Keep so many of the newest.
        keep_days: Keep those of so many days. Without either, the rules of config.toml hold.
        dry_run: Whether to delete nothing.

    Returns:
        The ids of what was deleted, or would be.

    Raises:
        BackupError: The destination cannot be read or changed.
        InvalidSettingsError: config.toml is wrong.
        ProjectError: None is named or found.
    """
    project = find_project(dir)

    def run(_: Advance) -> list[str]:
        backups = Backups(project, destination, endpoint)
        if dry_run:
            return backups.prunable(backups.catalogue(), keep_count, keep_days)
        return backups.prune(keep_count, keep_days)

    return await run_stoppable(run)
