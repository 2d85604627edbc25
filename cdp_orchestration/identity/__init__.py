"""Who is who, for people: are the rules in order, why are these one person, what would other rules do.

The resolution itself is SQL, in dbt_project/models/2_identity.
"""
