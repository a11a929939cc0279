"""Becomes another program, one that cannot outlive the process that has started it.

A script of its own, because between fork and exec a process with threads may do next to nothing.
The kernel forgets the wish when the user changes, so that comes first.
"""

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1


def become_user(name: str) -> None:
    """Leave root's rights behind."""
    entry = pwd.getpwnam(name)
    os.initgroups(name, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def main() -> None:
    """Arguments: parent's process id, signal at its death, user (may be empty), command."""
    parent, number, user, *command = sys.argv[1:]
    if user:
        become_user(user)
        os.chdir("/")  # it need not be let in where we are
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))
    if os.getppid() == int(parent):  # else it has died before we could ask to be told
        os.execv(command[0], command)  # noqa: S606 — no shell is wanted


if __name__ == "__main__":
    main()
