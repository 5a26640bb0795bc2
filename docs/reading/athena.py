"""Prints the statement with which Athena opens the chains of an archive as one table.

    python3 docs/reading/athena.py SCHEMA s3://bucket/prefix/acme.example/audit CHAINS

SCHEMA is the file that `avro-tools getschema` makes of a segment: the newest knows all fields. CHAINS is how many there are.
"""

import json
import sys

SIMPLE = {"long": "bigint", "int": "int", "boolean": "boolean", "string": "string", "bytes": "binary"}


def column(type):
    """The type of a column as Hive names it. Times are microseconds since 1970: it has no such time."""
    if isinstance(type, list):
        (type,) = [branch for branch in type if branch != "null"]
    if isinstance(type, str):
        return SIMPLE[type]
    if type["type"] == "array":
        return f"array<{column(type['items'])}>"
    if type["type"] == "record":
        fields = (f"`{f['name']}`:{column(f['type'])}" for f in type["fields"])
        return f"struct<{','.join(fields)}>"
    return "binary" if type["type"] == "fixed" else SIMPLE[type["type"]]


def bare(schema):
    """Without its explanations, which may hold quotes."""
    if isinstance(schema, dict):
        return {name: bare(part) for name, part in schema.items() if name != "doc"}
    return [bare(part) for part in schema] if isinstance(schema, list) else schema


def statement(schema, root, chains):
    columns = ",\n".join(f"  `{f['name']}` {column(f['type'])}" for f in schema["fields"])
    return f"""CREATE EXTERNAL TABLE sealed (
{columns}
)
PARTITIONED BY (`chain` int, `date` string)
ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.avro.AvroSerDe'
WITH SERDEPROPERTIES ('avro.schema.literal' = '{json.dumps(bare(schema), separators=(",", ":"))}')
STORED AS AVRO
LOCATION '{root}/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.chain.type' = 'integer',
  'projection.chain.range' = '0,{int(chains) - 1}',
  'projection.date.type' = 'date',
  'projection.date.format' = 'yyyy-MM-dd',
  'projection.date.range' = '2026-01-01,NOW',
  'storage.location.template' = '{root}/${{chain}}/segments/date=${{date}}/'
);"""


if __name__ == "__main__":
    with open(sys.argv[1]) as schema:
        print(statement(json.load(schema), sys.argv[2].rstrip("/"), sys.argv[3]))
