"""The layers, in the order data flows, and the schemas of the warehouse that hold them: the one place that lists either.

A layer's schema carries its name. What only the layer itself reads on the way to its results may stand in a second schema.
"""

LAYERS = ("staging", "identity", "profiles", "attributes", "audiences", "activation")
STEPS = {"identity_steps": "identity"}  # schema: the layer whose steps it holds
SCHEMAS = (*LAYERS, *STEPS)


def layer_of(schema: str) -> str:
    """The layer that a schema of the warehouse belongs to."""
    return STEPS.get(schema, schema)
