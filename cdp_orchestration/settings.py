"""Values in a defs.yaml that are only known when they are used: `{{ env.NAME }}` and `{{ home }}`.

They are rendered at use, not at load, so that one missing secret stops one connector and not the whole project.
"""

import os
from typing import Any

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from cdp_orchestration.errors import StopAndTell
from cdp_orchestration.home import current_home


class _Environment:
    """`env.NAME` in a template; an unset or empty variable is undefined, so that `default(...)` works on it."""

    def __getattr__(self, name: str) -> Any:
        value = os.environ.get(name)
        return value if value else jinja2.StrictUndefined(hint=name)


_jinja = SandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)


def render(value: Any, where: str, field: str = "") -> Any:
    """`value` with every template in it rendered; dicts and lists are walked.

    `where` is the file that holds the value; it is named when a variable is missing.
    Raises StopAndTell for a missing variable or a malformed template.
    """
    if isinstance(value, dict):
        return {key: render(item, where, f"{field}.{key}".lstrip(".")) for key, item in value.items()}
    if isinstance(value, list):
        return [render(item, where, f"{field}[{index}]") for index, item in enumerate(value)]
    if not isinstance(value, str) or "{{" not in value:
        return value
    try:
        return _jinja.from_string(value).render(env=_Environment(), home=str(current_home().root))
    except jinja2.UndefinedError as error:
        raise StopAndTell(
            f"{where}: field '{field}' needs the environment variable {error}, which is not set. "
            f"Set it in the environment or in a .env file next to pyproject.toml."
        ) from None
    except jinja2.TemplateError as error:
        raise StopAndTell(f"{where}: field '{field}' is not a valid template: {error}") from None
