"""rialto.py - prices out of Rialto's shared memory, for Python 3.9 and newer. One file, no build step, no packages: copy it.

    import rialto

    prices = rialto.Prices()                                   # $RIALTO_CACHE, else /dev/shm/rialto
    quote = prices.quote("milk-1l", customer="anna")
    print(quote.text, quote.amount, quote.baseline, quote.flags)

    for quote in prices.page(["milk-1l", "bread"], customer="anna", zone="c1/s25"):
        print(quote.sku, quote.text if quote.ok else quote.status)

It calls librialto by ctypes: the C library makes the quote, this file only hands it on. Amounts are whole numbers of minor
units. All methods may be called from any number of threads on one Prices.
"""
import ctypes
import ctypes.util
import os

__all__ = ["Prices", "Quote", "RialtoError", "UnknownProduct", "NoCache", "PAGE_MAX"]

PAGE_MAX = 512
BASES = {"store": 0, "address": 1, "device": 2, "ip": 3}  # what the zone of a request rests on
_REFUSED = b"x" * 64  # longer than any id
_OK, _BAD_INPUT, _UNKNOWN_PRODUCT, _NO_CACHE, _RETIRED = 0, 1, 2, 4, 9


class RialtoError(Exception):
    """What the library answered; .status is the name of it, such as "OTHER_CURRENCY"."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status = status


class UnknownProduct(RialtoError, LookupError):
    """No price for that product in that zone or any zone around it."""


class NoCache(RialtoError):
    """There are no tables (yet): the service has not run here, or the folder is another one."""


class _Request(ctypes.Structure):
    _fields_ = [("customer", ctypes.c_char_p), ("zone", ctypes.c_char_p), ("basis", ctypes.c_int), ("currency", ctypes.c_char_p)]


class _Field(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("offset", ctypes.c_uint32), ("bytes", ctypes.c_uint16), ("kind", ctypes.c_char)]


class _Bit(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("bit", ctypes.c_uint32)]


_INTEGERS = {(kind, ctypes.sizeof(of)): of
             for kind, all_of in ((b"i", (ctypes.c_int8, ctypes.c_int16, ctypes.c_int32, ctypes.c_int64)),
                                  (b"u", (ctypes.c_uint8, ctypes.c_uint16, ctypes.c_uint32, ctypes.c_uint64))) for of in all_of}


def _load(path):
    path = path or os.environ.get("RIALTO_LIBRARY") or ctypes.util.find_library("rialto") or "librialto.so.0"
    library = ctypes.CDLL(path)
    library.rialto_open.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)]
    library.rialto_close.argtypes = [ctypes.c_void_p]
    library.rialto_close.restype = None
    library.rialto_quote.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    library.rialto_quote_page.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p,
                                          ctypes.c_void_p]
    library.rialto_now_ms.argtypes = [ctypes.c_void_p]
    library.rialto_now_ms.restype = ctypes.c_int64
    library.rialto_money_text.argtypes = [ctypes.c_int64, ctypes.c_char_p, ctypes.c_uint8, ctypes.c_size_t, ctypes.c_char_p]
    library.rialto_money_text.restype = ctypes.c_size_t
    library.rialto_disclosure_text.argtypes = [ctypes.c_void_p, ctypes.c_uint16, ctypes.c_uint16, ctypes.c_size_t, ctypes.c_char_p]
    library.rialto_disclosure_text.restype = ctypes.c_size_t
    for name in ("rialto_status_text", "rialto_status_name"):
        getattr(library, name).restype = ctypes.c_char_p
    library.rialto_quote_fields.restype = ctypes.POINTER(_Field)
    library.rialto_flag_names.restype = library.rialto_kind_names.restype = ctypes.POINTER(_Bit)
    return library


def _bits(rows):
    found, at = [], 0
    while rows[at].name is not None:
        found.append((rows[at].bit, rows[at].name.decode()))
        at += 1
    return found


class Quote:
    """What a customer pays for one product. amount, baseline, list, floor, ceiling: minor units of currency.

    disclosure_text: the words to be said beside it, "" where none are asked for.
    The other members are those of struct rialto_quote (rialto/quote.h): as_of_ms, valid_until_ms, age_ms, multiplier_e4,
    disclosure, decimals, zone_level, ..."""

    # The members are those of a subclass that _quote_class() makes of what the library says about its struct.
    def __repr__(self):
        return f"<Quote {self.sku} {self.text if self.ok else self.status}>"


def _quote_class(library):
    """A subclass of Quote and of the library's struct, made once for each library."""
    fields, rows, at = [], library.rialto_quote_fields(), 0
    while rows[at].name is not None:
        row = rows[at]
        kind = ctypes.c_char * row.bytes if row.kind == b"s" else _INTEGERS[row.kind, row.bytes]
        fields.append((row.offset, "_" + row.name.decode() if row.kind == b"s" or row.name in (b"flags", b"kinds", b"used")
                       else row.name.decode(), kind, ctypes.sizeof(kind)))
        at += 1
    size, layout, end = rows[at].offset, [], 0
    for offset, name, kind, length in sorted(fields, key=lambda f: f[0]):
        if offset > end:
            layout.append((f"_gap{end}", ctypes.c_char * (offset - end)))
        layout.append((name, kind))
        end = offset + length
    if size > end:
        layout.append((f"_gap{end}", ctypes.c_char * (size - end)))
    flag_names, kind_names = _bits(library.rialto_flag_names()), _bits(library.rialto_kind_names())

    class LibraryQuote(ctypes.Structure, Quote):
        _pack_ = 1  # offsets are the library's; the gaps are in the list
        _fields_ = layout
        sku = ""
        status = "OK"
        disclosure_text = ""
        __repr__ = Quote.__repr__

        @property
        def ok(self):
            return self.status == "OK"

        @property
        def currency(self):
            return self._currency.decode()

        @property
        def zone(self):
            """The zone whose price this is; "" is the world."""
            return self._zone.decode()

        @property
        def flags(self):
            return {name for bit, name in flag_names if self._flags & bit}

        @property
        def rests_on(self):
            """Kinds of personal data that the amount rests on."""
            return {name for bit, name in kind_names if self._kinds & bit}

        @property
        def data_used(self):
            """Kinds of personal data that were read for it, whether they moved it or not."""
            return {name for bit, name in kind_names if self._used & bit}

        @property
        def multiplier(self):
            return self.multiplier_e4 / 10000

        @property
        def text(self):
            room = ctypes.create_string_buffer(64)
            library.rialto_money_text(self.amount, self._currency, self.decimals, 64, room)
            return room.value.decode()

    LibraryQuote.__name__ = LibraryQuote.__qualname__ = "Quote"
    assert ctypes.sizeof(LibraryQuote) == size
    return LibraryQuote


