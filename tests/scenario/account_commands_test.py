"""entrepot account and entrepot token: passwords that never stand in arguments, secrets that are shown once, and pulls with them."""
import base64
import os

from harness.command import OnTerminal, entrepot, fails, succeeds

PASSWORD = "correct-horse-battery"


def basic(name, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def private_cache(make_cache, make_upstream):
    hub = make_upstream(login_server="docker.io")
    image = hub.offers_image(repository="library/alpine", tag="latest")
    cache = make_cache(hub, rules=[], server={"default_rules": False})
    cache.secrets.append(PASSWORD)
    return cache, image


def status_of_pull(cache, name, password, repository="hub/library/alpine"):
    return cache.get(f"/v2/{repository}/manifests/latest", basic(name, password)).status


def test_an_account_pulls_what_a_rule_lets_it(make_cache, make_upstream):
    cache, _ = private_cache(make_cache, make_upstream)
    created = succeeds(cache, "account", "create", "-n", "alice", "--password-stdin", stdin=f"{PASSWORD}\n")
    assert created.rows()[1][:3] == ["alice", "password", "**"] and PASSWORD not in created.out + created.err, created
    succeeds(cache, "cache", "create", "-n", "docker-hub", "-s", "docker.io/*", "-t", "hub/*", "--pull", "alice")
    assert status_of_pull(cache, "alice", PASSWORD) == 200
    assert status_of_pull(cache, "alice", "wrong-password") == 401
    taken = fails(cache, "account", "create", "-n", "alice", "--password-stdin", stdin="another-password\n")
    assert taken == 'entrepot: there is an account "alice" already; choose another name, or update that one (AlreadyExists)', taken
    changed = f"{cache.directory}/alice.pass"
    with open(changed, "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write("another-password\n")
    succeeds(cache, "account", "update", "-n", "alice", "--password-file", changed)
    assert (status_of_pull(cache, "alice", PASSWORD), status_of_pull(cache, "alice", "another-password")) == (401, 200)
    assert succeeds(cache, "account", "update", "-n", "alice", "--repositories", "team/**,lab/*", "-o", "json").json()["repositories"] == ["team/**", "lab/*"]
    assert status_of_pull(cache, "alice", "another-password") != 200
    os.chmod(changed, 0o644)
    assert "chmod 0600" in fails(cache, "account", "update", "-n", "alice", "--password-file", changed)
    assert "-y" in fails(cache, "account", "delete", "-n", "alice")
    note = 'note: cache rule "docker-hub" still names account "alice": whoever is created by that name may pull through it'
    would = succeeds(cache, "account", "delete", "-n", "alice", "--dry-run")
    assert "1 to delete" in would.out and note.removeprefix("note: ") in would.out, would
    asked = OnTerminal(cache, "account", "delete", "-n", "alice").until('still names account "alice"').until("Delete account").types("n\n").ends()
    assert asked.status == 1 and succeeds(cache, "account", "show", "-n", "alice"), asked.shown
    deleted = succeeds(cache, "account", "delete", "-n", "alice", "-y")
    assert not deleted.out and note in deleted.err and len(deleted.err.splitlines()) == 1, deleted
    assert succeeds(cache, "account", "list", "-o", "json").json() == []


def test_a_password_is_typed_twice_and_not_seen(make_cache, make_upstream):
    cache, _ = private_cache(make_cache, make_upstream)
    typed = OnTerminal(cache, "account", "create", "-n", "alice").until("Password: ").until_silent().types(f"{PASSWORD}\n").until("Again: ").until_silent()
    typed.types(f"{PASSWORD}\n").ends()
    assert typed.status == 0 and PASSWORD not in typed.shown and "alice" in typed.shown, typed.shown
    differs = OnTerminal(cache, "account", "update", "-n", "alice").until("Password: ").until_silent().types(f"{PASSWORD}\n").until("Again: ").until_silent().types("something-else\n").ends()
    assert differs.status == 1 and "differ" in differs.shown and "something-else" not in differs.shown, differs.shown


def test_an_interrupted_password_leaves_the_terminal_as_it_was(make_cache, make_upstream):
    cache, _ = private_cache(make_cache, make_upstream)
    interrupted = OnTerminal(cache, "account", "create", "-n", "alice").until("Password: ").until_silent().types("half\x03")
    interrupted.ends()
    assert interrupted.status != 0 and "half" not in interrupted.shown, interrupted.shown
    assert "no terminal" in fails(cache, "account", "create", "-n", "alice")
    assert "empty" in fails(cache, "account", "create", "-n", "alice", "--password-stdin", stdin="\n")
    assert succeeds(cache, "account", "list", "-o", "json").json() == []


def test_a_token_is_shown_once_and_ends_when_it_was_said(make_cache, make_upstream):
    cache, _ = private_cache(make_cache, make_upstream)
    made = succeeds(cache, "token", "create", "-n", "ci-runner", "--repositories", "hub/**", "--expires", "90d", "-o", "tsv")
    name, secret, repositories, expires = made.out.rstrip("\n").split("\t")
    assert (name, repositories) == ("ci-runner", "hub/**") and secret.startswith("ept_") and expires.endswith("Z"), made.out
    cache.secrets.append(secret)
    succeeds(cache, "cache", "create", "-n", "docker-hub", "-s", "docker.io/*", "-t", "hub/*", "--pull", "ci-runner")
    assert status_of_pull(cache, "ci-runner", secret) == 200
    for words in (["token", "list"], ["account", "list"], ["account", "show", "-n", "ci-runner"], ["export"], ["status"]):
        for form in ("table", "json", "tsv"):
            assert secret not in succeeds(cache, *words, "-o", form).out, words
    succeeds(cache, "account", "create", "-n", "alice", "--password-stdin", stdin=PASSWORD)
    assert [row[0] for row in succeeds(cache, "token", "list").rows()[1:]] == ["ci-runner"]
    shown = succeeds(cache, "token", "create", "-n", "second", "--expires", "2099-01-31T00:00:00Z").out
    assert "shown this once" in shown and "2099-01-31T00:00:00Z" in shown, shown
    assert entrepot(cache, "token", "delete", "-n", "ci-runner", "-y").status == 0
    assert status_of_pull(cache, "ci-runner", secret) == 401
