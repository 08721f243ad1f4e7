"""Passwords that real vaults keep: HashiCorp Vault (or OpenBao), and Azure Key Vault as Lowkey Vault speaks it, with a real registry at the other end."""
import ctypes
import os
import time

from harness.api import Api
from harness.logins import Logins, write_secret
from harness.origin import free_port
from harness.story import Rows, skip
from harness.upstream import INDEX, MANIFEST
from harness.vault import ROOT_TOKEN, Issuer

USER = "robot"
FRESH = ((200, "fetch"), (200, "revalidated"))      # the registry took a login just now
REFERENCE = "vault:kv/team/hub#password"
AUDIENCE = "entrepot"


def private_directory(path):
    os.makedirs(path)
    return path


def passwords():
    number = 0
    while True:
        number += 1
        yield f"correct-horse-{number:03d}"


def cache_of(make_cache, registry, password, start=True, **tables):
    """Everything is asked for anew; `tables` are [vault] and [identity]. The file that `credentials` writes is not used."""
    cache = make_cache(registry, credentials=(USER, "not-this-one"), tag_ttl="0s", start=False)
    cache.settings.credential_sets[0]["password"] = password
    for name, table in tables.items():
        setattr(cache.settings, name, table)
    return cache.start() if start else cache


def served(cache, registry):
    reply = cache.get(f"/v2/{registry.login_server}/library/busybox/manifests/latest", {"Accept": f"{MANIFEST}, {INDEX}"})
    return reply.status, reply.header("x-entrepot-cache")


def until_served(cache, registry, timeout=10):
    """A vault is asked once a second at most, so what was changed is not seen in the same one."""
    end = time.monotonic() + timeout
    while (found := served(cache, registry)) not in FRESH and time.monotonic() < end:
        time.sleep(0.2)
    return found


def health(cache, name="secrets0"):
    """(status, code, message) after a check"""
    found = Api(cache).must("POST", f"/credential-sets/{name}/check")["authCredentials"][0]["credentialHealth"]
    return found["status"], found["errorCode"], found["errorMessage"]


def ways_in(vault, directory):
    """{name: [vault]}: the three ways to log in, all with the right to read kv/team/*."""
    vault.allow("team", "team/*")
    role_id, secret_id = vault.app_role("puller", token_policies="team")
    issuer = Issuer(directory)
    vault.jwt_role("puller", issuer, bound_audiences=AUDIENCE, token_policies="team")
    with open(f"{directory}/jwt", "w", encoding="ascii") as file:
        file.write(issuer.token(AUDIENCE))
    token = vault.token(policies=["team"], ttl="1h")
    common = {"address": vault.url, "ca_file": vault.ca_file or ""}
    return {"token": {**common, "token": write_secret(f"{directory}/token", token)},
            "approle": {**common, "approle": {"role_id": role_id, "secret_id": write_secret(f"{directory}/secret-id", secret_id)}},
            "jwt": {**common, "jwt": {"role": "puller", "file": f"{directory}/jwt"}}}, [token, secret_id]


def test_a_password_in_hashicorp_vault_is_read_by_every_login_and_follows_rotation(vault, make_cache, make_registry, directory):
    ways, secrets = ways_in(vault, directory)
    fresh_password = passwords()
    logins = Logins(f"{directory}/htpasswd", **{USER: next(fresh_password)})
    registry = make_registry(htpasswd=logins.path)
    with Rows() as rows:
        for way, table in ways.items():
            password = next(fresh_password)
            vault.keep("team/hub", password=password)
            logins.become(registry, **{USER: password})
            cache = cache_of(make_cache, registry, REFERENCE, vault=table)
            found = served(cache, registry)
            rows.check(found in FRESH, way, (found, health(cache)))
            newer = next(fresh_password)
            logins.become(registry, **{USER: newer})
            vault.keep("team/hub", password=newer)
            found = until_served(cache, registry)
            rows.check(found in FRESH, f"{way}, after a rotation", (found, health(cache)))
            rows.check(health(cache)[0] == "Healthy", f"{way}: health", health(cache))
            cache.secrets += [password, newer, *secrets]


