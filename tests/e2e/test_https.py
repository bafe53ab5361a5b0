#!/usr/bin/env python3
"""HTTPS: the door speaks TLS 1.2 and 1.3 and nothing else, verifying clients find it, and a new certificate is taken up without a gap."""
import http.client
import warnings
import ssl

from certificates import *
from rialto_test import *

warnings.simplefilter("ignore", DeprecationWarning)  # of the TLS that is refused
PORT = free_port()
OURS, THEIRS = Authority(), Authority("Other")
FIRST, SECOND = OURS.sign("first"), OURS.sign("second")
FOLDER = temporary_folder("tls.")
(FOLDER / "made").mkdir()
CHAIN, SECRET = FOLDER / "chain.pem", FOLDER / "key.pem"


def put_file(text, place):
    (FOLDER / "new").write_text(text)
    (FOLDER / "new").chmod(0o600)
    (FOLDER / "new").rename(place)


def put(pair):
    """As a renewal does it: whole files in place of the old ones, one after the other."""
    for source, place in zip(pair, (CHAIN, SECRET)):
        put_file(source.read_text(), place)


def context(authority=OURS, **options):
    made = ssl.create_default_context(cafile=str(authority.certificate))
    for name, value in options.items():
        setattr(made, name, value)
    return made


class Door(http.client.HTTPSConnection):
    def __init__(self, tls=None, host="127.0.0.1"):
        super().__init__(host, PORT, timeout=10 * SLOW, context=tls or context())

    def get(self, path):
        """status, whether the door closes the connection, body"""
        self.request("GET", path)
        response = self.getresponse()
        body = json.loads(response.read())
        return response.status, response.headers.get("Connection") == "close", body


def subject(tls=None):
    """The name in the certificate that a new connection is shown."""
    door = Door(tls)
    try:
        door.connect()
        return dict(part[0] for part in door.sock.getpeercert()["subject"])["commonName"]
    finally:
        door.close()


def fails(make, *kinds):
    try:
        make()
    except kinds as error:
        return error
    raise Failed("it was taken")


