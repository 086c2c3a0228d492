"""Prints a Parquet file as JSON: the types of its columns, and its rows without what they do not have."""

import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq

table = pq.read_table(sys.argv[1])
types = {field.name: f"{field.type}{'' if field.nullable else ' not null'}" for field in table.schema}
at = table.schema.get_field_index("at")
table = table.set_column(at, "at", table.column("at").cast(pa.int64()))
rows = [{name: value for name, value in row.items() if value is not None} for row in table.to_pylist()]
print(json.dumps({"types": types, "groups": pq.ParquetFile(sys.argv[1]).num_row_groups, "rows": rows}))