def test_a_login_that_a_vault_forgets_is_made_anew(vault, make_cache, make_registry, directory):
    """Its tokens end after two seconds, may be used once, and are revoked: a rotation is followed all the same."""
    ways, _ = ways_in(vault, directory)
    fresh_password = passwords()
    password = next(fresh_password)
    logins = Logins(f"{directory}/htpasswd", **{USER: password})
    registry = make_registry(htpasswd=logins.path)
    vault.keep("team/hub", password=password)
    with Rows() as rows:
        for name, options, revoke in (("ends", {"token_ttl": "2s", "token_max_ttl": "2s"}, False), ("is used up", {"token_num_uses": 1}, False),
                                      ("is a batch token", {"token_type": "batch", "token_ttl": "2s"}, False), ("is revoked", {"token_ttl": "1h"}, True)):
            role = f"role-{len(name)}"
            role_id, secret_id = vault.app_role(role, token_policies="team", **options)
            table = {**ways["approle"], "approle": {"role_id": role_id, "secret_id": write_secret(f"{directory}/{role}", secret_id)}}
            cache = cache_of(make_cache, registry, REFERENCE, vault=table)
            rows.check(served(cache, registry) in FRESH, f"{name}: at first", health(cache))
            if revoke:
                vault.must("PUT", "sys/leases/revoke-prefix/auth/approle/login", {})
            time.sleep(2.5)
            password = next(fresh_password)
            logins.become(registry, **{USER: password})
            vault.keep("team/hub", password=password)
            found = until_served(cache, registry)
            rows.check(found in FRESH, name, (found, health(cache)))


def test_what_a_vault_refuses_is_told_with_what_to_do(vault, make_cache, make_registry, directory):
    """Unhealthy, with a code, and words that name what the operator has to look at; afterwards all is well without a restart."""
    ways, secrets = ways_in(vault, directory)
    password, ended, wrong = "correct-horse-battery", vault.token(policies=["team"], ttl="1s", explicit_max_ttl="1s"), "hunter2-secret-id"
    registry = make_registry(htpasswd=Logins(f"{directory}/htpasswd", **{USER: password}).path)
    for path in ("team/hub", "other/hub", "team/gone"):
        vault.keep(path, password=password)
    vault.must("DELETE", "kv/data/team/gone")
    issuer, stranger = Issuer(directory), Issuer(private_directory(f"{directory}/stranger"))
    vault.jwt_role("puller", issuer, bound_audiences=AUDIENCE, token_policies="team")
    token, root = ways["token"], {**ways["token"], "token": write_secret(f"{directory}/root", ROOT_TOKEN)}
    end = time.monotonic() + 10
    while vault.ask("GET", "kv/data/team/hub", token=ended)[0] == 200:
        assert time.monotonic() < end, "the vault's token does not end"
        time.sleep(0.1)

    def with_role(**fields):
        return {**ways["approle"], "approle": {**ways["approle"]["approle"], **fields}}

    def with_jwt(text, **fields):
        path = f"{directory}/jwt{len(secrets)}"
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        secrets.append(text)
        return {**ways["jwt"], "jwt": {"role": "puller", "file": path, **fields}}

    secrets = [*secrets, password, ended, wrong, ROOT_TOKEN]
    unreadable, unreachable = "SecretUnreadable", "Unreachable"
    ended_file = write_secret(f"{directory}/ended", ended)
    cases = (("no policy", "vault:kv/other/hub#password", token, unreadable, "answered 403: give our login a policy that reads kv/data/other/hub"),
             ("no secret", "vault:kv/team/none#password", token, unreadable, "answered 404: there is no such secret"),
             ("deleted", "vault:kv/team/gone#password", token, unreadable, "answered 404: its newest version is deleted"),
             ("no field", "vault:kv/team/hub#passwort", token, unreadable, "there is no such text in what the vault answered"),
             ("no engine", "vault:kv9/team/hub#password", root, unreadable, "answered 404 (nothing is mounted there)"),
             ("role id", REFERENCE, with_role(role_id="nobody"), unreadable, "(the role ID is unknown, or the secret ID is wrong or has ended)"),
             ("secret id", REFERENCE, with_role(secret_id=write_secret(f"{directory}/wrong", wrong)), unreadable, f"check role_id, the secret ID in file:{directory}/wrong"),
             ("no AppRole there", REFERENCE, with_role(mount="approle9"), unreadable, "that AppRole is at auth/approle9"),
             ("jwt role", REFERENCE, with_jwt(issuer.token(AUDIENCE), role="nobody"), unreadable, "answered 400 (it has no such role) to our login: check role"),
             ("jwt audience", REFERENCE, with_jwt(issuer.token("others")), unreadable, "(the token is for another audience)"),
             ("jwt ended", REFERENCE, with_jwt(issuer.token(AUDIENCE, life_s=-600)), unreadable, "(the token has ended)"),
             ("jwt of a stranger", REFERENCE, with_jwt(stranger.token(AUDIENCE)), unreadable, "(it does not trust the token's signature)"),
             ("authority", REFERENCE, {**token, "ca_file": ""}, unreachable, "is not trusted: issuer is not trusted; if a private authority vouches for it, set ca_file of [vault]"),
             ("ended token", REFERENCE, {**token, "token": ended_file}, unreadable, f"(the token has ended or was revoked): put a good one into {ended_file}"))
    with Rows() as rows:
        for name, reference, table, code, words in cases:
            cache = cache_of(make_cache, registry, reference, vault=table)
            found, said = served(cache, registry), health(cache)
            rows.check(found[0] in (403, 502), name, found)
            rows.check(said[:2] == ("Unhealthy", code) and words in (said[2] or ""), name, said)
            rows.check(not any(secret in str(said) for secret in secrets), f"{name}: no secret", said)
            cache.secrets += secrets
            cache.check_calm()
            if name == "ended token":
                write_secret(f"{directory}/ended", secrets[0])
                rows.check(until_served(cache, registry) in FRESH and health(cache)[0] == "Healthy", f"{name}, and a good one", health(cache))
                vault.must("PUT", "sys/seal", {})
                sealed = cache_of(make_cache, registry, REFERENCE, vault=table)
                served(sealed, registry)
                said = health(sealed)
                rows.check(said[:2] == ("Unhealthy", unreachable) and "answered 503 (it is sealed)" in said[2], "sealed", said)
            cache.stop()
            cache.expect_death = True