class _Mapping:
    """One opened cache; closed when the last thread that uses it lets go."""

    def __init__(self, library, folder):
        handle = ctypes.c_void_p()
        self.close = library.rialto_close
        self.handle = None
        self.status = library.rialto_open(folder, ctypes.byref(handle))
        self.handle = handle

    def __del__(self):
        if self.handle:
            self.close(self.handle)


class Prices:
    """A cache folder, mapped read-only.

    folder    None: $RIALTO_CACHE, else /dev/shm/rialto
    library   path of librialto.so; None: $RIALTO_LIBRARY, else where the system finds it
    Raises NoCache while there are no tables, RialtoError for anything else that stands in the way, OSError without a library.
    When the service makes its tables anew, this opens them by itself.
    """

    def __init__(self, folder=None, library=None):
        self._library = _load(library)
        self._folder = os.fsencode(folder) if folder is not None else None
        self._class = _quote_class(self._library)
        self._mapping = self._open()

    def _open(self):
        mapping = _Mapping(self._library, self._folder)
        if mapping.status != _OK:
            raise self._error(mapping.status)
        return mapping

    def _error(self, status):
        kind = {_UNKNOWN_PRODUCT: UnknownProduct, _NO_CACHE: NoCache}.get(status, RialtoError)
        return kind(self._library.rialto_status_name(status).decode(), self._library.rialto_status_text(status).decode())

    def _ask(self, call):
        """call(handle) -> status, once more on new tables if these were replaced. Returns the tables that answered, too."""
        mapping = self._mapping  # held here: another thread may replace it meanwhile
        if mapping is None:
            raise self._error(_BAD_INPUT)
        status = call(mapping.handle)
        if status == _RETIRED:
            self._mapping = mapping = self._open()
            status = call(mapping.handle)
        return status, mapping

    def _say_words(self, mapping, quote):
        """Its rule is one of the tables that it came from."""
        if quote.disclosure != 0:
            room = ctypes.create_string_buffer(256)
            self._library.rialto_disclosure_text(mapping.handle, quote.rule, quote.disclosure, 256, room)
            quote.disclosure_text = room.value.decode()

    def quote(self, sku, customer=None, zone=None, basis="store", currency=None):
        """The price of one product. Raises UnknownProduct, or RialtoError (OTHER_CURRENCY, BAD_INPUT, BUSY)."""
        request, found, name = _request(customer, zone, basis, currency), self._class(), _text(sku)
        at, into = ctypes.byref(request), ctypes.byref(found)
        status, mapping = self._ask(lambda handle: self._library.rialto_quote(handle, at, name, into))
        if status != _OK:
            raise self._error(status)
        found.sku = sku
        self._say_words(mapping, found)
        return found

    def page(self, skus, customer=None, zone=None, basis="store", currency=None):
        """The prices of up to 512 products for one customer, as a list of quotes in the same order. Each has .ok and .status:
        a product without a price is one of them, with a status such as "UNKNOWN_PRODUCT" and an amount of 0."""
        skus = list(skus)
        n = len(skus)
        names, found, statuses = (ctypes.c_char_p * n)(*map(_text, skus)), (self._class * n)(), (ctypes.c_int * n)()
        request = _request(customer, zone, basis, currency)
        status, mapping = self._ask(lambda handle: self._library.rialto_quote_page(handle, ctypes.byref(request), n, names, found, statuses))
        if status != _OK:
            raise self._error(status)
        quotes = list(found)
        for quote, sku, status in zip(quotes, skus, statuses):
            quote.sku = sku
            self._say_words(mapping, quote)
            if status != _OK:
                quote.status = self._library.rialto_status_name(status).decode()
        return quotes

    def now_ms(self):
        """Service time, Unix milliseconds: what expiries are measured against."""
        return self._library.rialto_now_ms(self._mapping.handle)

    def close(self):
        self._mapping = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _text(name):
    """An id for C. One with a 0 in it would end there and name something else: C gets one instead that it refuses."""
    encoded = name.encode()
    return encoded if b"\0" not in encoded else _REFUSED


def _request(customer, zone, basis, currency):
    return _Request(_text(customer) if customer else None, _text(zone) if zone else None, BASES[basis],
                    _text(currency) if currency else None)
