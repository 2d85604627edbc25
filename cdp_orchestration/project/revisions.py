"""The dbt half of the project as it was in a git revision: dbt_project.yml and dbt_project/, in a folder of its own.

The Python half and profiles/ are those of the checkout that runs: how to connect is no matter of a revision, and a revision
whose profile names the real warehouse must not reach it.
"""

import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from cdp_orchestration.errors import CdpError, NeedsAPerson
from cdp_orchestration.home import PROJECT_ROOT, Home
from cdp_orchestration.project.dbt_command import dbt_in_process
from cdp_orchestration.project.dbt_process import WarmDbt
from cdp_orchestration.scratch.project import Project

HALF = ("dbt_project.yml", "dbt_project")


def commit_of(revision: str, option: str) -> str:
    """The full id of the commit. Raises NeedsAPerson where the project is in no git repository, or git knows no such revision."""
    if _git("rev-parse", "--is-inside-work-tree").returncode:
        raise NeedsAPerson(
            f"{PROJECT_ROOT} is in no git repository, so there is no revision {revision} to compare with."
        )
    found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found.returncode:
        shallow = _git("rev-parse", "--is-shallow-repository").stdout.strip() == b"true"
        hint = (
            " The clone is shallow: fetch its history (`git fetch --unshallow`, `fetch-depth: 0`)." if shallow else ""
        )
        raise NeedsAPerson(f"{option} {revision}: git knows no such revision.{hint}")
    return found.stdout.decode().strip()


def is_dirty() -> bool:
    """Whether the working tree's dbt half has changes that are not committed."""
    return bool(_git("status", "--porcelain", "--", *HALF).stdout.strip())


def revision_project(home: Home, commit: str, folder: Path, dbt: WarmDbt) -> Project:
    """The commit's dbt half, written to `folder` and parsed by `dbt`. Raises NeedsAPerson where it has none, CdpError in dbt's
    words where it does not parse."""
    prefix = _git("rev-parse", "--show-prefix").stdout.decode().strip()
    packed = _git("archive", "--format=tar", f"{commit}:{prefix}" if prefix else commit, "--", *HALF)
    if packed.returncode:
        raise NeedsAPerson(
            f"Revision {commit[:10]} has no {' and '.join(HALF)}: git says {packed.stderr.decode(errors='replace').strip()}"
        )
    root, target = folder / "project", folder / "dbt"
    root.mkdir(parents=True)
    target.mkdir()
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(root, filter="data")
    parsed = home.dbt_target / "partial_parse.msgpack"
    if parsed.exists():  # what the revision has in common with the checkout is not parsed again
        shutil.copyfile(parsed, target / parsed.name)
    failed = dbt_in_process(dbt, root, target, {**os.environ, "CDP_HOME": str(home.root)}, ["parse"])
    if failed is not None:
        raise CdpError(f"Revision {commit[:10]} does not parse. dbt says:\n{failed}")
    return Project(root, target / parsed.name, json.loads((target / "manifest.json").read_text()))


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", "-C", str(PROJECT_ROOT), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise NeedsAPerson("git is not installed, and a revision is read by it.") from None
