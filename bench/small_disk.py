"""A small disk of its own (tmpfs) that can be filled to its last byte: what a machine does whose disk is full."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SIZE_MB = 640


@dataclass(frozen=True, slots=True)
class Disk:
    """A folder. small: it has a size of its own; else it lies on the machine's disk, which nobody fills."""

    root: Path
    small: bool

    def fill(self) -> None:
        """Leave no byte to anybody; whoever frees some meanwhile may have it."""
        with (self.root / "ballast").open("wb", buffering=0) as ballast:
            free = os.statvfs(self.root).f_bavail * os.statvfs(self.root).f_frsize
            try:
                if free:
                    os.posix_fallocate(ballast.fileno(), 0, free)
                ballast.seek(0, os.SEEK_END)
                while ballast.write(bytes(4096)):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free(self) -> None:
        """Give it all back."""
        (self.root / "ballast").unlink()


@contextmanager
def small_disk() -> Iterator[Disk]:
    """Mounting takes root; without it the folder is an ordinary one."""
    with tempfile.TemporaryDirectory(prefix="congvan-disk-") as name:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE_MB}m,mode=755", "congvan-disk", name]
        mounted = os.geteuid() == 0 and subprocess.run(mount, check=False, capture_output=True).returncode == 0
        try:
            yield Disk(Path(name), mounted)
        finally:
            if mounted:
                subprocess.run(["umount", "--lazy", name], check=True)
