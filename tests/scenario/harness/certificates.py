"""A private certificate authority and the certificates that go wrong in the usual ways, made with openssl."""
import os
import ssl
import subprocess


class Certificates:
    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory, exist_ok=True)
        self.authority = self._authority("authority")
        self.stranger = self._authority("stranger")

    def path(self, name):
        return f"{self.directory}/{name}"

    def server(self, name="server", names=("DNS:localhost", "IP:127.0.0.1"), authority=None, period=None, rsa=False):
        """Returns (certificate chain, key) for these names; `period` is (start, end) as YYYYMMDDhhmmssZ."""
        authority = authority or self.authority
        chain, key = self.path(f"{name}.crt"), self.path(f"{name}.key")
        request, extensions, alone = self.path(f"{name}.csr"), self.path(f"{name}.ext"), self.path(f"{name}.alone")
        with open(extensions, "w", encoding="ascii") as file:
            file.write(f"basicConstraints=CA:FALSE\nsubjectAltName={','.join(names)}\nextendedKeyUsage=serverAuth\nkeyUsage=digitalSignature\n")
        if rsa:
            self._openssl("genrsa", "-out", key, "2048")
        else:
            self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        self._openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", request)
        if period:
            self._sign_for(period, request, extensions, alone, authority)
        else:
            self._openssl("x509", "-req", "-in", request, "-CA", authority, "-CAkey", authority.replace(".crt", ".key"), "-CAcreateserial",
                          "-days", "2", "-extfile", extensions, "-out", alone)
        with open(chain, "wb") as out:
            for part in (alone, authority):
                with open(part, "rb") as file:
                    out.write(file.read())
        return chain, key

    def signer(self, name="signer"):
        """(certificate, RSA key) of somebody who signs documents."""
        certificate, key = self.path(f"{name}.crt"), self.path(f"{name}.key")
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", key, "-out", certificate)
        return certificate, key

    def server_context(self, *arguments, **keywords):
        chain, key = self.server(*arguments, **keywords)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        return context

    def client_context(self, authority=None):
        context = ssl.create_default_context(cafile=authority or self.authority)
        return context

    def _authority(self, name):
        certificate, key = self.path(f"{name}.crt"), self.path(f"{name}.key")
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        self._openssl("req", "-x509", "-new", "-key", key, "-days", "30", "-subj", f"/CN=entrepot test {name}", "-out", certificate,
                      "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        return certificate

    def _sign_for(self, period, request, extensions, out, authority):
        """`openssl x509` of Debian 12 cannot set the start; `openssl ca` can."""
        config = self.path("ca.cnf")
        database = self.path("ca.db")
        open(database, "w", encoding="ascii").close()
        with open(config, "w", encoding="ascii") as file:
            file.write(f"[ca]\ndefault_ca=here\n[here]\ndatabase={database}\nnew_certs_dir={self.directory}\nrand_serial=yes\n"
                       "default_md=sha256\npolicy=any\nunique_subject=no\n[any]\ncommonName=supplied\n")
        self._openssl("ca", "-batch", "-config", config, "-cert", authority, "-keyfile", authority.replace(".crt", ".key"), "-in", request,
                      "-out", out, "-extfile", extensions, "-startdate", period[0], "-enddate", period[1], "-notext")

    def _openssl(self, *arguments):
        done = subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"openssl {' '.join(arguments)}: {done.stderr}"
