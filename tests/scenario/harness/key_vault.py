"""Lowkey Vault, which speaks Azure Key Vault's REST API over TLS and gives out tokens as the instance metadata service does. It believes any token."""
import json
import os
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request

from .origin import free_port
from .service import Service

JAR = "ENTREPOT_TEST_LOWKEY_VAULT_JAR"


def java_program():
    """That of JAVA_HOME, else the one in PATH, else None."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which(f"{home}/bin/java" if home else "java")


class KeyVault(Service):
    """`chain` and `key` (RSA, as Azure's) are what it shows over TLS; `host` is the vault's name besides 127.0.0.1."""

    def __init__(self, directory, chain, key, host="localhost"):
        self.port, self.token_port = free_port(), free_port()
        self.host = host
        store = f"{directory}/key-vault.p12"
        subprocess.run(["openssl", "pkcs12", "-export", "-in", chain, "-inkey", key, "-name", "tls", "-passout", "pass:changeit", "-out", store],
                       check=True, capture_output=True)
        arguments = [java_program(), "-Xmx256m", "-XX:TieredStopAtLevel=1", "-jar", os.environ[JAR], "--server.address=127.0.0.1",
                     f"--server.port={self.port}", f"--app.token.port={self.token_port}", "--LOWKEY_VAULT_NAMES=",
                     f"--LOWKEY_VAULT_ALIASES=127.0.0.1={host}:{self.port}" if host != "localhost" else "--LOWKEY_VAULT_ALIASES=",
                     f"--server.ssl.key-store=file:{store}", "--server.ssl.key-store-password=changeit"]
        super().__init__("lowkey-vault", arguments, f"{directory}/key-vault.log", self._answers)

    def start(self, timeout=80):
        return super().start(timeout)

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    @property
    def metadata_url(self):
        return f"http://127.0.0.1:{self.token_port}"

    def ask(self, method, path, document=None):
        """(status, document)"""
        request = urllib.request.Request(f"{self.url}{path}?api-version=7.4", None if document is None else json.dumps(document).encode(),
                                         {"Authorization": "Bearer of-the-scenario", "Content-Type": "application/json"}, method=method)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE      # the cache is the one that must look
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def keep(self, name, value, **attributes):
        """Writes a new version of the secret and returns it."""
        status, answer = self.ask("PUT", f"/secrets/{name}", {"value": value, "attributes": attributes})
        assert status == 200, (status, answer)
        return answer["id"].rsplit("/", 1)[1]

    def _answers(self):
        return self.ask("GET", "/secrets/none")[0] == 404
