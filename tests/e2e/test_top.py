#!/usr/bin/env python3
"""rialto top: alive in a terminal of any size, which it gives back as it was; as text it says what /metrics says."""
from rialto_test import *
import fcntl
import pty
import select
import termios
import urllib.request

PORT = free_port()


class Screen:
    """What a terminal shows: enough of ANSI for a program that places rows. Anything else is a failure."""

    def __init__(self, rows, columns):
        self.size(rows, columns)
        self.alternate, self.cursor_shown, self.at = False, True, (0, 0)

    def size(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.cell = [[" "] * columns for _ in range(rows)]
        self.settled = False  # until it is drawn anew, something may still come that was meant for the window before

    def feed(self, text):
        for csi, char in re.findall(r"\x1b\[([?\d;]*[A-Za-z])|(.|\n)", text):
            if csi:
                self.control(csi)
            elif char not in "\r\n":
                row, column = self.at
                inside = row < self.rows and column < self.columns
                require(inside or not self.settled, f"{char!r} is written outside of the window, at {self.at}")
                if inside:
                    self.cell[row][column] = char
                self.at = (row, column + 1)

    def control(self, csi):
        row, column = self.at
        if csi in ("?1049h", "?1049l"):
            self.alternate = csi[-1] == "h"
        elif csi in ("?25h", "?25l"):
            self.cursor_shown = csi[-1] == "h"
        elif csi[-1] == "H":
            row, column = (int(n) - 1 for n in csi[:-1].split(";"))
            self.at = (row, column)
        elif csi == "2J":
            self.size(self.rows, self.columns)
            self.settled = True
        elif csi in ("K", "J"):
            if row < self.rows:
                self.cell[row][column:] = [" "] * (self.columns - min(column, self.columns))
            for below in range(row + 1, self.rows) if csi == "J" else ():
                self.cell[below] = [" "] * self.columns
        else:
            require(csi[-1] == "m", f"unknown sequence {csi!r}")

    def text(self):
        return "\n".join("".join(row).rstrip() for row in self.cell)


class Terminal:
    """`rialto top` in a pseudo-terminal of so many rows and columns."""

    def __init__(self, service, rows=24, columns=80):
        self.screen = Screen(rows, columns)
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen([BIN / "rialto", "top", "--interval", "0.2", "--cache", str(service.cache)], stdin=self.slave,
                                        stdout=self.slave, stderr=self.slave, start_new_session=True, preexec_fn=self.own)

    def own(self):
        die_with_the_test()
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

    def resize(self, rows, columns):
        self.screen.size(rows, columns)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))  # the kernel tells the program

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            self.rest = getattr(self, "rest", b"") + os.read(self.master, 65536)
            whole = re.match(rb"(?s)(.*?)(\x1b(\[[?\d;]*)?)?\Z", self.rest)  # a sequence may be cut in two
            self.rest = whole[2] or b""
            self.screen.feed(whole[1].decode())
        return self.screen.text()

    def wait(self, pattern, seconds=15):
        try:
            return wait_until(lambda: re.search(pattern, self.read(), re.M), seconds, pattern)
        except Failed as error:
            raise Failed(f"{error}: {self.screen.text()}") from error

    def keys(self, text):
        os.write(self.master, text.encode())

    def ended(self):
        status = wait_until(lambda: (self.read(), self.process.poll())[1] is not None and [self.process.poll()], 10, "its end")[0]
        self.read()
        return status

    def given_back(self):
        equal((termios.tcgetattr(self.slave), self.screen.alternate, self.screen.cursor_shown), (self.before, False, True))

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


