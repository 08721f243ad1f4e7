"""What Azure does for machines with managed identities, played on loopback: the machine's metadata endpoint, a registry's two token endpoints, a key vault.

The tokens that are sold in the end are real: JWTs that a docker-registry with `auth: token` checks by itself (signature, issuer, audience, repository)."""
import base64
import json
import secrets
import subprocess
import time
import urllib.parse

from .origin import Answer, Origin

ISSUER = "registry tokens"


class Metadata(Origin):
    """http://169.254.169.254 of a virtual machine (IMDS): gives whoever asks on that machine a token of its identity, or says that it has none."""

    def __init__(self, has_identity=True):
        super().__init__()
        self.has_identity = has_identity
        self.given = {}                     # token -> for whom it is

    def respond(self, request):
        asked = urllib.parse.parse_qs(request.query)
        if request.path != "/metadata/identity/oauth2/token" or request.header("metadata") != "true" or not asked.get("resource"):
            return document(400, {"error": "invalid_request"})
        if not self.has_identity:
            return document(400, {"error": "invalid_request", "error_description": "Identity not found"})
        token = secrets.token_urlsafe(48)
        self.given[token] = asked["resource"][0]
        return document(200, {"access_token": token, "expires_in": "3599", "resource": asked["resource"][0], "token_type": "Bearer"})


class KeyVault(Origin):
    """Shows its secrets to identities that have the right to get them."""

    def __init__(self, metadata, secrets):
        super().__init__()
        self.metadata = metadata
        self.secrets = secrets
        self.may_get = False

    def respond(self, request):
        kind, _, token = (request.header("authorization") or "").partition(" ")
        if kind != "Bearer" or self.metadata.given.get(token) != "https://vault.azure.net":
            return document(401, {"error": {"code": "Unauthorized"}})
        name = request.path.removeprefix("/secrets/")
        if not self.may_get or name not in self.secrets:
            return document(404 if self.may_get else 403, {"error": {"code": "SecretNotFound" if self.may_get else "Forbidden"}})
        return document(200, {"value": self.secrets[name], "id": f"https://mykeyvault.vault.azure.net{request.path}/1"})


class TokenService(Origin):
    """/oauth2/exchange and /oauth2/token of an Azure registry. The identity has a role to read `readable`, and nothing else."""

    def __init__(self, metadata, login_server, readable=None, certificate=None, key=None):
        super().__init__()
        self.metadata = metadata
        self.login_server = login_server
        self.readable = readable
        self.certificate = certificate      # of the key that signs
        self.key = key
        self.given = set()

    @property
    def realm(self):
        return f"{self.url}/oauth2/token"

    def respond(self, request):
        form = {name: values[0] for name, values in urllib.parse.parse_qs(request.body.decode()).items()}
        if request.method != "POST" or form.get("service") != self.login_server:
            return self._refuses()
        audience = self.metadata.given.get(form.get("access_token"))
        if request.path == "/oauth2/exchange" and form.get("grant_type") == "access_token" and audience == "https://containerregistry.azure.net":
            refresh = secrets.token_urlsafe(48)
            self.given.add(refresh)
            return document(200, {"refresh_token": refresh})
        if request.path == "/oauth2/token" and form.get("grant_type") == "refresh_token" and form.get("refresh_token") in self.given:
            kind, repository, actions = form.get("scope", "").split(":")
            if (kind, repository, actions) == ("repository", self.readable, "pull"):
                return document(200, {"access_token": self.signed(repository)})
        return self._refuses()

    def signed(self, repository):
        now = int(time.time())
        with open(self.certificate, encoding="ascii") as file:
            der = "".join(file.read().split("-----")[2].split())
        claims = {"iss": ISSUER, "sub": "identity", "aud": self.login_server, "exp": now + 300, "nbf": now - 10, "iat": now, "jti": secrets.token_hex(8),
                  "access": [{"type": "repository", "name": repository, "actions": ["pull"]}]}
        text = ".".join(base64url(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "RS256", "x5c": [der]}, claims))
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key], input=text.encode(), capture_output=True, check=True).stdout
        return f"{text}.{base64url(signature)}"

    def _refuses(self):
        return document(401, {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]})


def document(status, content):
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(content).encode())


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
