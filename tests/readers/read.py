"""The events below a folder of segments, as another tool reads them, in the form in which `sealog cat` shows them.

    read.py fastavro FOLDER
    read.py polars FOLDER
    read.py avro-tools FOLDER JAR
"""

import base64
import datetime
import itertools
import json
import pathlib
import subprocess
import sys

import fastavro
import polars

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def by_fastavro(segments):
    for segment in segments:
        with open(segment, "rb") as file:
            yield from fastavro.reader(file)


def by_polars(segments):
    for segment in segments:
        yield from polars.read_avro(segment).iter_rows(named=True)


def by_avro_tools(segments):
    for segment in segments:
        command = ["java", "-XX:TieredStopAtLevel=1", "-jar", sys.argv[3], "tojson", str(segment)]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        with open(segment, "rb") as file:
            schema = json.loads(fastavro.reader(file).metadata["avro.schema"])
        # Lines end with \n alone: splitlines would also end them at what an event may hold.
        for line in said.decode().split("\n")[:-1]:
            yield from_avro_json(json.loads(line), schema)


def from_avro_json(value, schema):
    """A value in Avro's JSON encoding: a union's says which branch it is, bytes are text in Latin 1."""
    if isinstance(schema, list):
        if value is None:
            return None
        ((_, value),) = value.items()
        (branch,) = [branch for branch in schema if branch != "null"]
        return from_avro_json(value, branch)
    if isinstance(schema, str):
        return value.encode("latin-1") if schema == "bytes" else value
    if schema["type"] == "record":
        fields = schema["fields"]
        assert list(value) == [field["name"] for field in fields]
        return {field["name"]: from_avro_json(value[field["name"]], field["type"]) for field in fields}
    if schema["type"] == "array":
        return [from_avro_json(item, schema["items"]) for item in value]
    if schema["type"] == "fixed":
        return value.encode("latin-1")
    if schema.get("logicalType") == "timestamp-micros":
        return EPOCH + datetime.timedelta(microseconds=value)
    return value


def shown(value):
    if isinstance(value, dict):
        return {name: shown(part) for name, part in value.items()}
    if isinstance(value, list):
        return [shown(part) for part in value]
    if isinstance(value, datetime.datetime):
        micros = (value - EPOCH) // datetime.timedelta(microseconds=1)
        time = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        return micros if micros < 0 else f"{time.isoformat(timespec='microseconds')}Z"
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    return value


def main():
    segments = sorted(pathlib.Path(sys.argv[2]).rglob("*.avro"), key=lambda file: file.name)
    read = {"fastavro": by_fastavro, "polars": by_polars, "avro-tools": by_avro_tools}[sys.argv[1]]
    for seq, sealed in zip(itertools.count(), read(segments)):
        assert sealed["seq"] == seq
        sealed["prev"], sealed["hash"] = sealed["prev"].hex(), sealed["hash"].hex()
        print(json.dumps(shown(sealed)))


main()
