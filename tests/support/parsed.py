"""One parse of the dbt project for all tests: a new home starts from it, as a home in use starts from its own last one.

Parsing anew takes dbt 4 s of CPU, and the tests make some fifty homes. dbt keeps a parse only for the very connection
that it was made with, of which a home's warehouse is a part: so the copy is told the home's connection. What was changed
in a project since (a test's own copy of it, say) differs from the parse, and dbt parses it.
"""

import fcntl
import os
import pprint
import subprocess
import sys
from argparse import Namespace
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgpack

PROJECT = Path(__file__).resolve().parents[2]
KEPT = "CDP_TEST_PARSED"  # a folder of the test session, for all its workers


def start_from_it(home: Path, project: Path, environment: dict[str, str]) -> None:
    """Give a home its parse, unless it has one."""
    folder = home / "dbt"
    if KEPT not in os.environ or (folder / "manifest.json").exists():
        return
    kept = Path(os.environ[KEPT]) / (environment.get("CDP_TARGET") or "duckdb")
    kept.mkdir(exist_ok=True)
    with open(kept / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (kept / "manifest.json").exists():
            dbt_parse(kept, environment)
            (kept / "database").write_text(environment.get("PGDATABASE", ""))
    # A database's name is in every relation's; tests' databases have names that nothing else has.
    renamed = (
        ((kept / "database").read_text(), environment.get("PGDATABASE", "")) if kept.name == "postgres" else ("", "")
    )
    parse = msgpack.unpackb((kept / "partial_parse.msgpack").read_bytes(), strict_map_key=False)
    parse["state_check"]["profile_hash"]["checksum"] = connection_of(environment)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "partial_parse.msgpack").write_bytes(msgpack.packb(_moved(parse, project, renamed)))
    manifest = (kept / "manifest.json").read_text().replace(f'"{PROJECT}"', f'"{project}"')
    (folder / "manifest.json").write_text(manifest.replace(*renamed) if renamed[0] else manifest)
    from cdp_orchestration.project.manifest import PARSED_FROM, state_of

    (folder / PARSED_FROM).write_text(state_of(PROJECT, place=project))


def dbt_parse(folder: Path, environment: dict[str, str]) -> None:
    subprocess.run(
        [str(Path(sys.executable).with_name("dbt")), "--quiet", "parse", "--profiles-dir", str(PROJECT / "profiles"),
         "--target-path", str(folder), "--log-path", str(folder)],
        cwd=PROJECT, env=environment, check=True,
    )  # fmt: skip


def connection_of(environment: dict[str, str]) -> str:
    """dbt's checksum of the connection that a home's profile describes (ManifestLoader.build_manifest_state_check)."""
    from dbt.config.runtime import load_profile
    from dbt.flags import set_from_args
    from dbt_common.context import set_invocation_context

    set_invocation_context(environment)
    set_from_args(Namespace(profiles_dir=str(PROJECT / "profiles")), None)
    profile = load_profile(str(PROJECT), {})
    return sha256(pprint.pformat(sorted(profile.credentials.connection_info())).encode()).hexdigest()


def _moved(value: Any, project: Path, renamed: tuple[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _moved(item, project, renamed) for key, item in value.items()}
    if isinstance(value, list):
        return [_moved(item, project, renamed) for item in value]
    if isinstance(value, str):
        return str(project) if value == str(PROJECT) else value.replace(*renamed) if renamed[0] else value
    return value
