"""Whether another user of the machine could write to the file of the store.

Values are sealed, so that such a user can forge none.  But a value that was sealed once stays good
for its key: the user could put back the row of a session that was signed out.
"""

from __future__ import annotations

import os
import stat

#: The database, and the files that SQLite keeps beside it and reads back into it.
_ENDS = ("", "-wal", "-shm", "-journal")


def find_fault(path: str) -> str | None:
    """Return what lets another user write to the file; None if nothing does.

    Files that are missing are left out.  So is the folder, unless every user can replace what is
    in it: often a deployment's user owns it, or a group shares it.  Windows, where a file's mode
    says nothing about other users, is not checked.

    :param path: the database.  Its folder must exist.
    :return: how a sentence goes on that begins with the name of the file.
    :raises OSError: if the folder or a file cannot be examined.
    """
    if not hasattr(os, "geteuid"):
        return None
    folder = os.stat(os.path.dirname(path))
    if folder.st_mode & stat.S_IWOTH and not folder.st_mode & stat.S_ISVTX:
        return (
            "is in a folder in which every user of this machine can replace it: run chmod o-w on"
            " the folder, or keep the file in one that only this application's user can write"
        )
    owners = {0, os.geteuid()}
    if os.geteuid() == 0:
        # A server that starts as root and changes to the folder's owner, or that owner's doctor
        # run by root.  The owner could replace the file in any case.
        owners.add(folder.st_uid)
    for end in _ENDS:
        try:
            status = os.lstat(path + end)
        except FileNotFoundError:
            continue
        fault = _fault_of(status, owners)
        if fault is not None:
            return f"has a {end} file that {fault}" if end else fault
    return None


def _fault_of(status: os.stat_result, owners: set[int]) -> str | None:
    if stat.S_ISLNK(status.st_mode):
        return "is a symbolic link: give the path of the file itself"
    if status.st_uid not in owners:
        return (
            "belongs to another user: run this application as that user, or make the application's"
            " user the owner with chown"
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "can be written by other users: run chmod go-w on it"
    return None
