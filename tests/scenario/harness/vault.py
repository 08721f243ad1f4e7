"""A real HashiCorp Vault, or OpenBao, which speaks the same: its development server, with nothing kept and root's token known."""
import base64
import json
import os
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request

from .origin import free_port
from .service import Service

ROOT_TOKEN = "root-token-of-a-scenario"
PROGRAMS = ("vault", "bao")


def vault_program():
    """ENTREPOT_TEST_VAULT, else the first in PATH, else None."""
    return next((found for name in (os.environ.get("ENTREPOT_TEST_VAULT"), *PROGRAMS) if name and (found := shutil.which(name))), None)


class Vault(Service):
    def __init__(self, directory, program, tls=True):
        self.port = free_port()
        self.directory = directory
        self.ca_file = f"{directory}/vault-ca.pem" if tls else None     # it makes its own authority when it starts
        arguments = [program, "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={ROOT_TOKEN}", f"-dev-listen-address=127.0.0.1:{self.port}"]
        if tls:
            arguments += ["-dev-tls", f"-dev-tls-cert-dir={directory}"]
        super().__init__("vault", arguments, f"{directory}/vault.log", self._answers, {**os.environ, "HOME": directory})

    @property
    def url(self):
        return f"http{'s' if self.ca_file else ''}://127.0.0.1:{self.port}"

    def start(self, timeout=60):
        super().start(timeout)
        self.must("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
        end = time.monotonic() + timeout
        # A new engine of version 2 prepares itself for a moment, and refuses meanwhile.
        while self.ask("POST", "kv/data/first", {"data": {"is": "ready"}})[0] != 200:
            assert time.monotonic() < end, "the key-value engine does not become ready"
            time.sleep(0.1)
        return self

    def version(self):
        return self.must("GET", "sys/seal-status")["version"]

    def ask(self, method, path, document=None, token=ROOT_TOKEN):
        """(status, document)"""
        request = urllib.request.Request(f"{self.url}/v1/{path}", None if document is None else json.dumps(document).encode(), {"X-Vault-Token": token},
                                         method=method)
        context = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def must(self, method, path, document=None):
        status, answer = self.ask(method, path, document)
        assert status < 300, f"{method} {path}: {status} {answer}"
        return answer

    def _answers(self):
        return (not self.ca_file or os.path.exists(self.ca_file)) and self.ask("GET", "sys/health")[0] == 200

    # ---- what an operator writes into it

    def keep(self, path, **fields):
        """A new version of the secret kv/PATH."""
        self.must("POST", f"kv/data/{path}", {"data": fields})

    def allow(self, policy, path):
        self.must("PUT", f"sys/policies/acl/{policy}", {"policy": f'path "kv/data/{path}" {{ capabilities = ["read"] }}'})

    def token(self, **options):
        return self.must("POST", "auth/token/create-orphan", options)["auth"]["client_token"]

    def app_role(self, role, **options):
        """(role id, secret id)"""
        if "approle/" not in self.must("GET", "sys/auth")["data"]:
            self.must("POST", "sys/auth/approle", {"type": "approle"})
        self.must("POST", f"auth/approle/role/{role}", options)
        return (self.must("GET", f"auth/approle/role/{role}/role-id")["data"]["role_id"],
                self.must("POST", f"auth/approle/role/{role}/secret-id", {})["data"]["secret_id"])

    def jwt_role(self, role, issuer, **options):
        if "jwt/" not in self.must("GET", "sys/auth")["data"]:
            self.must("POST", "sys/auth/jwt", {"type": "jwt"})
        self.must("POST", "auth/jwt/config", {"jwt_validation_pubkeys": [issuer.public_key], "bound_issuer": issuer.name})
        self.must("POST", f"auth/jwt/role/{role}", {"role_type": "jwt", "user_claim": "sub", **options})


class Issuer:
    """Somebody whose signed tokens a vault believes, as a cluster's are (RFC 7519, RS256)."""
    name = "https://issuer.test"

    def __init__(self, directory):
        self.key = f"{directory}/issuer.key"
        self._openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.key)
        self.public_key = self._openssl("pkey", "-in", self.key, "-pubout").decode()

    def token(self, audience, subject="node-7", life_s=600):
        claims = {"iss": self.name, "sub": subject, "aud": audience, "iat": int(time.time()) - 5, "exp": int(time.time()) + life_s}
        signed = ".".join(base64url(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, claims))
        return f"{signed}.{base64url(self._openssl('dgst', '-sha256', '-sign', self.key, given=signed.encode()))}"

    @staticmethod
    def _openssl(*arguments, given=b""):
        done = subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=False)
        assert done.returncode == 0, f"openssl {arguments[0]}: {done.stderr.decode()}"
        return done.stdout


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
