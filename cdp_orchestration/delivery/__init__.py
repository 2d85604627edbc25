"""The push half: frozen plan -> batches -> outcome per row -> ledger. Plain Python, no Dagster."""
