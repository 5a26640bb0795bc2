"""Segments as a Polars frame: one row an event, with the columns seq, sealed_at, prev, hash and event.

Polars' own Avro reader is fast, but (as of 2.1) it knows neither a type that is named a second time nor an enum inside
of a record, and the schema of a segment has both. The same bytes can be read by a schema that spells each type out and
takes an enum for the number that it is written as. So Polars is handed each segment under such a header, and the names
are put back afterwards.

    import segments
    frame = segments.read("archive/acme.example/audit/0/segments")
"""

import io
import itertools
import json
import pathlib

import polars


def read(path):
    """The events of a segment, or of all segments below a folder, in order."""
    path = pathlib.Path(path)
    # Their names are the first seq of each, with leading zeros.
    files = [path] if path.is_file() else sorted(path.rglob("*.avro"), key=lambda file: file.name)
    return polars.concat(read_segment(file.read_bytes()) for file in files)


def read_segment(segment):
    """The events of one segment, given its bytes."""
    header, blocks = split(segment)
    schema = json.loads(header["avro.schema"])
    header["avro.schema"] = json.dumps(spelled_out(schema)).encode()
    frame = polars.read_avro(io.BytesIO(join(header, blocks)))
    columns = {field["name"]: named(polars.col(field["name"]), field["type"]) for field in schema["fields"]}
    return frame.with_columns(column for column in columns.values() if column is not None)


def spelled_out(schema):
    """A schema of the same bytes in which no name stands twice, and an enum is its number."""
    numbers, known = itertools.count(), {}

    def spell(type):
        if isinstance(type, str):
            return spell(known[type]) if type in known else type
        if isinstance(type, list):
            return [spell(branch) for branch in type]
        kind = type["type"]
        if kind in ("record", "fixed", "enum"):
            known[type["name"]] = type
        if kind == "enum":
            return "int"
        if kind == "array":
            return {"type": "array", "items": spell(type["items"])}
        if kind == "record":
            fields = [{"name": field["name"], "type": spell(field["type"])} for field in type["fields"]]
            return {"type": "record", "name": f"{type['name']}{next(numbers)}", "fields": fields}
        return type | {"name": f"{type['name']}{next(numbers)}"} if kind == "fixed" else type

    return spell(schema)


def named(column, type):
    """The column with the names of its enums instead of their numbers; None if it has none. An enum is defined where
    it is used."""
    if isinstance(type, list):
        return next((found for branch in type if (found := named(column, branch)) is not None), None)
    if isinstance(type, str):
        return None
    if type["type"] == "enum":
        symbols = type["symbols"]
        return column.replace_strict(range(len(symbols)), symbols, return_dtype=polars.String)
    if type["type"] == "array":
        item = named(polars.element(), type["items"])
        return None if item is None else column.list.eval(item)
    if type["type"] == "record":
        fields = [(f["name"], named(column.struct.field(f["name"]), f["type"])) for f in type["fields"]]
        fields = [field.alias(name) for name, field in fields if field is not None]
        return column.struct.with_fields(fields) if fields else None
    return None


def split(segment):
    """The entries of a segment's header, and what comes behind them."""
    if segment[:4] != b"Obj\x01":
        raise ValueError("no Avro object container file")
    header, at = {}, 4

    def long():
        nonlocal at
        number = shift = 0
        while True:
            byte = segment[at]
            at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return (number >> 1) ^ -(number & 1)

    def take():
        nonlocal at
        length = long()
        at += length
        return segment[at - length : at]

    while count := long():
        for _ in range(count):
            name = take().decode()
            header[name] = take()
    return header, segment[at:]


def join(header, blocks):
    """The reverse of it."""

    def long(number):
        number <<= 1
        text = bytearray()
        while number > 0x7F:
            text.append(number & 0x7F | 0x80)
            number >>= 7
        return bytes(text) + bytes([number])

    entries = (long(len(part)) + part for name, value in header.items() for part in (name.encode(), value))
    return b"".join([b"Obj\x01", long(len(header)), *entries, long(0), blocks])