def metric(name):
    """The sum of a metric over all processes, as /metrics tells it."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=10).read().decode()
    return sum(int(value) for value in re.findall(rf"^rialto_{name}{{.*}} (\d+)$", text, re.M))


with Service(models={"shop.json": simple_model()}, http_listen=f"127.0.0.1:{PORT}", worker_count=2, stale_after_ms=1000) as service:
    service.accept(*(product(f"p{i}", 1000 + i) for i in range(40)))
    top = lambda *words: run(BIN / "rialto", "top", "--cache", service.cache, *words)

    @check("as text it is one frame, with the totals that /metrics has and each process in it")
    def _():
        service.ask({"type": "demand", "sku": "nobody knows it", "event": "view"})
        urllib.request.urlopen(f"http://127.0.0.1:{PORT}/v1/quotes/p1", timeout=10).read()
        status, text, err = wait_until(lambda: [told for told in [top("--once", "--interval", "0.1")] if "healthy" in told[1]], 20, "healthy")[0]
        equal((status, err, text.splitlines()[0]), (0, "", f"{service.instance}: healthy"))
        found = re.search(r"accepted \((\d+)\), .* rejected \((\d+)\)", text)
        equal((int(found[1]), int(found[2])), (metric("signals_accepted_total"), metric("signals_rejected_total")))
        require(int(found[1]) >= 40, text)
        equal(int(re.search(r"over HTTP \((\d+)\)", text)[1]), metric("http_quotes_total"))
        equal(int(re.search(r"moved \((\d+)\)", text)[1]), metric("prices_moved_total"))
        equal(re.findall(r"^(supervisor|gateway|worker\.\d|web) ", text, re.M), ["supervisor", "gateway", "worker.0", "worker.1", "web"])
        cells = sum(int(n) for n in re.findall(r"^worker\.\d +\d+ ms +\d+ +\S+ \S+ +\d+ +(\d+)", text, re.M))
        equal(cells, metric("cells"))
        require("redis      up for 2 of 2 workers" in text and re.search(r"read here out of shared memory in [\d.]+ us \(p\d+\)", text), text)
        require(max(map(len, text.splitlines())) <= 80, "a row is longer than 80")

    @check("in a terminal of 80 x 24 all of it is to be seen, values move with what happens, and q gives the terminal back")
    def _():
        terminal = Terminal(service)
        try:
            terminal.wait(r"^worker\.1 .*\n(.*\n)*?^q: quit$")
            require(terminal.screen.alternate and not terminal.screen.cursor_shown, "it draws over what was there")
            before = int(terminal.wait(r"accepted \((\d+)\)")[1])
            service.accept(*(product(f"p{i}", 2000 + i) for i in range(40)))
            terminal.wait(rf"accepted \({before + 40}\)")
            terminal.keys("x")  # says nothing to it
            terminal.resize(10, 40)
            terminal.wait(r"q: quit; \d+ more rows in a higher")
            equal(terminal.screen.text().splitlines()[0][:len(service.instance) + 1], f"{service.instance}:")
            terminal.resize(40, 120)
            terminal.wait(r"^web .*\n(.*\n)*?^q: quit$")
            terminal.keys("q")
            equal(terminal.ended(), 0)
            terminal.given_back()
        finally:
            terminal.close()

    @check("Ctrl-C and an order to end give the terminal back as well")
    def _():
        for end in (lambda terminal: terminal.keys("\x03"), lambda terminal: terminal.process.terminate()):
            terminal = Terminal(service)
            try:
                terminal.wait(r"^q: quit")
                end(terminal)
                equal(terminal.ended(), 0)
                terminal.given_back()
            finally:
                terminal.close()

    @check("a worker that stands still is called silent; it goes on when the worker does, and says when the service is gone")
    def _():
        terminal = Terminal(service)
        pid = service.children()["worker.1"]
        try:
            terminal.wait(r"healthy")
            os.kill(pid, signal.SIGSTOP)
            try:
                terminal.wait(r"degraded: .*\n(.*\n)*worker\.1 +SILENT", 30)
            finally:
                os.kill(pid, signal.SIGCONT)
            terminal.wait(r": healthy", 30)
            equal(service.stop(), 0)
            terminal.wait(r"not running", 15)
            terminal.keys("q")
            equal(terminal.ended(), 0)
            status, text, _ = top("--once")
            require(status == 3 and "not running" in text, f"{status} {text}")
        finally:
            terminal.close()
finish()
