"""What the project declares: `vars` of dbt_project.yml, as they stand there. dbt and `cdp check` say what is wrong in them."""

from pathlib import Path
from typing import Any

import yaml

from cdp_orchestration.home import PROJECT_ROOT


def project_variables(root: Path = PROJECT_ROOT) -> dict[str, Any]:
    """Of the project in `root`; empty where it declares none."""
    return yaml.safe_load((root / "dbt_project.yml").read_text()).get("vars") or {}
