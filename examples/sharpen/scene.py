#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws scene.png, the picture to try the example on: spheres on a tiled floor, slightly out of focus."""

import math
import struct
import sys
import zlib

WIDTH, HEIGHT, SAMPLES, SOFTNESS = 480, 320, 3, 2.2
SUN = (-0.52, 0.58, -0.63)
SPHERES = [  # centre, radius, colour, mirror
    ((0.0, 1.0, 4.2), 1.0, (0.92, 0.90, 0.86), 0.75), ((-2.1, 0.75, 3.5), 0.75, (0.86, 0.22, 0.16), 0.15),
    ((1.95, 0.6, 3.0), 0.6, (0.15, 0.50, 0.36), 0.2), ((0.75, 0.32, 2.3), 0.32, (0.95, 0.68, 0.18), 0.3),
    ((-0.85, 0.26, 2.25), 0.26, (0.20, 0.36, 0.80), 0.3), ((3.4, 1.3, 6.5), 1.3, (0.55, 0.42, 0.62), 0.25),
]


def dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def along(origin, way, length):
    return tuple(o + w * length for o, w in zip(origin, way))


def nearest(origin, way):
    found = (1e9, None)
    for sphere in SPHERES:
        to = tuple(c - o for c, o in zip(sphere[0], origin))
        middle = dot(to, way)
        under = middle * middle - dot(to, to) + sphere[1] ** 2
        if middle > 0 and under > 0 and 1e-3 < middle - math.sqrt(under) < found[0]:
            found = (middle - math.sqrt(under), sphere)
    return found


def sky(way):
    height = max(0.0, way[1])
    glow = max(0.0, dot(way, SUN)) ** 24
    return tuple(low + (high - low) * height ** 0.5 + glow * light
                 for low, high, light in zip((0.97, 0.80, 0.66), (0.22, 0.42, 0.74), (0.8, 0.6, 0.3)))


def tile(point):
    x, z = point[0] * 1.4, point[2] * 1.4
    grout = min(x % 1, 1 - x % 1, z % 1, 1 - z % 1) < 0.035
    if grout:
        return (0.30, 0.28, 0.27)
    return (0.80, 0.77, 0.71) if (math.floor(x) + math.floor(z)) % 2 else (0.36, 0.23, 0.20)


def trace(origin, way, depth=0):
    length, sphere = nearest(origin, way)
    floor = -origin[1] / way[1] if way[1] < -1e-6 else 1e9
    if sphere is None and floor > 60:
        return sky(way)
    if floor < length:
        point, normal, mirror = along(origin, way, floor), (0.0, 1.0, 0.0), 0.12
        colour = tile(point)
    else:
        point, (centre, radius, colour, mirror) = along(origin, way, length), sphere
        normal = tuple((p - c) / radius for p, c in zip(point, centre))
    lit = max(0.0, dot(normal, SUN)) if nearest(along(point, normal, 1e-3), SUN)[1] is None else 0.0
    seen = tuple(c * (0.22 + 0.10 * normal[1] + 0.85 * lit * w) for c, w in zip(colour, (1.0, 0.93, 0.82)))
    facing = -dot(way, normal)
    if depth < 3:
        share = mirror + (1 - mirror) * (1 - max(0.0, facing)) ** 5 * 0.6
        bounced = trace(along(point, normal, 1e-3), tuple(w + 2 * facing * n for w, n in zip(way, normal)), depth + 1)
        seen = tuple(s * (1 - share) + b * share for s, b in zip(seen, bounced))
    haze = min(1.0, min(floor, length) / 60) ** 1.5
    return tuple(s * (1 - haze) + h * haze for s, h in zip(seen, sky(way)))


def pixel(x, y):
    total = [0.0, 0.0, 0.0]
    for i in range(SAMPLES * SAMPLES):
        dx, dy = ((k + 0.5) / SAMPLES * SOFTNESS - SOFTNESS / 2 for k in divmod(i, SAMPLES))
        way = ((x + dx - WIDTH / 2) / HEIGHT * 1.15, (HEIGHT * 0.40 - y - dy) / HEIGHT * 1.15, 1.0)
        size = math.sqrt(dot(way, way))
        for k, value in enumerate(trace((0.0, 1.15, -0.6), tuple(w / size for w in way))):
            total[k] += value
    return bytes(min(255, round(255 * min(1.0, t / SAMPLES ** 2) ** (1 / 2.2))) for t in total)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def paeth(a, b, c):
    return min((a, b, c), key=lambda value: abs(a + b - c - value))


def main():
    rows, before = b"", bytes(3 * WIDTH)
    for y in range(HEIGHT):
        row = b"".join(pixel(x, y) for x in range(WIDTH))
        left, corner = bytes(3) + row[:-3], bytes(3) + before[:-3]
        rows += b"\4" + bytes((v - paeth(a, b, c)) & 255 for v, a, b, c in zip(row, left, before, corner))
        before = row
    with open(sys.argv[1], "wb") as out:
        out.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0))
                  + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


main()
