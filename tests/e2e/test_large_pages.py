#!/usr/bin/env python3
"""What the system gave of large pages is said by `rialto status` and the metrics as the kernel says it, and why it is not more."""
import urllib.request
from rialto_test import *

LARGE, PAGE = 2 << 20, 4096
PR_SET_THP_DISABLE = 41
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
TABLES = [f"{name}.v{header_constants('layout.h')['RIALTO_LAYOUT']}" for name in ("cells", "terms", "offers", "zones", "products")]


def mapped_large(path):
    """A file mapped at a multiple of 2 MiB in this process, every page of data touched: bytes that smaps counts as mapped by large pages."""
    with open(path, "rb") as file:
        bytes_ = os.fstat(file.fileno()).st_size
        room = LIBC.mmap(None, bytes_ + LARGE, 0, 0x4022, -1, 0)  # PROT_NONE; MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE
        at = (room + LARGE - 1) // LARGE * LARGE
        equal(LIBC.mmap(at, bytes_, 1, 0x11, file.fileno(), 0), at)  # PROT_READ; MAP_SHARED, MAP_FIXED
        offset = 0
        with contextlib.suppress(OSError):  # past the last data
            while True:
                data = os.lseek(file.fileno(), offset, os.SEEK_DATA)
                offset = os.lseek(file.fileno(), data, os.SEEK_HOLE)
                for page in range(data, min(offset, bytes_), PAGE):
                    ctypes.c_ubyte.from_address(at + page).value
        smaps = Path("/proc/self/smaps").read_text()
        block = smaps[smaps.index(f"\n{at:x}-"):]
        large = int(re.search(r"ShmemPmdMapped: +(\d+)", block)[1]) * 1024
        LIBC.munmap(room, bytes_ + LARGE)
    return large


def seen(service):
    pages = service.status()["large_pages"]
    equal(pages["table_bytes"], sum((service.cache / name).stat().st_blocks * 512 for name in TABLES))
    equal(pages["bytes"], sum(mapped_large(service.cache / name) for name in TABLES))
    return pages


PORT = free_port()
with Service(customers_max=400000, cache_start_percent=100, http_listen=f"127.0.0.1:{PORT}") as service:
    @check("rialto status says how many bytes of the tables are in large pages, as a mapping of our own has them, and why not all are")
    def _():
        pages = seen(service)
        note(f"{pages}")
        require(pages["table_bytes"] > 16 * LARGE and pages["bytes"] % LARGE == 0, f"{pages}")
        require(bool(pages["why_not"]) == (pages["bytes"] < pages["table_bytes"]), f"{pages}")
        text = service.cli("status")[1]
        contains(text, f"large pages {pages['bytes'] / 1e6:.1f} of {pages['table_bytes'] / 1e6:.1f} MB of tables are in pages of 2 MiB")
        contains(text, pages["why_not"])

    @check("the metrics have the same two numbers")
    def _():
        pages = service.status()["large_pages"]
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        numbers = [int(float(re.search(rf"^rialto_{name}{{process=\"web\"}} (\S+)", text, re.M)[1])) for name in ("table_bytes", "table_large_page_bytes")]
        equal(numbers, [pages["table_bytes"], pages["bytes"]])

    @check("looking fills no hole: the tables take as much as before")
    def _():
        before = sum((service.cache / name).stat().st_blocks for name in TABLES)
        service.status()
        equal(sum((service.cache / name).stat().st_blocks for name in TABLES), before)

on_disk = Service(customers_max=400000, cache_start_percent=100)
on_disk.cache = on_disk.settings["cache_dir"] = on_disk.folder / "cache"
kind = run("stat", "-f", "-c", "%T", on_disk.folder)[1].strip()
if kind == "tmpfs":
    skipped("a cache that is on a disk", f"{on_disk.folder} is on a {kind}")
else:
    with on_disk as service:
        @check("a cache on a disk's file system has none, and that is the reason said")
        def _():
            pages = seen(service)
            equal(pages["bytes"], 0)
            contains(pages["why_not"], "disk's file system")

LIBC.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)  # what is started from here on inherits it
with Service(customers_max=400000, cache_start_percent=100) as service:
    @check("where large pages are switched off none are claimed, and that is the reason said")
    def _():
        pages = seen(service)
        equal(pages["bytes"], 0)
        contains(pages["why_not"], "switched off")
    LIBC.prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0)
finish()
