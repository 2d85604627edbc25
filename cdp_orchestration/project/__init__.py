"""The dbt project as Python sees it: its parse, its manifest, and what its models and rules say."""
