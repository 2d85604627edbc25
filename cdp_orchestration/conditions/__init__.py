"""The SQL of an audience taken apart into conditions, each asked for one person. Plain SQL in, a tree out; imports no dbt."""
