"""Small disks in memory, which this process and what it starts see, and nobody else."""

import contextlib
import errno
import os
import pathlib
import subprocess
import sys
import tempfile

INSIDE = "HARDSHIP_HAS_OWN_MOUNTS"


def enter_own_namespace():
    """Begins this program anew in a mount namespace of its own, which ends with it, mounts and all."""
    if os.environ.get(INSIDE):
        return
    command = ["unshare", "--mount", *([] if os.getuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        sys.exit("error: this may not mount: run it as root, or allow user namespaces")
    os.environ[INSIDE] = "1"
    os.execvp(command[0], [*command, sys.executable, *sys.argv])


class Disk:
    """A tmpfs in a folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        #: What fills it up.
        self.filler = self.folder / "filler"

    def fill(self):
        """Leaves not a byte; again and again, for what others gave back."""
        with open(self.filler, "ab", buffering=0) as file:
            for size in [65_536, 4_096, 1]:
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self):
        self.filler.unlink()

    def read_only(self, whether):
        subprocess.run(
            ["mount", "-o", "remount,ro" if whether else "remount,rw", self.folder], check=True, capture_output=True)


@contextlib.contextmanager
def disk(mebibytes, folder=None):
    """A disk of a size, in a folder or in one of its own."""
    with tempfile.TemporaryDirectory() as own:
        folder = folder or own
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=0700", "tmpfs", folder], check=True,
            capture_output=True)
        try:
            yield Disk(folder)
        finally:
            # Also while somebody has a file open there; it goes when they end.
            subprocess.run(["umount", "--lazy", folder], check=True, capture_output=True)
