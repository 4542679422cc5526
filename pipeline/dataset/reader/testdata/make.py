"""Writes the files of this folder and what is in them, with the real libraries.

    python make.py        (pandas 3.1.1, pyarrow 26.0.1, openpyxl 3.1.5)

types.* have one column for each type. types.json has what a column holds, as JSON: the
texts are those that Python's libraries give (isoformat, str), the numbers their
shortest digits. csv.json has CSV texts and the rows that Python's csv reads.
"""

import base64
import csv
import datetime as dt
import decimal
import io
import json
import random
import uuid

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet

D = decimal.Decimal
BERLIN = dt.timezone(dt.timedelta(hours=1))
EMOJI = "Sjöberg says \U0001f600, \"no\"\n"


def fraction(nanoseconds):
    """No, six or nine digits, as isoformat of Python and pandas."""
    if nanoseconds == 0:
        return ""
    if nanoseconds % 1000 == 0:
        return ".%06d" % (nanoseconds // 1000)
    return ".%09d" % nanoseconds


COLUMNS = {
    # name: type, values; None is missing
    "text": (pa.string(), ["a", "", None, EMOJI]),
    "large_text": (pa.large_string(), ["a", "", None, EMOJI]),
    "words": (pa.dictionary(pa.int32(), pa.string()), ["a", "b", None, "a"]),
    "int8": (pa.int8(), [-128, 127, None, 0]),
    "int16": (pa.int16(), [-32768, 32767, None, 0]),
    "int32": (pa.int32(), [-(2**31), 2**31 - 1, None, 0]),
    "int64": (pa.int64(), [-(2**63), 2**63 - 1, None, 0]),
    "uint8": (pa.uint8(), [255, 1, None, 0]),
    "uint16": (pa.uint16(), [65535, 1, None, 0]),
    "uint32": (pa.uint32(), [2**32 - 1, 1, None, 0]),
    "uint64": (pa.uint64(), [2**64 - 1, 1, None, 0]),
    "bool": (pa.bool_(), [True, False, None, True]),
    "double": (pa.float64(), [0.1, 1.0, None, -1.5]),
    "double_large": (pa.float64(), [1e16, 9999999999999998.0, 1e15, 1.7976931348623157e308]),
    "double_small": (pa.float64(), [1e-5, 0.0001, -0.0, 5e-324]),
    "double_special": (pa.float64(), [float("nan"), float("inf"), float("-inf"), 123456.789]),
    "float": (pa.float32(), [0.1, 16777216.0, None, 3.4028235e38]),
    "half": (pa.float16(), [np.float16(0.1), np.float16(65504), None, np.float16(-2.5)]),
    "half_small": (pa.float16(), [np.float16(6e-8), np.float16(0.333), np.float16(1), np.float16(1023.5)]),
    "decimal": (pa.decimal128(10, 2), [D("12.50"), D("-0.05"), None, D("0.00")]),
    "decimal_int": (pa.decimal128(20, 0), [D("12345678901234567890"), D("-1"), None, D("0")]),
    "decimal_wide": (pa.decimal256(60, 30), [D("1.000000000000000000000000000001"), D("-7"), None, D("0")]),
    "date": (pa.date32(), [dt.date(2024, 3, 5), dt.date(1969, 12, 31), None, dt.date(1, 1, 1)]),
    "date64": (pa.date64(), [dt.date(2024, 3, 5), dt.date(1969, 12, 31), None, dt.date(2000, 2, 29)]),
    "time_s": (pa.time32("s"), [33600, 0, None, 86399]),
    "time_ms": (pa.time32("ms"), [33600500, 0, None, 1]),
    "time_us": (pa.time64("us"), [33600500000, 0, None, 1]),
    "time_ns": (pa.time64("ns"), [33600500000000, 0, None, 1]),
    "timestamp_s": (pa.timestamp("s"), [1709630400, -1, None, 0]),
    "timestamp_ms": (pa.timestamp("ms"), [1709630400500, -1, None, 0]),
    "timestamp_us": (pa.timestamp("us"), [1709630400000001, -1, None, 0]),
    "timestamp_ns": (pa.timestamp("ns"), [1709630400000000001, -1, None, 0]),
    "instant": (pa.timestamp("us", tz="UTC"), [1709630400000000, -1, None, 0]),
    "instant_berlin": (pa.timestamp("ms", tz="Europe/Berlin"), [1709630400000, -1, None, 0]),
    "bytes": (pa.binary(), [b"\x00\xff", b"", None, b"abc"]),
    "bytes3": (pa.binary(3), [b"\x00\xff\x01", b"xyz", None, b"abc"]),
    "nothing": (pa.null(), [None, None, None, None]),
    "list": (pa.list_(pa.string()), [["a", "b"], [], None, [None, ""]]),
    "list_large": (pa.large_list(pa.int64()), [[1, 2], [], None, [None]]),
    "list_fixed": (pa.list_(pa.int32(), 2), [[1, 2], [3, 4], [5, 6], [7, None]]),
    "lists": (pa.list_(pa.list_(pa.string())), [[["a"], []], [], None, [None, ["b", "c"]]]),
    "struct": (pa.struct([("z", pa.int64()), ("a", pa.string())]), [{"z": 1, "a": "x"}, {"z": None, "a": ""}, None, {"z": 2, "a": None}]),
    "struct_deep": (
        pa.struct([("in", pa.struct([("x", pa.list_(pa.int64()))]))]),
        [{"in": {"x": [1]}}, {"in": None}, None, {"in": {"x": None}}],
    ),
    "messages": (
        pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])),
        [[{"role": "user", "content": "a"}, {"role": "assistant", "content": None}], [], None, [{"role": "user", "content": ""}]],
    ),
    "messages_tools": (
        pa.list_(pa.struct([
            ("role", pa.string()),
            ("tool_calls", pa.list_(pa.struct([("name", pa.string()), ("arguments", pa.map_(pa.string(), pa.int64()))]))),
        ])),
        [
            [{"role": "a", "tool_calls": [{"name": "f", "arguments": [("x", 1), ("b", None)]}, {"name": "g", "arguments": []}]}],
            [{"role": "u", "tool_calls": None}, {"role": "a", "tool_calls": []}, {"role": "t", "tool_calls": [{"name": None, "arguments": None}]}],
            None,
            [],
        ],
    ),
    "map": (pa.map_(pa.string(), pa.string()), [[("b", "1"), ("a", "2")], [], None, [("x", None)]]),
    "map_numbers": (pa.map_(pa.int64(), pa.string()), [[(1, "a")], [], None, [(2, None)]]),
    "image": (pa.struct([("bytes", pa.binary()), ("path", pa.string())]), [{"bytes": b"PNG", "path": None}, {"bytes": None, "path": "a.png"}, None, None]),
}
IDS = [uuid.UUID("12345678-1234-5678-1234-567812345678"), uuid.UUID(int=0), None, uuid.UUID(int=2**128 - 1)]


