"""The models' own unit tests (in their .yml twins) pass on an empty warehouse."""

from pathlib import Path

from tests.harness import PROJECT, dbt


def test_dbt_unit_tests_pass(tmp_path: Path) -> None:
    from tests.test_identity import build, prepare

    prepare(tmp_path)
    build(tmp_path)
    done = dbt(PROJECT, tmp_path, "test", "--select", "test_type:unit")
    assert done.returncode == 0, done.stdout[-6000:]
    assert "PASS=" in done.stdout
