#!/usr/bin/env python3
"""Who may read prices: the owner and the configured group, with a library that says why when it is nobody's; who may write: the owner. Personal
state is the owner's alone."""
import errno
import grp
import stat
from rialto_test import *

STATUS = {name: int(code) for name, code in re.findall(r"^    X\((\w+), +(\d+),", header("status.h"), re.M)}
NO_PERMISSION, NO_CACHE = STATUS["NO_PERMISSION"], STATUS["NO_CACHE"]
NOBODY = 65534
MODES = {"cache": 0o750, "file": 0o640}

if os.geteuid() != 0:
    skipped("readers of other users and groups", "only root may become others")
    finish()

GROUP = next(g for g in grp.getgrall() if g.gr_gid not in (0, NOBODY) and not g.gr_mem)
OTHER = next(g for g in grp.getgrall() if g.gr_gid not in (0, NOBODY, GROUP.gr_gid))


def as_other(gid, work):
    """What `work` returns in a process of another user, of this group alone. Its libraries are loaded already: their folders may be closed to it."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            die_with_the_test()
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os.write(theirs, json.dumps(work()).encode())
        except BaseException as error:
            os.write(theirs, json.dumps(f"{type(error).__name__}: {error}").encode())
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    return json.loads(text)


def open_error(path, flags):
    try:
        os.close(os.open(path, flags))
        return "opened"
    except OSError as error:
        return errno_name(error)


def errno_name(error):
    return errno.errorcode[error.errno]


os.umask(0o077)  # modes are as promised whatever it is
with Service(group=GROUP.gr_name, cache_on_stop="keep") as service:
    service.shared.chmod(0o711)  # a folder of the test's own around the cache: its name may be known
    service.folder.chmod(0o711)
    service.accept(product("milk", 1000))
    equal(service.amount("milk"), 1000)
    library = Library(service.cache)
    library_file = next(service.cache.iterdir()).name

    def opened():
        handle = ctypes.c_void_p()
        return library.lib.rialto_open(library.cache, ctypes.byref(handle))

    def asked():
        library.open()
        status, quote = library.quote("milk")
        return [status, quote.amount]

    def expect_modes(group):
        equal((stat.S_IMODE(service.cache.stat().st_mode), service.cache.stat().st_gid), (MODES["cache"], group.gr_gid))
        found = {path.name: (oct(stat.S_IMODE(path.stat().st_mode)), path.stat().st_gid) for path in service.cache.iterdir()}
        require(len(found) >= 9, f"{sorted(found)}")
        equal({name: seen for name, seen in found.items() if seen != (oct(MODES["file"]), group.gr_gid)}, {})

    @check("the folder is 0750, each file in it 0640, all of the configured group")
    def _():
        expect_modes(GROUP)

    @check("another user of the group reads prices")
    def _():
        equal(as_other(GROUP.gr_gid, asked), [Library.OK, 1000])

    @check("another user of another group is told NO_PERMISSION, in words too")
    def _():
        equal(as_other(OTHER.gr_gid, opened), NO_PERMISSION)
        contains(library.text(NO_PERMISSION), "may not be read by this user or group")

    @check("a folder that is open, with files that are not, is NO_PERMISSION as well; without a folder it is NO_CACHE")
    def _():
        service.cache.chmod(0o755)
        try:
            equal(as_other(OTHER.gr_gid, opened), NO_PERMISSION)
        finally:
            service.cache.chmod(MODES["cache"])
        missing = library.cache
        library.cache += b".missing"
        equal(as_other(OTHER.gr_gid, opened), NO_CACHE)
        library.cache = missing

    @check("the group reads and does not write: no file of the cache opens for writing, none is made or removed")
    def _():
        def work():
            refused = {path.name: open_error(path, os.O_RDWR) for path in service.cache.iterdir()}
            refused["new"] = open_error(service.cache / "new", os.O_CREAT | os.O_WRONLY)
            try:
                (service.cache / library_file).unlink()
                refused["unlink"] = "removed"
            except OSError as error:
                refused["unlink"] = errno_name(error)
            return refused
        refused = as_other(GROUP.gr_gid, work)
        require(len(refused) >= 11 and set(refused.values()) == {"EACCES"}, f"{refused}")

    @check("state is not for the group: its folder cannot be listed, its files not opened")
    def _():
        state = service.data / "state"
        files = list(state.iterdir())
        require(len(files) > 64, f"{len(files)} files")
        for path in [service.data, state]:
            equal(stat.S_IMODE(path.stat().st_mode) & 0o077, 0, str(path))
        equal({oct(stat.S_IMODE(path.stat().st_mode)) for path in files}, {"0o600"})
        equal(set(as_other(GROUP.gr_gid, lambda: [open_error(path, os.O_RDONLY) for path in [state, *files]])), {"EACCES"})

    @check("a restart with another group: folder and files, kept as they are, are that group's from then on, and nobody's else")
    def _():
        made = (service.cache / library_file).stat().st_ino
        equal(service.stop(), 0, "exit status")
        service.settings["group"] = OTHER.gr_name
        service.start()
        equal((service.cache / library_file).stat().st_ino, made, "the file that was there")
        expect_modes(OTHER)
        equal(as_other(OTHER.gr_gid, asked), [Library.OK, 1000])
        equal(as_other(GROUP.gr_gid, opened), NO_PERMISSION)

@check("a group that is not on the machine is an error at start, by its name")
def _():
    lost = Service(group="no-such-group")
    process = subprocess.run(lost.arguments(), capture_output=True, timeout=30, env={**os.environ})
    require(process.returncode != 0, "it started")
    contains(process.stderr.decode(), "GROUP-UNKNOWN group=no-such-group")
finish()
