"""ML-DSA-44 of FIPS 204: verification alone, with an empty context. Slow: some 50 ms a signature."""
import hashlib

Q, D, TAU, GAMMA1, GAMMA2, K, WIDTH, BETA, OMEGA = 8380417, 13, 39, 1 << 17, 95232, 4, 4, 78, 80
ZETAS = [pow(1753, int(format(i, "08b")[::-1], 2), Q) for i in range(256)]


def ntt(w):
    w, m, length = list(w), 0, 128
    while length:
        for start in range(0, 256, 2 * length):
            m += 1
            for j in range(start, start + length):
                t = ZETAS[m] * w[j + length] % Q
                w[j], w[j + length] = (w[j] + t) % Q, (w[j] - t) % Q
        length >>= 1
    return w


def inverse_ntt(w):
    w, m, length = list(w), 256, 1
    while length < 256:
        for start in range(0, 256, 2 * length):
            m -= 1
            for j in range(start, start + length):
                a, b = w[j], w[j + length]
                w[j], w[j + length] = (a + b) % Q, ZETAS[m] * (b - a) % Q
        length <<= 1
    return [value * 8347681 % Q for value in w]


def unpack(data, bits):
    """256 numbers of so many bits, the lowest first."""
    whole, mask = int.from_bytes(data, "little"), (1 << bits) - 1
    return [whole >> i * bits & mask for i in range(256)]


def matrix_element(seed):
    stream, found = hashlib.shake_128(seed).digest(3 * 400), []
    for i in range(0, len(stream), 3):
        value = int.from_bytes(stream[i : i + 3], "little") & 0x7FFFFF
        if value < Q:
            found.append(value)
    return found[:256]


def sample_in_ball(seed):
    stream = hashlib.shake_256(seed).digest(2048)
    signs, at, c = int.from_bytes(stream[:8], "little"), 8, [0] * 256
    for i in range(256 - TAU, 256):
        while stream[at] > i:
            at += 1
        j, at = stream[at], at + 1
        c[i], c[j] = c[j], -1 if signs >> (i + TAU - 256) & 1 else 1
    return c


def unpack_hint(data):
    """Four sets of places, None for bytes that no signer writes."""
    hints, index = [], 0
    for end in data[OMEGA:]:
        if not index <= end <= OMEGA:
            return None
        places = list(data[index:end])
        if any(a >= b for a, b in zip(places, places[1:])):
            return None
        hints.append(set(places))
        index = end
    return hints if not any(data[index:OMEGA]) else None


def use_hint(is_hinted, r):
    low = r % (2 * GAMMA2)
    low = low - 2 * GAMMA2 if low > GAMMA2 else low
    high, low = (0, low - 1) if r - low == Q - 1 else ((r - low) // (2 * GAMMA2), low)
    return (high + (1 if low > 0 else -1)) % 44 if is_hinted else high


def is_valid_mldsa(key, message, signature):
    if len(key) != 1312 or len(signature) != 2420:
        return False
    seed, challenge = key[:32], signature[:32]
    t1 = [unpack(key[32 + 320 * i : 352 + 320 * i], 10) for i in range(K)]
    z = [[GAMMA1 - v for v in unpack(signature[32 + 576 * i : 608 + 576 * i], 18)] for i in range(WIDTH)]
    hints = unpack_hint(signature[32 + 576 * WIDTH :])
    if hints is None or any(abs(v) >= GAMMA1 - BETA for row in z for v in row):
        return False
    c, z = ntt(sample_in_ball(challenge)), [ntt(row) for row in z]
    high = 0
    for i in range(K):
        row = [matrix_element(seed + bytes((j, i))) for j in range(WIDTH)]
        t = ntt([v << D for v in t1[i]])
        w = [(sum(row[j][n] * z[j][n] for j in range(WIDTH)) - c[n] * t[n]) % Q for n in range(256)]
        for n, value in enumerate(inverse_ntt(w)):
            high |= use_hint(n in hints[i], value) << 6 * (256 * i + n)
    represented = hashlib.shake_256(hashlib.shake_256(key).digest(64) + b"\0\0" + message).digest(64)
    return hashlib.shake_256(represented + high.to_bytes(768, "little")).digest(32) == challenge