test_what_a_vault_refuses_is_told_with_what_to_do.limit_s = 180


def test_a_policys_refusal_leaves_no_tokens_behind_in_the_vault(vault, make_cache, make_registry, directory):
    """Each login makes a token that lives for weeks; clients that go on asking must not fill the vault with them."""
    ways, secrets = ways_in(vault, directory)
    vault.keep("other/hub", password="correct-horse-battery")
    registry = make_registry(htpasswd=Logins(f"{directory}/htpasswd", **{USER: "correct-horse-battery"}).path)
    cache = cache_of(make_cache, registry, "vault:kv/other/hub#password", vault=ways["approle"])

    def tokens():
        return len(vault.must("LIST", "auth/token/accessors")["data"]["keys"])

    before = tokens()
    end = time.monotonic() + 2.5        # more than two turns of asking
    while time.monotonic() < end:
        assert served(cache, registry)[0] == 403
    assert tokens() - before == 1, f"{tokens() - before} tokens"
    assert "give our login a policy" in health(cache)[2], health(cache)
    cache.secrets += secrets


def test_a_vault_without_tls_is_asked_as_its_address_says(make_vault, make_cache, make_registry, directory):
    vault = make_vault(tls=False)
    password = "correct-horse-battery"
    vault.keep("team/hub", password=password)
    registry = make_registry(htpasswd=Logins(f"{directory}/htpasswd", **{USER: password}).path)
    ways, secrets = ways_in(vault, directory)
    cache = cache_of(make_cache, registry, REFERENCE, vault=ways["approle"])
    assert served(cache, registry) in FRESH, health(cache)
    cache.secrets += [password, *secrets]


def identity_of(place, certificates, **more):
    return {"metadata": place.metadata_url, "arc_tokens": "/nonexistent/tokens", "ca_file": certificates.authority, **more}


def test_a_password_in_a_key_vault_is_read_by_version_and_without_one_it_follows_rotation(make_key_vault, certificates, make_cache, make_registry, directory):
    key_vault = make_key_vault(*certificates.server("key-vault", rsa=True))
    old, new = "correct-horse-battery", "staple-horse-battery"
    logins = Logins(f"{directory}/htpasswd", **{USER: old})
    registry = make_registry(htpasswd=logins.path)
    version = key_vault.keep("hub", old)
    table = identity_of(key_vault, certificates, key_vault=key_vault.url)
    newest = cache_of(make_cache, registry, "https://corp.vault.azure.net/secrets/hub", identity=table)
    pinned = cache_of(make_cache, registry, f"https://corp.vault.azure.net/secrets/hub/{version}", identity=table)
    with Rows() as rows:
        for name, cache in (("newest", newest), ("one version", pinned)):
            found = served(cache, registry)
            rows.check(found in FRESH, name, (found, health(cache)))
        key_vault.keep("hub", new)
        logins.become(registry, **{USER: new})
        found = until_served(newest, registry)
        rows.check(found in FRESH, "after a rotation", (found, health(newest)))
        rows.check(health(newest)[0] == "Healthy", "after a rotation: health", health(newest))
        time.sleep(1.2)
        found = served(pinned, registry)
        rows.check(found not in FRESH and health(pinned)[:2] == ("Unhealthy", "Unauthorized"), "one version stays what it was", (found, health(pinned)))
        newest.secrets += [old, new]


