"""The attributes of a component that are checked by its kind and rendered when used, not by Dagster at load."""

from typing import Any

import pydantic


class Attributes(pydantic.BaseModel):
    """Any fields: the connector's own Config says which there are."""

    model_config = pydantic.ConfigDict(extra="allow")
    kind: str = pydantic.Field(description="The connector: a module of sources/ or destinations/.")

    def as_written(self) -> dict[str, Any]:
        return self.model_dump()
