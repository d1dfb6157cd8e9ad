"""Sections 1 and 2 of docs/wire-format.md: canonical JSON and the forms of the values in it."""
import base64
import json
import math
import re


class Invalid(Exception):
    pass


def must(condition, message):
    if not condition:
        raise Invalid(message)


MAX_SAFE = 2**53 - 1
SHORT_ESCAPES = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def canonical_number(value):
    """ECMAScript's Number::toString, from Python's shortest digits."""
    if value == 0:
        return "0"
    sign, value = ("-", -value) if value < 0 else ("", value)
    digits, exponent = ("%r" % float(value)).replace("e+", "e").partition("e")[::2]
    whole, _, fraction = digits.partition(".")
    fraction = "" if fraction == "0" else fraction
    point = len(whole) + int(exponent or 0)  # 0.digits times ten to this
    digits = whole + fraction
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    digits = stripped.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        text = digits + "0" * (point - count)
    elif 0 < point <= 21:
        text = digits[:point] + "." + digits[point:]
    elif -6 < point <= 0:
        text = "0." + "0" * -point + digits
    else:
        mantissa = digits[0] + ("." + digits[1:] if count > 1 else "")
        text = "%se%s%d" % (mantissa, "+" if point > 0 else "-", abs(point - 1))
    return sign + text


def canonical_string(text):
    return '"' + "".join(
        SHORT_ESCAPES.get(c) or ("\\u%04x" % ord(c) if c < " " else c) for c in text
    ) + '"'


def canonical(value):
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return canonical_number(value)
    if isinstance(value, str):
        return canonical_string(value)
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    return "{" + ",".join(canonical_string(n) + ":" + canonical(value[n]) for n in names) + "}"


def scan(data, max_depth, max_values):
    depth, values, in_string, escaped = 0, 1, False, False
    for i, byte in enumerate(data):
        if in_string:
            in_string = escaped or byte != 0x22
            escaped = byte == 0x5C and not escaped
        elif byte == 0x22:
            in_string = True
        elif byte == 0x2C:
            values += 1
        elif byte in b"[{":
            values += data[i + 1 : i + 2] not in (b"]", b"}")
            depth += 1
        elif byte in b"]}":
            depth -= 1
        must(depth <= max_depth and values <= max_values, "too_deep")


def assert_plain(value):
    if isinstance(value, dict):
        for name, member in value.items():
            must(name not in ("__proto__", "constructor", "prototype"), "forbidden member " + name)
            assert_plain(member)
    elif isinstance(value, list):
        for member in value:
            assert_plain(member)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        must(not float(value).is_integer() or abs(value) <= MAX_SAFE, "integer beyond 2^53-1")


def no_constant(name):
    raise ValueError(name)


def to_double(text):
    value = float(text)
    if math.isinf(value):
        raise ValueError("infinite")
    return value


def read_json(data, max_depth=32, max_values=100_000):
    """Bytes that must be canonical; the value they say."""
    scan(data, max_depth, max_values)
    try:
        text = data.decode("utf-8")
        value = json.loads(text, parse_constant=no_constant, parse_float=to_double, parse_int=to_double)
        written = canonical(value).encode("utf-8")
    except (ValueError, UnicodeError) as error:
        raise Invalid("malformed: %s" % error)
    must(written == data, "not_canonical")
    assert_plain(value)
    return value


def members(value, *names):
    must(isinstance(value, dict) and sorted(value) == sorted(names), "members " + ", ".join(names))
    return [value[name] for name in names]


def matches(value, pattern, limit=None):
    must(isinstance(value, str) and re.fullmatch(pattern, value), "expected " + pattern)
    must(limit is None or len(value) <= limit, "too long")
    return value


def is_hash(value):
    return matches(value, "b3:[0-9a-f]{64}")


def is_time(value):
    matches(value, "[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}\\.[0-9]{3}Z")
    must(millis(value) is not None, "no such time " + value)
    return value


def millis(text):
    """Milliseconds since 1970, None for a time that does not exist. Years 0000 to 9999, Gregorian."""
    year, month, day, hour, minute, second, milli = map(int, re.findall("[0-9]+", text))
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    lengths = (31, 29 if is_leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    if not (1 <= month <= 12 and 1 <= day <= lengths[month - 1] and hour < 24 and minute < 60 and second < 60):
        return None
    years = year - 1
    days = 365 * year + years // 4 - years // 100 + years // 400 + sum(lengths[: month - 1]) + day - 719528
    return ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + milli


def is_base64(value, length=None):
    must(isinstance(value, str), "base64")
    try:
        data = base64.b64decode(value, validate=True)
    except ValueError:
        raise Invalid("base64")
    must(base64.b64encode(data).decode() == value, "base64")
    must(length is None or len(data) == length, "base64 of other bytes")
    return data


def is_integer(value, low, high=MAX_SAFE):
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    must(is_number and float(value).is_integer() and low <= value <= high, "an integer")
    return int(value)


def is_list(value, low, high):
    must(isinstance(value, list) and low <= len(value) <= high, "%d to %d elements" % (low, high))
    return value


KIND = "[a-z][a-z0-9-]{0,62}"
ORIGIN = "[a-z0-9.-]+(/[A-Za-z0-9._~-]+)*"
SIGNER_ID = "org:[a-z0-9._-]+#[a-z0-9._-]+"
HIDDEN = re.compile(
    "[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
)


def is_id(value):
    matches(value, "[A-Za-z0-9._~:@/+-]{1,256}")
    must(not {"", ".", ".."} & set(value.split("/")), "id segments")
    return value


def ascending(keys):
    must(all(a < b for a, b in zip(keys, keys[1:])), "sorted, each once")
