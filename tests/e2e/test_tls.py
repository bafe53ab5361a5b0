#!/usr/bin/env python3
"""Producers on tls+tcp:// show a certificate of the authority that we name, and see ours; plain tcp:// stays on this machine unless told."""
import ssl

from certificates import *
from rialto_test import *

OURS, THEIRS = Authority("Shop"), Authority("Other")
SERVER = OURS.sign("rialto")
PRODUCER, STRANGER = OURS.sign("till-7", names="", use="clientAuth"), THEIRS.sign("till-7", names="", use="clientAuth")
PUSH_PORT, REQUEST_PORT = free_port(), free_port()


def tls_of(pair, authority=OURS):
    made = ssl.create_default_context(cafile=str(authority.certificate))
    if pair is not None:
        made.load_cert_chain(*map(str, pair))
    return made


def secured(kind, port, pair=PRODUCER, authority=OURS, host="127.0.0.1"):
    """A Pusher or Requester over TLS: the same frames, in another pipe."""
    class Secured(kind):
        def __init__(self):
            plain = socket.create_connection(("127.0.0.1", port), 10 * SLOW)
            self.prefix, self.number = b"", 1
            try:
                self.socket = tls_of(pair, authority).wrap_socket(plain, server_hostname=host)
                me, peer = (PUSH, PULL) if kind is Pusher else (REQ, REP)
                evil = b"" if pair is PRODUCER else encode([product("evil", 1)])
                self.socket.sendall(handshake(me) + (struct.pack(">Q", len(evil)) + evil if evil else b""))
                greeting = self._read(8)
            except (OSError, Closed) as error:
                plain.close()
                raise Closed(f"{type(error).__name__}: {error}") from error
            equal(greeting, handshake(peer))
    return Secured()


def fails(make):
    try:
        made = make()
    except Closed as error:
        return str(error)
    made.close()
    raise Failed("it was let in")


FILES = {"producer_certificate_file": SERVER[0], "producer_key_file": SERVER[1], "producer_authority_file": OURS.certificate}
with Service(producer_signals_per_s=1000000, **FILES) as service:
    service.stop()
    service.settings["push_urls"] += f" tls+tcp://127.0.0.1:{PUSH_PORT}"
    service.settings["request_urls"] += f" tls+tcp://127.0.0.1:{REQUEST_PORT}"
    service.start()
    counted = lambda name: service.status()["metrics"][name]

    @check("a producer with a certificate of the authority is served: requests and pushes")
    def _():
        with secured(Requester, REQUEST_PORT) as requester, secured(Pusher, PUSH_PORT) as pusher:
            equal(requester.ask([product("milk", 100)])["accepted"], 1)
            pusher.push([product("bread", 250)])
            wait_until(lambda: service.cli("quote", "-", "bread")[0] == 0, 10, "the pushed product")
            equal((service.amount("milk"), service.amount("bread")), (100, 250))
            pusher.push([product(f"p{i}", 100 + i) for i in range(1000)])  # more than one record of TLS
            wait_until(lambda: service.cli("quote", "-", "p999")[0] == 0, 10, "a long message")

    @check("without a certificate, and with another authority's, nobody is let in: no message of theirs is taken")
    def _():
        before = counted("signals_received_total")
        for pair in (None, STRANGER):
            for kind, port in ((Requester, REQUEST_PORT), (Pusher, PUSH_PORT)):
                fails(lambda: secured(kind, port, pair))
        for port in (PUSH_PORT, REQUEST_PORT):  # plain SP on the same door
            with socket.create_connection(("127.0.0.1", port), 10) as plain:
                plain.sendall(handshake(PUSH) + struct.pack(">Q", 2) + b"{}")
                plain.settimeout(5 * SLOW)
                try:
                    answer = plain.recv(64)
                except OSError:
                    answer = b""
                require(handshake(PULL) not in answer and handshake(REP) not in answer, answer)
        equal((counted("signals_received_total"), service.cli("quote", "-", "evil")[0]), (before, 1))

    @check("a producer that verifies does not take another for the service: authority and host")
    def _():
        contains(fails(lambda: secured(Requester, REQUEST_PORT, authority=THEIRS)), "CERTIFICATE_VERIFY_FAILED")
        contains(fails(lambda: secured(Requester, REQUEST_PORT, host="rialto.example")), "Hostname mismatch")

    @check("who knocks and goes, says nothing, or nonsense, keeps nobody else out")
    def _():
        silent = [socket.create_connection(("127.0.0.1", port), 10) for port in (PUSH_PORT, REQUEST_PORT) for _ in range(20)]
        for i in range(60):
            for port in (PUSH_PORT, REQUEST_PORT):
                with socket.create_connection(("127.0.0.1", port), 10) as knock:
                    if i % 3 == 1:
                        knock.sendall(os.urandom(200))
                    if i % 3 == 2:
                        knock.sendall(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a TLS greeting
        with secured(Requester, REQUEST_PORT) as requester, secured(Pusher, PUSH_PORT) as pusher:
            equal(requester.ask([product("milk", 101)])["accepted"], 1)
            pusher.push([product("bread", 251)])
            wait_until(lambda: service.amount("bread") == 251, 10, "the push")
        for raw in silent:
            raw.close()

    @check("many producers come and go, and all of their requests are answered")
    def _():
        for i in range(40):
            with secured(Requester, REQUEST_PORT) as requester:
                equal(requester.ask([product("milk", 100 + i)])["accepted"], 1)
        equal(service.amount("milk"), 139)

    @check("the key that others may read, and files that are no certificates, keep the gateway from starting, and the log says why")
    def _():
        service.stop()
        for what, setting, spoil in (("others may read it", "producer_key_file", lambda file: file.chmod(0o644)),
                                     ("TLS-REFUSED", "producer_authority_file", lambda file: file.write_text("nonsense\n"))):
            file = service.folder / setting
            file.write_text(Path(FILES[setting]).read_text())
            file.chmod(0o600)
            spoil(file)
            told = service.log().count("TLS-REFUSED")
            service.settings[setting] = file
            service.spawn()
            wait_until(lambda: service.log().count("TLS-REFUSED") > told, 10, "the refusal")
            contains(service.log().split(" error ")[-1] if what == "TLS-REFUSED" else service.log(), what)
            service.stop()
            service.settings[setting] = FILES[setting]
        service.start()

    @check("plain tcp:// where others may come is refused before anything starts, unless somebody says so; so is TLS without its files")
    def _():
        def checks(*settings):
            status, out, err = run(BIN / "rialtod", "--check", "--set", f"models_dir={service.models}", *(w for s in settings for w in ("--set", s)))
            return status, out + err
        for host in ("0.0.0.0", "192.168.1.5", "[::]", "[2001:db8::1]", "shop.example", "*", "", "128.0.0.1"):
            for key in ("push_urls", "request_urls"):
                status, said = checks(f"{key}=tcp://{host}:7411")
                require(status != 0 and f"/{key}" in said and "insecure_tcp" in said, f"{host}: {status} {said}")
            equal(checks(f"push_urls=tcp://{host}:7411", "insecure_tcp=1")[0], 0, host)
        for host in ("127.0.0.1", "127.8.9.1", "localhost", "[::1]"):
            equal(checks(f"push_urls=tcp://{host}:7411", f"request_urls=tcp://{host}:7412")[0], 0, host)
        status, said = checks("push_urls=tls+tcp://0.0.0.0:7411")
        require(status != 0 and "producer_authority_file" in said, (status, said))
        equal(checks("push_urls=tls+tcp://0.0.0.0:7411", *(f"{key}={file}" for key, file in FILES.items()))[0], 0)

finish()
