#!/usr/bin/env python3
"""A peer that connects to a Unix socket and hangs up at once stops NNG 1.5 from taking further connections there, for good.
The gateway notices within seconds and opens the socket anew. Whoever dials stops for good, too, when its peer hangs up before a word is said:
HTTP then dials anew. NNG 1.10 has no such faults: there is nothing to repair, and the same checks hold. Between gateway and workers there is no
NNG: they are back within a second, whoever knocks.
"""
import urllib.request
from concurrent import futures

from rialto_test import *  # noqa: F403: the words of these tests

WITHIN_S = 6  # a look every second, one second of patience, and room


def knock(url):
    """Connect and hang up before a word is said."""
    connection = socket_to(url)
    connection.close()


def is_deaf(url, patience=0.5):
    """A listener that takes connections hangs up on a protocol that does not exist; a deaf one says nothing."""
    with socket_to(url, patience) as connection:
        try:
            connection.sendall(handshake(0xFFFF))
            while connection.recv(8):
                pass
        except ConnectionError:
            return False
        except OSError:
            return True
    return False


def make_deaf(url):
    """True if a knock did it."""
    for _ in range(30):
        knock(url)
        if is_deaf(url):
            return True
    return False


def once_heard(connect):
    """The first connection that is taken: while the socket is opened anew, it is not there for a moment."""
    def attempt():
        with contextlib.suppress(Closed, OSError):
            return connect()
    return wait_until(attempt, WITHIN_S, "a connection")


def hang_up_on_all(path):
    """In the gateway's place: take what dials, and hang up at once, until nobody dials any more (for 2 s at most). How many came."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    met, end = 0, time.monotonic() + 2
    with socket.socket(socket.AF_UNIX) as listener, contextlib.suppress(TimeoutError):
        listener.bind(path)
        listener.listen(1)
        listener.settimeout(0.25)  # a worker dials every 100 ms
        while time.monotonic() < end:
            listener.accept()[0].close()
            met += 1
    os.unlink(path)
    return met


def hears_again(url):
    def attempt():
        with contextlib.suppress(OSError):
            return not is_deaf(url)
    wait_until(attempt, WITHIN_S, f"{url} hearing again")


def post(port, signals):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/signals", json.dumps(signals).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10 * SLOW) as answer:
        return json.load(answer)


PORT = free_port()
with Service(http_listen=f"127.0.0.1:{PORT}", http_open_signals=1) as service:
    service.accept(product("milk", 100))
    seen = {}

    @check("the push socket takes signals soon after it was made deaf")
    def _():
        seen["push"] = make_deaf(service.push_ipc)
        hears_again(service.push_ipc)
        with once_heard(lambda: Pusher(service.push_ipc)) as pusher:
            pusher.push(product("pushed", 200))
            wait_until(lambda: service.cli_quote("pushed")[0] == 0, 10, "the pushed product")

    @check("whoever connects and says nothing is hung up on, and keeps nobody out; nor do many who hang up")
    def _():
        with contextlib.ExitStack() as stack:
            silent = [stack.enter_context(socket_to(service.push_ipc, 10 * SLOW)) for _ in range(50)]
            for _ in range(100):
                knock(service.push_ipc)
            with once_heard(lambda: Pusher(service.push_ipc)) as pusher:
                pusher.push(product("beside", 250))
                wait_until(lambda: service.cli_quote("beside")[0] == 0, 2, "the product pushed beside them")
            for one in silent:
                equal(one.recv(100), handshake(PULL), "what a listener says")
                equal(one.recv(100), b"", "and then it is closed")

    @check("a push socket whose file was taken away is there again soon")
    def _():
        os.unlink(service.push_ipc[len("ipc://"):])
        with once_heard(lambda: Pusher(service.push_ipc)) as pusher:
            pusher.push(product("again", 260))
            wait_until(lambda: service.cli_quote("again")[0] == 0, 2, "the product pushed to the new one")
        contains(service.log(), "its file was taken away")
        seen["file"] = True

    @check("the request socket answers soon after it was made deaf")
    def _():
        seen["request"] = make_deaf(service.request_ipc)
        hears_again(service.request_ipc)
        with once_heard(lambda: Requester(service.request_ipc)) as requester:
            equal(requester.ask(product("asked", 300)).get("accepted"), 1)

    control, path = service.cache / "control.v3", f"{service.data}/worker.0.ipc"

    def beats_after(at_ms):
        """Every worker has applied something since then: it is connected, was heard, and hears."""
        beats = heartbeats(control)
        return len(beats) == 2 and all(beat > at_ms for beat in beats.values())

    def back_within_a_second(what):
        at_ms = mono_ms()
        wait_until(lambda: beats_after(at_ms), 1, what)
        took.append(mono_ms() - at_ms)

    took = []

    @check("a killed worker is back in a second, although others knocked at the gateway's socket for it meanwhile")
    def _():
        pid = service.children()["worker.0"]
        os.kill(pid, signal.SIGSTOP)  # so that it does not come back before the knocks
        os.kill(pid, signal.SIGKILL)
        for _ in range(30):
            knock(f"ipc://{path}")
        back_within_a_second("worker.0")
        wait_until(lambda: all(w["connected"] for w in service.ask({"control": "ping"})["workers"]), 1, "both workers connected")
        service.accept(*[product(f"p{i}", 100 + i) for i in range(20)])

    @check("a killed gateway has its workers in a second, although others knocked at its socket before one of them came")
    def _():
        children = service.children()
        os.kill(children["worker.0"], signal.SIGSTOP)
        os.kill(children["gateway"], signal.SIGKILL)
        wait_until(lambda: service.children().get("gateway", children["gateway"]) != children["gateway"], 5, "the next gateway")
        once_heard(lambda: knock(f"ipc://{path}") or True)
        for _ in range(30):
            knock(f"ipc://{path}")
        os.kill(children["worker.0"], signal.SIGCONT)
        back_within_a_second("both workers")

    @check("a killed gateway has its workers in a second, although one of them met a peer that hung up before a word was said")
    def _():
        children = service.children()
        os.kill(service.process.pid, signal.SIGSTOP)  # no other gateway yet
        os.kill(children["gateway"], signal.SIGKILL)
        with futures.ThreadPoolExecutor() as pool:
            met = [*pool.map(hang_up_on_all, (path, f"{service.data}/web.ipc"))]
        os.kill(service.process.pid, signal.SIGCONT)
        back_within_a_second("both workers")
        note(f"hung up on the worker {met[0]} times, on the HTTP process {met[1]} times")
        require(all(met), "nobody came: the test tests nothing")

    @check("and so has HTTP, which met one, too")
    def _():
        began = mono_ms()
        equal(post(PORT, [product("posted", 400)])["accepted"], 1)
        require(mono_ms() - began < 2000 * SLOW, f"{mono_ms() - began} ms")

    note(f"ms until both workers beat: {took}")

    @check("what was repaired is counted and logged; nothing else was")
    def _():
        reopened = service.log().count("LISTENER-REOPENED")
        require(reopened >= sum(seen.values()), f"{reopened} reopened, made deaf: {seen}")
        if not seen["push"] and not seen["request"]:
            equal(reopened, 1, "sockets opened anew without need")
        time.sleep(3)
        equal(service.log().count("LISTENER-REOPENED"), reopened, "sockets opened anew while all is quiet")

    note(f"made deaf by knocking: {seen}")
finish()
