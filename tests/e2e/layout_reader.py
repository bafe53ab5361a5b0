"""layout_reader.py - quotes out of a live cache folder, by struct, mmap and docs/cache-layout.md, without librialto.

    reader = Reader("/dev/shm/rialto")
    reader.quote("milk-1l", customer="C123", zone="de/south")   -> dict, or None when there is no price

Written from that page alone: offsets, sizes and numbers are taken out of its tables, the rest follows its sections, whose numbers
stand in the comments.
"""
import mmap
import re
import struct
import time
from pathlib import Path

M64 = 2**64 - 1
FORMAT = {1: "<B", 2: "<H", 4: "<I", 8: "<Q"}


class Page:
    """The tables of docs/cache-layout.md: numbers by name, fields as (offset, bytes) by struct and name."""

    def __init__(self, path):
        self.number, self.field, self.example = {}, {}, {}
        title = None
        for line in Path(path).read_text().splitlines():
            if line.startswith("### "):
                title = line[4:].strip()
            if not line.startswith("| ") or title is None:
                continue
            column = [part.strip() for part in line.strip("|").split("|")]
            if title == "numbers" and column[1][:1].isdigit():
                self.number[column[0].strip("`")] = int(column[1], 0)
            elif title.startswith("rialto_") and column[0].isdigit():
                self.field.setdefault(title, {})[column[2].strip("`")] = (int(column[0]), int(column[1]))
            elif title.startswith("example: "):
                self.example.setdefault(title[9:], {})[column[0]] = column[1]
        for name, fields in self.field.items():  # a struct ends where its last field does
            self.number["sizeof " + name] = max(offset + size for offset, size in fields.values())


# ---- 2. from an id to a key ----------------------------------------------------------------------------------------------

P1, P2, P3, P4 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63


def r4(data, at):
    return struct.unpack_from("<I", data, at)[0]


def r8(data, at):
    return struct.unpack_from("<Q", data, at)[0]


def swapped(word, size):
    return int.from_bytes(word.to_bytes(size, "little"), "big")


def avalanche(h):
    h = (h ^ h >> 37) * 0x165667919E3779F9 & M64
    return h ^ h >> 32


def avalanche_64(h):
    h = (h ^ h >> 33) * P2 & M64
    h = (h ^ h >> 29) * P3 & M64
    return h ^ h >> 32


def folded(x, y):
    return (x * y >> 64) ^ (x * y & M64)