def written(t, v):
    """The JSON of a value."""
    if v is None:
        return "null"
    if pa.types.is_boolean(t):
        return "true" if v else "false"
    if pa.types.is_integer(t):
        return str(v)
    if pa.types.is_floating(t):
        v = {pa.float16(): np.float16, pa.float32(): np.float32, pa.float64(): np.float64}[t](v)
        if np.isnan(v):
            return "null"
        if np.isinf(v):
            return "Infinity" if v > 0 else "-Infinity"
        if t == pa.float64() or float(v).is_integer() and abs(float(v)) < 1e16:
            return repr(float(v))
        # numpy's str would write numbers of few bits in powers of ten.
        return np.format_float_positional(v, unique=True, trim="0") if 1e-4 <= abs(float(v)) < 1e16 else str(v)
    if pa.types.is_decimal(t):
        return format(v.quantize(D(1).scaleb(-t.scale), context=decimal.Context(prec=100)), "f")
    if pa.types.is_date(t):
        return json.dumps(v.isoformat())
    if pa.types.is_time(t):
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[t.unit]
        seconds, rest = divmod(v, per_second)
        text = (dt.datetime(1970, 1, 1) + dt.timedelta(seconds=seconds)).time().isoformat()
        return json.dumps(text + fraction(rest * (10**9 // per_second)))
    if pa.types.is_timestamp(t):
        text = pd.Timestamp(v, unit=t.unit).isoformat()
        return json.dumps(text + ("+00:00" if t.tz else ""))
    if pa.types.is_map(t):
        if not pa.types.is_string(t.key_type):
            return "[" + ",".join('{"key":%s,"value":%s}' % (written(t.key_type, k), written(t.item_type, x)) for k, x in v) + "]"
        return "{" + ",".join(json.dumps(k) + ":" + written(t.item_type, x) for k, x in v) + "}"
    if pa.types.is_struct(t):
        return "{" + ",".join(json.dumps(t.field(i).name) + ":" + written(t.field(i).type, v[t.field(i).name]) for i in range(t.num_fields)) + "}"
    if pa.types.is_list(t) or pa.types.is_large_list(t) or pa.types.is_fixed_size_list(t):
        return "[" + ",".join(written(t.value_type, x) for x in v) + "]"
    if isinstance(v, bytes):
        return json.dumps(base64.b64encode(v).decode())
    return json.dumps(v, ensure_ascii=False)


def types():
    arrays = {name: pa.array(values, type=t) for name, (t, values) in COLUMNS.items()}
    want = {name: [written(t, v) for v in values] for name, (t, values) in COLUMNS.items()}
    ids = pa.array([i and i.bytes for i in IDS], type=pa.binary(16))
    arrays["uuid"] = pa.ExtensionArray.from_storage(pa.uuid(), ids)
    want["uuid"] = [json.dumps(i and str(i)) for i in IDS]
    table = pa.table(arrays)
    with open("types.json", "w") as f:
        json.dump(want, f, ensure_ascii=False, indent=0)
    pa.parquet.write_table(table, "types.parquet")
    pa.parquet.write_table(
        table, "types-small-pages.parquet", row_group_size=3, data_page_size=1, data_page_version="2.0",
        compression="zstd", use_dictionary=False, store_decimal_as_integer=True,
    )
    # Version 1.0 has the older types: no unsigned 32 bits, no nanoseconds.
    pa.parquet.write_table(
        table.drop_columns(["timestamp_ns", "time_ns", "uint32"]), "types-old.parquet", version="1.0", compression="gzip",
        store_schema=False, use_compliant_nested_type=False,
    )
    pa.parquet.write_table(
        table.select(["text", "timestamp_us"]), "int96.parquet", use_deprecated_int96_timestamps=True, store_schema=False,
    )
    with pa.ipc.new_file("types.arrow", table.schema) as w:
        w.write_table(table, max_chunksize=3)
    with pa.ipc.new_stream("types-stream.arrow", table.schema) as w:
        w.write_table(table, max_chunksize=3)
    pa.feather.write_feather(table, "types.feather", compression="zstd", chunksize=2)
    pa.feather.write_feather(table, "types-lz4.feather", compression="lz4")
    more = pa.table({
        "view": pa.array(["a", None, "a text that is longer than twelve bytes"], type=pa.string_view()),
        "list_view": pa.array([[1], None, [2, 3]], type=pa.list_view(pa.int64())),
        "runs": pa.RunEndEncodedArray.from_arrays([2, 3], pa.array(["x", None])),
        "dense": pa.UnionArray.from_dense(pa.array([0, 1, 0], pa.int8()), pa.array([0, 0, 1], pa.int32()), [pa.array([1, 2]), pa.array(["t"])]),
        "duration": pa.array([1, None, 2], type=pa.duration("s")),
    })
    with pa.ipc.new_file("more.arrow", more.schema) as w:
        w.write_table(more)
    # Parquet has no durations; the schema of Arrow in the metadata says what they are.
    durations = more.select(["duration"]).append_column("durations", pa.array([[1], None, [2, 3]], type=pa.list_(pa.duration("ms"))))
    pa.parquet.write_table(durations, "durations.parquet")
    # As the library datasets stores a data set, and pandas a frame.
    pd.DataFrame({"question": ["Where?", "Who?"], "score": [1.5, None], "at": pd.to_datetime(["2024-03-05 09:20", None])}).to_parquet("frame.parquet")
    pd.DataFrame({"question": ["Where?", "Who?"], "score": [1.5, None], "at": pd.to_datetime(["2024-03-05 09:20", None])}).to_feather("frame.feather")


def workbook():
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append([])
    sheet.append(["text", "number", "date", "moment", "time", "bool", "percent", "rich", None, "late"])
    sheet.append(["a", 42, dt.date(2024, 3, 5), dt.datetime(2024, 3, 5, 9, 20), dt.time(9, 20), True, 0.5, "x"])
    sheet.append([" b\nc ", 0.1, dt.datetime(2024, 3, 5, 9, 20, 0, 500000), dt.datetime(1900, 2, 28), dt.time(0, 0), False, 1e-7, None, "no name", "z"])
    sheet.append([])
    sheet.append([EMOJI, -12345678901234, dt.date(2000, 2, 29), dt.datetime(2024, 3, 5, 23, 59, 59), None, None, 1e20, "_x000D_"])
    sheet["C3"].number_format = "dd.mm.yyyy"
    sheet["C4"].number_format = '[$-407]d. mmmm yyyy;@'
    sheet["D3"].number_format = 'yyyy"-Jahr"-mm-dd hh:mm'
    sheet["G3"].number_format = "0.00%"
    sheet["G4"].number_format = '[Red]0.00 "days"'
    sheet["B3"].number_format = '#,##0.00\\ "m";[Red]\\-#,##0.00'
    sheet["A9"].number_format = "yyyy"
    other = book.create_sheet("other")
    other.append(["not", "read"])
    book.save("types.xlsx")

    book = openpyxl.Workbook()
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    book.active.append(["q", "a"])
    book.active.append(["When?", dt.datetime(2024, 3, 5)])
    book.active["B2"].number_format = "d/m/yy"
    book.save("from1904.xlsx")

    book = openpyxl.Workbook()
    book.active.append(["q", "formula", "error", "duration"])
    book.active.append(["x", "=1+1", "#N/A", dt.timedelta(hours=30)])
    book.active["C2"].data_type = "e"
    book.save("faults.xlsx")

    pd.DataFrame({"question": ["Where?", "Who?"], "score": [1.5, None], "at": pd.to_datetime(["2024-03-05 09:20", None])}).to_excel("frame.xlsx")


def csv_cases():
    random.seed(13)
    cases = []
    parts = ['"', '""', ",", "a", "b c", "\n", "\r\n", "ö", " ", ";", '"x"', '"y, z"', '5"']
    while len(cases) < 600:
        text = "q,r\n" + "".join(random.choice(parts) for _ in range(random.randint(1, 12)))
        rows = [r for r in csv.reader(io.StringIO(text, newline=""))]
        if text.count('"') % 2 and len(cases) % 10:
            continue
        cases.append({"text": text, "rows": rows})
    with open("csv.json", "w") as f:
        json.dump(cases, f, ensure_ascii=False, indent=0)


types()
workbook()
csv_cases()