test_a_password_in_a_key_vault_is_read_by_version_and_without_one_it_follows_rotation.limit_s = 150


def with_own_hosts(directory, line):
    """For a child: it sees this line in /etc/hosts, and nobody else does."""
    if os.geteuid() != 0:
        skip("shows the server a file /etc/hosts of its own, for which it must be root")
    hosts = f"{directory}/hosts"
    with open(hosts, "w", encoding="ascii") as file:
        file.write(f"127.0.0.1 localhost\n{line}\n")

    def in_child():
        libc = ctypes.CDLL(None, use_errno=True)
        new_mounts, private_and_all, bind = 0x20000, (1 << 18) | 0x4000, 0x1000
        for done in (libc.unshare(new_mounts), libc.mount(b"none", b"/", None, private_and_all, None),
                     libc.mount(hosts.encode(), b"/etc/hosts", None, bind, None)):
            if done != 0:
                raise OSError(ctypes.get_errno(), "no mounts of its own")

    return in_child


def test_a_key_vault_behind_a_private_endpoint_shows_a_wildcard_certificate(make_key_vault, certificates, make_cache, make_registry, directory):
    """The vault's own name leads to a private address, as a private endpoint's does, and it is trusted by that name."""
    host = "corp.vault.azure.net"
    key_vault = make_key_vault(*certificates.server("key-vault", names=("DNS:*.vault.azure.net",), rsa=True), host=host)
    password = "correct-horse-battery"
    registry = make_registry(htpasswd=Logins(f"{directory}/htpasswd", **{USER: password}).path)
    key_vault.keep("hub", password)
    key_vault.keep("off", password, enabled=False)
    hosts = with_own_hosts(directory, f"127.0.0.1 {host}")
    elsewhere = identity_of(key_vault, certificates)      # at port 443, where nobody listens here
    here = {**elsewhere, "key_vault": f"https://{host}:{key_vault.port}"}
    unreadable, unreachable = "SecretUnreadable", "Unreachable"
    cases = (("as it should be", "hub", here, None, None),
             ("private without permission", "hub", elsewhere, unreadable, "is on a private address; set allow_private of [identity] if that is meant"),
             ("private with permission", "hub", {**elsewhere, "allow_private": True}, unreachable, f"https://{host} refuses connections"),
             ("authority", "hub", {**here, "ca_file": ""}, unreachable, "issuer is not trusted; if a private authority vouches for it, set ca_file of [identity]"),
             ("another name", "hub", {**here, "key_vault": key_vault.url}, unreachable, "certificate is for *.vault.azure.net, not for 127.0.0.1"),
             ("no secret", "none", here, unreadable, "the vault answered 404: there is no such secret"),
             ("a disabled secret", "off", here, unreadable, "the vault answered 404: there is no such secret"),
             ("no identity", "hub", {**here, "metadata": f"http://127.0.0.1:{free_port()}"}, unreachable, "no token for the identity: http://127.0.0.1:"))
    with Rows() as rows:
        for name, secret, table, code, words in cases:
            cache = cache_of(make_cache, registry, f"https://{host}/secrets/{secret}", start=False, identity=table)
            cache.limits = hosts
            cache.start()
            found, said = served(cache, registry), health(cache)
            if code:
                rows.check(found[0] in (403, 502) and said[:2] == ("Unhealthy", code) and words in said[2], name, (found, said))
            else:
                rows.check(found in FRESH and said[0] == "Healthy", name, (found, said))
            cache.secrets.append(password)
            cache.check_calm()
            cache.stop()
            cache.expect_death = True


test_a_key_vault_behind_a_private_endpoint_shows_a_wildcard_certificate.limit_s = 180