def xxh3_128(secret, data):
    n = len(data)
    if n == 0:
        return avalanche_64(r8(secret, 64) ^ r8(secret, 72)), avalanche_64(r8(secret, 80) ^ r8(secret, 88))
    if n < 4:
        c = data[0] << 16 | data[n // 2] << 24 | data[n - 1] | n << 8
        d = swapped(c, 4)
        d = (d << 13 | d >> 19) & 0xFFFFFFFF
        return avalanche_64(c ^ r4(secret, 0) ^ r4(secret, 4)), avalanche_64(d ^ r4(secret, 8) ^ r4(secret, 12))
    if n < 9:
        k = (r4(data, 0) + (r4(data, n - 4) << 32)) ^ r8(secret, 16) ^ r8(secret, 24)
        product = k * (P1 + 4 * n & M64)
        hi, lo = product >> 64, product & M64
        hi = (hi + 2 * lo) & M64
        lo ^= hi >> 3
        lo = (lo ^ lo >> 35) * 0x9FB21C651E98DF25 & M64
        return lo ^ lo >> 28, avalanche(hi)
    if n < 17:
        a, b = r8(data, 0), r8(data, n - 8)
        product = (a ^ b ^ r8(secret, 32) ^ r8(secret, 40)) * P1
        hi, lo = product >> 64, (product + ((n - 1) << 54)) & M64
        b ^= r8(secret, 48) ^ r8(secret, 56)
        hi = (hi + b + (b & 0xFFFFFFFF) * (0x85EBCA77 - 1)) & M64
        lo ^= swapped(hi, 8)
        product = lo * P2
        return avalanche(product & M64), avalanche((product >> 64) + hi * P2 & M64)
    if n > 64:
        raise ValueError("ids have at most 63 bytes")

    def mixed(at, key):
        return folded(r8(data, at) ^ r8(secret, key), r8(data, at + 8) ^ r8(secret, key + 8))

    u, v = n * P1 & M64, 0
    for i, s in ((16, 32), (0, 0)) if n > 32 else ((0, 0),):
        j = n - 16 - i
        u = (u + mixed(i, s) & M64) ^ (r8(data, j) + r8(data, j + 8) & M64)
        v = (v + mixed(j, s + 16) & M64) ^ (r8(data, i) + r8(data, i + 8) & M64)
    return avalanche(u + v & M64), -avalanche(u * P1 + v * P4 + n * P2 & M64) & M64


def unreserved(lo, hi):
    if lo == hi == 0:
        return 1, 0
    return (M64 - 1, hi) if lo == hi == M64 else (lo, hi)


def key_of(secret, name):
    return unreserved(*xxh3_128(secret, name.encode()))


def mix(x):
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & M64
    x = (x ^ x >> 27) * 0x94D049BB133111EB & M64
    return x ^ x >> 31


def pair(owner, other):
    return unreserved(owner[0] + mix(other[0] ^ 0x9E3779B97F4A7C15) & M64, owner[1] + mix(other[1] ^ 0xD1B54A32D192ED03) & M64)


def partition_of(key):
    return key[1] >> 58


def home_of(key, capacity):
    return key[0] * capacity >> 64


def tag_of(page, key):
    tag = key[1] & 0xFF
    return tag + page.number["RIALTO_TAG_MIN"] if tag < page.number["RIALTO_TAG_MIN"] else tag


# ---- 5. amounts ----------------------------------------------------------------------------------------------------------

def scaled(amount, e4):
    """amount x e4 / 10000, half to even."""
    quotient, rest = divmod(amount * e4, 10000)
    return quotient + (rest * 2 > 10000 or (rest * 2 == 10000 and quotient % 2 == 1))


def ending(amount, step, less, floor, ceiling):
    if step <= 1:
        return amount
    near = (amount + less) // step
    fits = [k * step - less for k in range(max(1, near - 2), near + 4) if floor <= k * step - less <= ceiling]
    first = -(-(floor + less) // step)  # the smallest within the bounds, if what is near lies outside
    fits += [k * step - less for k in (max(1, first),) if floor <= k * step - less <= ceiling]
    return min(fits, key=lambda a: (abs(a - amount), a)) if fits else amount


def past(until_s, now_ms):
    return until_s != 0 and now_ms >= until_s * 1000


class Terms:
    def __init__(self, line, usable):
        self.usable, self.kinds, self.consent, self.zone = usable, line.kinds, line.consent, line.zone
        self.multiplier = struct.unpack("<16H", line.multiplier_e4)


def compose(page, cell, rule, terms, offer, now_ms, age_ms, stale_after_ms, mode):
    """The amount of a quote."""
    number = page.number
    floor, ceiling = cell.lo_product & number["RIALTO_BOUND_MAX"], cell.hi_place & number["RIALTO_BOUND_MAX"]

    def inside(p):
        return min(max(p, floor), ceiling)

    p = cell.baseline                                                                                            # 1
    if terms is not None and terms.usable and terms.kinds & rule.forbidden == 0:
        m = terms.multiplier[cell.group]
        if m != 10000:                                                                                           # 2
            p = ending(inside(scaled(p, m)), rule.ending_step, rule.ending_less, floor, ceiling)
        if offer is not None and offer.kinds & 0xFF & (~terms.consent | rule.forbidden) == 0 and not past(offer.until_s, now_ms) \
                and now_ms >= offer.from_s * 1000:                                                               # 3
            money = offer.kind in (number["RIALTO_OFFER_FIXED"], number["RIALTO_OFFER_AMOUNT_OFF"])
            q = p if offer.flags & number["RIALTO_OFFER_STACKABLE"] else cell.baseline
            if not money or offer.currency == rule.currency_number:
                if offer.kind == number["RIALTO_OFFER_FIXED"]:
                    p = inside(offer.value)
                elif offer.kind == number["RIALTO_OFFER_PERCENT"]:
                    p = inside(scaled(q, 10000 - offer.value))
                elif offer.kind == number["RIALTO_OFFER_AMOUNT_OFF"]:
                    p = inside(q - offer.value)
    if cell.flags & number["RIALTO_CELL_NEVER_ABOVE"]:                                                           # 4
        p = min(p, cell.baseline)
    late = past(cell.until_s, now_ms)                                                                            # 5
    age = max(age_ms, now_ms - cell.until_s * 1000) if late else age_ms
    if rule.stale_limit_s and age > rule.stale_limit_s * 1000:
        p = min(cell.list, ceiling)
    elif late or age_ms > stale_after_ms:
        p = min(p, cell.list)
    if mode == number["RIALTO_MODE_LIST"]:                                                                       # 6
        p = min(cell.list, ceiling)
    if terms is not None and offer is not None and 0 < offer.locked and not past(offer.lock_until_s, now_ms) \
            and offer.currency == rule.currency_number:                                                          # 7
        p = min(p, offer.locked)
    return p


# ---- files ---------------------------------------------------------------------------------------------------------------

class Record:
    """A struct of the page, over bytes: fields of 1, 2, 4 and 8 bytes as numbers, others as bytes."""

    def __init__(self, page, name, data, at=0):
        self._fields, self._data, self._at = page.field[name], data, at

    def __getattr__(self, name):
        offset, size = self._fields[name]
        if size in FORMAT:
            return struct.unpack_from(FORMAT[size], self._data, self._at + offset)[0]
        return bytes(self._data[self._at + offset:self._at + offset + size])


class Unusable(Exception):
    """The folder cannot be read, or not any more."""


class File:
    def __init__(self, path):
        self.path = path
        self.map()

    def map(self):
        with open(self.path, "rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)

    def reach(self, end):
        """Growth goes on at the end of the file; Python maps what there is, so map again."""
        if end > len(self.data):
            self.map()


class Reader:
    def __init__(self, folder, page=Path(__file__).resolve().parents[2] / "docs/cache-layout.md"):
        self.page = Page(page)
        self.number = self.page.number
        suffix = f".v{self.number['RIALTO_LAYOUT']}"
        self.file = {name: File(Path(folder) / (name + suffix)) for name in ("control", "cells", "terms", "offers", "zones", "rules")}
        self.control = Record(self.page, "rialto_control", self.file["control"].data)
        for name, file in self.file.items():                                                                     # 1
            header = Record(self.page, {"control": "rialto_control", "rules": "rialto_rules_header"}.get(name, "rialto_table_header"), file.data)
            magic = self.number["RIALTO_CONTROL_MAGIC" if name == "control" else "RIALTO_TABLE_MAGIC"]
            if (header.magic, header.layout, header.byte_order) != (magic, self.number["RIALTO_LAYOUT"], self.number["RIALTO_BYTE_ORDER"]) \
                    or header.created_unix_ms != self.control.created_unix_ms:
                raise Unusable(f"{name} is not what this page describes")
        self.secret = self.control.secret

    def record(self, name, data, at=0):
        return Record(self.page, name, data, at)

    def extents(self, table, partition):
        size = self.number["sizeof rialto_extents"]
        at = self.number["sizeof rialto_table_header"] + partition * size
        data = self.file[table].data
        step = self.number["sizeof rialto_extent"]
        return [self.record("rialto_extent", data, at + self.page.field["rialto_extents"]["extent"][0] + i * step)
                for i in range(self.record("rialto_extents", data, at).count)]

    def line(self, table, partition, slot, at, size):                                                            # 4
        data = self.file[table].data
        where = self.number["sizeof rialto_table_header"] + self.number["RIALTO_PARTITIONS"] * self.number["sizeof rialto_extents"]
        segment = where + partition * self.number["sizeof rialto_segment"]
        ref_at, side_at = (segment + self.page.field["rialto_segment"][f][0] for f in ("side_ref", "side"))
        for look in range(4096):
            first = r8(data, at)
            if first % 2 == 0:
                copy = bytes(data[at:at + size])
                if r8(data, at) == first and r8(copy, 0) == first:
                    return copy
            elif look >= 64:
                wanted = (slot + 1 << 32) + (first & 0xFFFFFFFF) - 1
                if r8(data, ref_at) == wanted:
                    copy = bytes(data[side_at:side_at + size])
                    if r8(data, ref_at) == wanted:
                        return copy
        raise Unusable("busy")

    def find(self, table, partition, key):                                                                       # 3
        size = self.record("rialto_table_header", self.file[table].data).line_bytes
        wanted, tag = struct.pack("<QQ", *key), tag_of(self.page, key)
        for extent in reversed(self.extents(table, partition)):
            capacity, tags, lines, first = extent.capacity, extent.tags, extent.lines, extent.first
            self.file[table].reach(max(tags + capacity, lines + capacity * size))
            home = home_of(key, capacity)
            for i in range(min(capacity, self.number["RIALTO_PROBE_MAX"])):
                at = (home + i) % capacity
                seen = self.file[table].data[tags + at]
                if seen == self.number["RIALTO_TAG_EMPTY"]:
                    break
                if seen == tag:
                    line = self.line(table, partition, first + at, lines + at * size, size)
                    if line[8:24] == wanted:
                        return line
        return None

    def line_at(self, table, partition, slot):
        size = self.record("rialto_table_header", self.file[table].data).line_bytes
        for extent in self.extents(table, partition):
            if extent.first <= slot < extent.first + extent.capacity:
                at = extent.lines + (slot - extent.first) * size
                self.file[table].reach(at + size)
                return self.line(table, partition, slot, at, size)
        return None

    # -- 5. --

    def age_ms(self, partition, mono_ms):
        at = self.page.field["rialto_control"]["heartbeat"][0] + partition * self.number["sizeof rialto_heartbeat"]
        beat = self.record("rialto_heartbeat", self.file["control"].data, at).beat_mono_ms
        return 2**32 - 1 if beat == 0 else max(0, mono_ms - beat)

    def candidates(self, name):
        if name in ("", "world"):
            return []
        if name.startswith("gh:"):
            return [name[:3 + n] for n in reversed(self.control.geohash_lengths.to_bytes(2, "little")) if 0 < n <= len(name) - 3]
        parts = name.split("/")
        return ["/".join(parts[:n]) for n in reversed(self.control.path_depths) if 0 < n <= len(parts)]

    def declared(self, line):
        """Keys of a zone's line and of the zones around it, and its currency."""
        zone = self.record("rialto_zone_line", line)
        keys = [zone.key] + [zone.ancestor[16 * i:16 * i + 16] for i in range(zone.ancestor_count)]
        return [struct.unpack("<QQ", key) for key in keys], zone.currency

    def zones(self, name, terms, customer_partition):
        """(keys from near to far, currency that the zone declares)"""
        keys, currency = [], 0
        if name:
            for candidate in self.candidates(name):
                key = key_of(self.secret, candidate)
                line = self.find("zones", partition_of(key), key)
                if line is not None:
                    more, currency = self.declared(line)
                    keys += more
                    break
                keys.append(key)
        elif terms is not None and terms.usable and terms.zone != 0:
            line = self.line_at("zones", customer_partition, terms.zone - 1)
            if line is not None and line[8:24] != bytes(16):
                keys, currency = self.declared(line)
        return keys[:self.number["RIALTO_ZONE_LEVELS"] - 1] + [key_of(self.secret, "")], currency

    def terms(self, key, now_ms, mono_ms):
        line = self.find("terms", partition_of(key), key)
        if line is None:
            return None
        record = self.record("rialto_terms_line", line)
        return Terms(record, not past(record.until_s, now_ms) and record.group_map == self.control.group_map
                     and self.age_ms(partition_of(key), mono_ms) <= self.control.personal_stale_ms)

    def quote(self, sku, customer=None, zone=None, located=False, currency=None):
        control = self.control
        if control.retired == self.number["RIALTO_RETIRED_REPLACED"]:
            raise Unusable("replaced: open again")
        mono_ms = int(time.clock_gettime(time.CLOCK_MONOTONIC) * 1000)
        now_ms = mono_ms + control.clock_offset_ms
        key, who = key_of(self.secret, sku), key_of(self.secret, customer) if customer else None
        terms = self.terms(who, now_ms, mono_ms) if who else None
        if located and not (terms is not None and terms.usable and terms.consent & self.number["RIALTO_KIND_LOCATION"]):
            zone = None
        zones, declared = self.zones(zone, terms, partition_of(who) if who else 0)
        for level, zone_key in enumerate(zones):
            line = self.find("cells", partition_of(key), pair(key, zone_key))
            if line is None:
                continue
            cell = self.record("rialto_cell_line", line)
            row = self.number["sizeof rialto_rules_header"] + cell.rule * self.number["sizeof rialto_rule_row"]
            rule = self.record("rialto_rule_row", self.file["rules"].data, row)
            letters = rule.currency.to_bytes(4, "little").rstrip(b"\0").decode()
            if declared not in (0, rule.currency_number) or (currency and currency != letters):
                continue
            offer = None
            if terms is not None and terms.kinds & self.number["RIALTO_TERMS_HAS_OFFERS"]:
                line = self.find("offers", partition_of(who), pair(who, key))
                offer = self.record("rialto_offer_line", line) if line is not None else None
            amount = compose(self.page, cell, rule, terms, offer, now_ms, self.age_ms(partition_of(key), mono_ms),
                             control.stale_after_ms, control.mode)
            return {"amount": amount, "baseline": cell.baseline, "list": cell.list, "currency": letters, "rule": cell.rule,
                    "zone_level": len(zones) - 1 - level, "group": cell.group, "as_of_ms": cell.as_of_s * 1000,
                    "floor": cell.lo_product & self.number["RIALTO_BOUND_MAX"], "ceiling": cell.hi_place & self.number["RIALTO_BOUND_MAX"]}
        return None
