"""Connected components alone: the SQL of `connected_components` beside Splink's clustering, on the same integer edges.

`python -m tests.bench.components splink WAREHOUSE` clusters the edges in main.edges (a, b) with Splink and prints
{"cpu", "components"}: CPU seconds without imports. Splink comes with the extra `bench`.
"""

import json
import sys

import duckdb

from tests.bench.statements import cpu

NODES = "select a as id from main.edges union select b from main.edges"


def splink(warehouse: str) -> dict[str, float]:
    from splink import DuckDBAPI
    from splink.clustering import cluster_pairwise_predictions_at_threshold

    with duckdb.connect(warehouse) as connection:
        connection.execute("set preserve_insertion_order = false")
        connection.execute(f"create or replace temp table nodes as {NODES}")
        connection.execute("create or replace temp table links as select a, b from main.edges")
        api = DuckDBAPI(connection)
        nodes, links = api.register("nodes"), api.register("links")
        started = cpu()
        found = cluster_pairwise_predictions_at_threshold(
            nodes=nodes, edges=links, db_api=api, node_id_column_name="id",
            edge_id_column_name_left="a", edge_id_column_name_right="b")  # fmt: skip
        spent = cpu() - started
        [(components,)] = connection.execute(f"select count(distinct cluster_id) from {found.physical_name}").fetchall()
    return {"cpu": spent, "components": components}


if __name__ == "__main__":
    print(json.dumps(splink(sys.argv[2])))