put(FIRST)
with Service(http_listen=f"127.0.0.1:{PORT}", http_certificate_file=CHAIN, http_key_file=SECRET, http_threads=2) as service:
    counted = lambda name: service.status()["metrics"][name]
    service.accept(product("milk", 100))

    def settled():
        """Nothing is taken up or refused for longer than the door needs to look."""
        seen = lambda: (counted("http_certificates_total"), counted("http_certificates_refused_total"))
        before = seen()
        time.sleep(0.6 * SLOW)
        return seen() == before

    @check("a client that verifies gets its quote, over TLS 1.2 and 1.3, on one connection after another")
    def _():
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            door = Door(context(minimum_version=version, maximum_version=version))
            for _ in range(3):
                status, closes, quote = door.get("/v1/quotes/milk")
                equal((status, closes, quote["quote"]["amount"]), (200, False, 100))
            equal(door.sock.version(), version.name.replace("_", "."))
            door.close()

    @check("a whole address of https is asked for as its path is, on a door that has TLS")
    def _():
        door = Door()
        for scheme in ("https", "http"):
            status, closes, quote = door.get(f"{scheme}://localhost/v1/quotes/milk")
            equal((status, closes, quote["quote"]["amount"]), (200, False, 100), scheme)
        equal(door.get("https://me@localhost/v1/quotes/milk")[:2], (400, True))
        door.close()

    @check("another authority and another host are refused by such a client")
    def _():
        contains(str(fails(lambda: subject(context(THEIRS)), ssl.SSLCertVerificationError)), "unable to get local issuer")
        with socket.create_connection(("127.0.0.1", PORT), 10) as raw:
            error = fails(lambda: context().wrap_socket(raw, server_hostname="rialto.example"), ssl.SSLCertVerificationError)
            contains(str(error), "Hostname mismatch")

    @check("older TLS is refused, and plain HTTP is not answered")
    def _():
        old = context(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)
        old.set_ciphers("ALL:@SECLEVEL=0")
        fails(lambda: subject(old), ssl.SSLError, ConnectionError)
        with socket.create_connection(("127.0.0.1", PORT), 10) as raw:
            raw.sendall(b"GET /v1/quotes/milk HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            try:
                while (more := raw.recv(4096)):
                    answer += more
            except OSError:
                pass
            require(b"HTTP/" not in answer and b"amount" not in answer, answer)

    @check("who connects and says nothing, or something else, is shown the door; others are served meanwhile")
    def _():
        silent = [socket.create_connection(("127.0.0.1", PORT), 10) for _ in range(20)]
        silent[0].sendall(os.urandom(300))
        equal(Door().get("/v1/quotes/milk")[0], 200)
        for raw in silent:
            raw.close()

    @check("a new certificate is taken up by itself; who is connected is answered, and asked to come again")
    def _():
        equal(subject(), "first")
        door = Door()
        equal(door.get("/v1/quotes/milk")[:2], (200, False))
        put(SECOND)
        wait_until(lambda: subject() == "second", 10, "the new certificate")
        equal(door.get("/v1/quotes/milk")[:2], (200, True))
        door.close()
        equal(Door().get("/v1/quotes/milk")[:2], (200, False))
        require(counted("http_certificates_total") == 2, counted("http_certificates_total"))
        contains(service.log(), " WEB-CERTIFICATE ")

    @check("no request is lost while certificates change under load")
    def _():
        wrong, asked, end = [], [0], threading.Event()

        def client():
            while not end.is_set():
                try:
                    door = Door()
                    for _ in range(5):
                        status, closes, quote = door.get("/v1/quotes/milk")
                        if status != 200 or quote["quote"]["amount"] != 100:
                            wrong.append((status, quote))
                        asked[0] += 1
                        if closes:
                            break
                    door.close()
                except Exception as error:
                    wrong.append(error)
        clients = [threading.Thread(target=client) for _ in range(3)]
        for thread in clients:
            thread.start()
        before = counted("http_certificates_total")
        for i, pair in enumerate((FIRST, SECOND, FIRST)):
            put(pair)
            wait_until(lambda: subject() == ("first", "second", "first")[i], 10, "the new certificate")
        wait_until(lambda: asked[0] > 200, 30, "requests")
        end.set()
        for thread in clients:
            thread.join()
        equal(wrong[:3], [])
        require(counted("http_certificates_total") >= before + 3, "renewals")

    @check("files that cannot be used change nothing, and the log says why: another's key, no PEM, a key that others may read")
    def _():
        def expose():
            SECRET.chmod(0o644)
            os.utime(SECRET)
        for what, spoil in (("not a certificate and its key", lambda: put_file(SECOND[1].read_text(), SECRET)),
                            ("not a certificate and its key", lambda: put_file("nonsense\n", CHAIN)), ("others may read it", expose)):
            taken = counted("http_certificates_total")
            put(FIRST)
            wait_until(lambda: counted("http_certificates_total") > taken and settled(), 10, "the files as they should be")
            before, told = counted("http_certificates_refused_total"), service.log().count("WEB-CERTIFICATE-REFUSED")
            spoil()
            wait_until(lambda: counted("http_certificates_refused_total") > before, 10, "the refusal")
            contains(service.log().split("WEB-CERTIFICATE-REFUSED")[told + 1].splitlines()[0], what)
            equal(subject(), "first")

    @check("docs/http.md: the certificate that is made as printed lets a client in that was given it")
    def _():
        page = (ROOT / "docs/http.md").read_text()
        making = page[page.index("openssl req -x509"):page.index("rialtod --set http_certificate_file=")]
        status, _, err = run("sh", "-c", making, cwd=FOLDER / "made")
        equal(status, 0, err)
        own = ssl.create_default_context(cafile=str(FOLDER / "made/chain.pem"))
        put((FOLDER / "made/chain.pem", FOLDER / "made/key.pem"))
        def taken_up():
            try:
                return Door(own, "localhost").get("/livez")[0] == 200
            except ssl.SSLCertVerificationError:
                return False
        wait_until(taken_up, 10, "the new certificate")
        contains(page, "curl --cacert chain.pem https://localhost:7480/livez")

    @check("the key stands in no log and no file of the data folder")
    def _():
        secret = SECRET.read_text().splitlines()[1]
        found = [str(path) for path in [service.log_path, *service.data.rglob("*")] if path.is_file() and secret.encode() in path.read_bytes()]
        equal(found, [])

    @check("a certificate without its key is refused by name before anything starts")
    def _():
        status, _, err = run(BIN / "rialtod", "--check", "--set", f"http_certificate_file={CHAIN}", "--set", f"models_dir={service.models}")
        require(status != 0 and "/http_certificate_file" in err and "http_key_file" in err, (status, err))

finish()
