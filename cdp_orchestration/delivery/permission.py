"""Whether a home may send to a destination: a colleague's checkout must not write to the company's CRM."""

import os

from cdp_orchestration.destinations.base import Destination

VARIABLE = "CDP_DELIVER"


def kept_at_home(destination: Destination, name: str) -> str | None:
    """Why nothing is sent there from here; None: it may be. Loopback addresses and local folders may always."""
    if os.environ.get(VARIABLE, "").strip().lower() in ("on", "1", "true", "yes") or destination.is_local():
        return None
    return f"kept at home: {name} is not on this machine; where it may be written to, set {VARIABLE}=on"
