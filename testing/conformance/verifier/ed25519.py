"""Ed25519 under QV1, section 7 of docs/wire-format.md. Points are extended coordinates (X, Y, Z, T)."""
import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
IDENTITY = (0, 1, 1, 0)


def add(a, b):
    x, y = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    t, z = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = y - x, z - t, z + t, y + x
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(scalar, point):
    result = IDENTITY
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def is_identity(point):
    return point[0] % P == 0 and (point[1] - point[2]) % P == 0


def encode_point(point):
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decode_point(data):
    """RFC 8032 5.1.3, strictly; None when there is no such point."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * SQRT_M1 % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = decode_point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
admitted = {}


def admit(key):
    """A1 to A3: the point of an admitted key, else None."""
    if key not in admitted:
        point = decode_point(key) if len(key) == 32 else None
        is_good = point is not None and not is_identity(point) and is_identity(multiply(L, point))
        admitted[key] = point if is_good else None
    return admitted[key]


def is_valid_signature(key, message, signature):
    point = admit(key)
    if point is None or len(signature) != 64:
        return False
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    if s >= L or r == b"\x01" + bytes(31):
        return False
    k = int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L
    x, y, z, t = multiply(k, point)
    return encode_point(add(multiply(s, BASE), (-x, y, z, -t))) == r
