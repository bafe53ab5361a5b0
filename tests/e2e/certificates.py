"""certificates.py - authorities and certificates of a test's own, made by openssl(1): EC keys, a day."""
from rialto_test import *


class Authority:
    def __init__(self, name="Test"):
        self.folder = temporary_folder("ca.")
        self.certificate, self.key = self.folder / "ca.pem", self.folder / "ca.key"
        openssl("req", "-x509", *KEY, "-keyout", self.key, "-out", self.certificate, "-days", "1", "-subj", f"/CN={name} CA",
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
        self.number = 0

    def sign(self, subject, names="IP:127.0.0.1,DNS:localhost", use="serverAuth"):
        """(certificate, key): files of mode 0600."""
        self.number += 1
        made = self.folder / f"{self.number}.pem", self.folder / f"{self.number}.key"
        request, extensions = self.folder / "request", self.folder / "extensions"
        extensions.write_text(f"extendedKeyUsage={use}\n" + (f"subjectAltName={names}\n" if names else ""))
        openssl("req", *KEY, "-keyout", made[1], "-out", request, "-subj", f"/CN={subject}")
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-set_serial", str(self.number), "-days", "1",
                "-extfile", extensions, "-out", made[0])
        for file in made:
            file.chmod(0o600)
        return made


KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*words):
    status, out, err = run("openssl", *words)
    require(status == 0, f"openssl {' '.join(map(str, words))}: {err}")
    return out
