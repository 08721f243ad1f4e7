"""The commands that speak to a running server: what they do, what they show, and how they fail."""
import json
import os
import shutil
import socket
import subprocess
import tempfile

from harness.cache import BINARY
from harness.command import OnTerminal, entrepot, environment_of, fails, one_line, succeeds
from harness.origin import Answer, Origin, free_port
from harness.service import die_with_parent
from harness.story import Rows
from harness.upstream import Basic

GROUPS = {"cache": ["create", "show", "list", "update", "delete", "explain", "sync", "purge"],
          "credential-set": ["create", "show", "list", "update", "delete", "check"],
          "account": ["create", "show", "list", "update", "delete"], "token": ["create", "list", "delete"]}
COMMANDS = [["apply"], ["export"], ["status"]] + [[group, name] for group, names in GROUPS.items() for name in names]
RULE = ["-n", "docker-hub", "-s", "docker.io/*", "-t", "hub/*"]


class StandIn(Origin):
    """Whatever else may listen where a command looks for a server: one answer for everything."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def respond(self, request):
        return self.answer


def json_answer(document, status=200):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Answer(status, {"Content-Type": "application/json"}, body)


def asking(address, *words, **options):
    return entrepot(None, *words, "-r", address, **options)


# ---- usage

def test_every_command_has_help_with_an_example():
    with Rows() as rows:
        for words in [[]] + [[group] for group in GROUPS] + COMMANDS:
            done = entrepot(None, *words, "--help")
            rows.check(done.status == 0 and not done.err, words, done)
            rows.check("Example:\n  entrepot " in done.out, words, done.out[-300:])


def test_wrong_usage_is_two_and_one_line_that_names_the_help():
    wrong = [["cache"], ["cache", "nothing"], ["cache", "create"], ["cache", "create", "-n", "hallo"], ["cache", "list", "-o", "xml"], ["cache", "list", "extra"],
             ["cache", "show"], ["cache", "show", "-n", "a", "-n", "b"], ["cache", "show", "-n"], ["cache", "show", "-n", ""], ["cache", "explain", ""], ["cache", "explain"], ["cache", "explain", "a", "--style", "path"],
             ["credential-set", "create", "-n", "hallo", "-l", "docker.io", "-u", "env:A"], ["apply"], ["status", "--timeout"], ["export", "-g", "group"],
             ["account", "create"], ["token", "create"]]
    with Rows() as rows:
        for words in wrong:
            done = entrepot(None, *words)
            rows.check(done.status == 2 and one_line(done.err) and not done.out, words, done)
            rows.check("--help" in done.err and "entrepot" in done.err, words, done.err)


def test_contradictions_are_wrong_usage_and_ask_nobody():
    wrong = [["cache", "update", "-n", "hallo"], ["cache", "update", "-n", "hallo", "-c", "a", "--remove-cred-set"],
             ["cache", "update", "-n", "hallo", "--identity", "a", "--remove-identity"], ["cache", "create", *RULE, "-c", "a", "--identity", "b"],
             ["credential-set", "update", "-n", "hallo"], ["cache", "sync", "rule-a:"], ["cache", "sync", ":latest"], ["cache", "purge"],
             ["cache", "purge", "-n", "a", "--repository", "b"], ["cache", "purge", "-n", "a", "--tag", "b"],
             ["cache", "explain", "a", "--with-rule", "docker.io/*"], ["status", "--timeout", "soon"], ["status", "--timeout", "0s"], ["status", "-r", "https://x"],
             ["token", "create", "-n", "a", "--expires", "tomorrow"], ["account", "create", "-n", "a", "--password-stdin", "--password-file", "b"]]
    with Rows() as rows:
        for words in wrong:
            done = entrepot(None, *words, environment={"ENTREPOT_ADMIN": "127.0.0.1:1"})
            rows.check(done.status == 2 and one_line(done.err) and not done.out, words, done)


def test_what_was_written_for_az_may_name_its_resource_group(cache):
    group = ["-g", "my-group"]
    succeeds(cache, "cache", "create", *RULE, *group)
    succeeds(cache, "cache", "update", "-n", "docker-hub", "--tag-ttl", "5m", "--resource-group", "my-group")
    assert succeeds(cache, "cache", "show", "-n", "docker-hub", *group).out == succeeds(cache, "cache", "show", "-n", "docker-hub").out
    assert succeeds(cache, "cache", "list", *group).out == succeeds(cache, "cache", "list").out
    pair = ["-u", "env:A", "-p", "env:B"]
    succeeds(cache, "credential-set", "create", "-n", "hub-login", "-l", "docker.io", *pair, *group)
    succeeds(cache, "credential-set", "update", "-n", "hub-login", *pair, *group)
    for words in (["show", "-n", "hub-login"], ["list"], ["delete", "-n", "hub-login", "-y"]):
        succeeds(cache, "credential-set", *words, *group)
    succeeds(cache, "cache", "delete", "-n", "docker-hub", "-y", *group)
    assert "Accepted, not needed" in succeeds(cache, "cache", "create", "--help").out


# ---- rules

def test_a_rule_is_created_shown_listed_changed_and_deleted(cache):
    created = succeeds(cache, "cache", "create", "-n", "ubuntu-rule", "-s", "docker.io/ubuntu", "-t", "ubuntu", "-o", "json").json()
    assert created["sourceRepository"] == "docker.io/library/ubuntu" and created["targetRepository"] == "ubuntu"
    assert created["credentialSetResourceId"] is None and created["provisioningState"] == "Succeeded" and created["creationDate"].endswith("Z")

    header, row = succeeds(cache, "cache", "show", "-n", "ubuntu-rule").rows()[:2]
    assert header == ["Name", "Source", "Target", "Credentials", "State", "Created"], header
    assert row == ["ubuntu-rule", "docker.io/library/ubuntu", "ubuntu", "-", "Succeeded", created["creationDate"]], row
    listed = succeeds(cache, "cache", "list").rows()
    assert row in listed and listed[0] == header, listed
    assert [rule["name"] for rule in succeeds(cache, "cache", "list", "-o", "json").json()] == [line[0] for line in listed[1:]]
    assert "\t".join(["ubuntu-rule", "docker.io/library/ubuntu", "ubuntu", "", "Succeeded", created["creationDate"]]) in succeeds(cache, "cache", "list", "-o", "tsv").out.splitlines()

    changed = succeeds(cache, "cache", "update", "-n", "ubuntu-rule", "-t", "os/ubuntu", "-s", "quay.io/ubuntu/ubuntu", "--tag-ttl", "5m", "--stale-missing", "24h",
                       "--platforms", "linux/amd64,linux/arm64", "--deny", "", "-o", "json").json()
    assert changed["targetRepository"] == "os/ubuntu" and changed["sourceRepository"] == "quay.io/ubuntu/ubuntu" and changed["tagTtl"] == "5m"
    assert changed["stale"]["missing"] == "24h" and changed["platforms"] == ["linux/amd64", "linux/arm64"] and changed["etag"] != created["etag"]
    reset = succeeds(cache, "cache", "update", "-n", "ubuntu-rule", "--tag-ttl", "default", "--stale-missing", "default", "--platforms", "", "-o", "json").json()
    assert (reset["tagTtl"], reset["stale"], reset["platforms"]) == (created["tagTtl"], created["stale"], [])

    assert succeeds(cache, "cache", "delete", "-n", "ubuntu-rule", "--yes").out == ""
    assert "ubuntu-rule" in fails(cache, "cache", "show", "-n", "ubuntu-rule")


def test_an_existing_name_is_left_alone_unless_replacing_is_meant(cache):
    succeeds(cache, "cache", "create", *RULE, "--tag-ttl", "5m")
    refused = fails(cache, "cache", "create", "-n", "docker-hub", "-s", "quay.io/*", "-t", "quay/*")
    assert "docker-hub" in refused and "--replace" in refused, refused
    assert succeeds(cache, "cache", "show", "-n", "docker-hub", "-o", "json").json()["sourceRepository"] == "docker.io/*"
    replaced = succeeds(cache, "cache", "create", "-n", "docker-hub", "-s", "quay.io/*", "-t", "quay/*", "--replace", "-o", "json").json()
    assert replaced["sourceRepository"] == "quay.io/*" and replaced["tagTtl"] == "60s", replaced
    assert succeeds(cache, "cache", "create", "-n", "new-rule", "-s", "ghcr.io/*", "-t", "ghcr/*", "--replace", "-o", "json").json()["name"] == "new-rule"


def test_a_dry_run_says_what_would_change_and_changes_nothing(cache):
    assert "+  cache rule  docker-hub  docker.io/* => hub/*" in succeeds(cache, "cache", "create", *RULE, "--dry-run").out
    assert "docker-hub" not in succeeds(cache, "cache", "list").out
    succeeds(cache, "cache", "create", *RULE)
    would = succeeds(cache, "cache", "update", "-n", "docker-hub", "--tag-ttl", "5m", "--dry-run").out
    assert "~  cache rule  docker-hub  tagTtl: 60s -> 5m" in would and "1 to change" in would, would
    would = succeeds(cache, "cache", "delete", "-n", "docker-hub", "--dry-run").out
    assert "-  cache rule  docker-hub" in would and "1 to delete" in would, would
    assert succeeds(cache, "cache", "show", "-n", "docker-hub", "-o", "json").json()["tagTtl"] == "60s"
    inside = succeeds(cache, "cache", "create", "-n", "static-rule", "-s", "quay.io/a/b", "-t", "hub/a/b", "--dry-run").out
    assert "note:" in inside and "docker-hub" in inside, inside
    assert "docker-hub" in fails(cache, "cache", "create", "-n", "inner-rule", "-s", "quay.io/*", "-t", "hub/inner/*", "--dry-run")


def test_a_long_list_comes_page_by_page_and_whole(cache):
    count = 2500
    rules = [{"name": f"rule-{number:05}", "sourceRepository": f"docker.io/team/image-{number}", "targetRepository": f"team/image-{number}"} for number in range(count)]
    succeeds(cache, "apply", "-", stdin=json.dumps({"cacheRules": rules}))
    names = [line.split("\t")[0] for line in succeeds(cache, "cache", "list", "-o", "tsv").out.splitlines()]
    assert [name for name in names if name.startswith("rule-")] == [rule["name"] for rule in rules], len(names)


# ---- credential sets

def test_a_credential_set_is_created_shown_changed_used_and_deleted(cache):
    made = ["credential-set", "create", "-n", "hub-login", "-l", "docker.io", "-u", "env:HUB_USER", "-p", "env:HUB_PASS"]
    succeeds(cache, *made)
    assert "--replace" in fails(cache, *made)
    header, row = succeeds(cache, "credential-set", "list").rows()[:2]
    assert header == ["Name", "LoginServer", "Username", "Password", "Health", "Created"] and row[:4] == ["hub-login", "docker.io", "env:HUB_USER", "env:HUB_PASS"]
    changed = succeeds(cache, "credential-set", "update", "-n", "hub-login", "-p", "env:NEW_PASS", "--secondary-username-id", "env:USER2", "--secondary-password-id",
                       "env:PASS2", "-o", "json").json()["authCredentials"]
    assert [(one["usernameSecretIdentifier"], one["passwordSecretIdentifier"]) for one in changed] == [("env:HUB_USER", "env:NEW_PASS"), ("env:USER2", "env:PASS2")]
    shown = succeeds(cache, "credential-set", "show", "-n", "hub-login").out
    assert "env:PASS2" in shown and "Credential2" in shown, shown
    assert len(succeeds(cache, "credential-set", "update", "-n", "hub-login", "--remove-secondary", "-o", "json").json()["authCredentials"]) == 1

    succeeds(cache, "cache", "create", *RULE, "-c", "hub-login", "--pull", "anonymous")
    assert "docker-hub" in fails(cache, "credential-set", "delete", "-n", "hub-login", "-y")
    assert succeeds(cache, "cache", "show", "-n", "docker-hub").rows()[1][3] == "hub-login"
    removed = succeeds(cache, "cache", "update", "-n", "docker-hub", "--remove-cred-set", "-o", "json").json()
    assert removed["credentialSet"] is None and removed["credentialSetResourceId"] is None
    succeeds(cache, "credential-set", "delete", "-n", "hub-login", "-y")
    assert succeeds(cache, "credential-set", "list", "-o", "json").json() == []


def test_a_secret_in_place_of_a_reference_is_refused_and_never_repeated(cache):
    secret = "dckr_pat_0123456789"
    cache.secrets.append(secret)
    message = fails(cache, "credential-set", "create", "-n", "hub-login", "-l", "docker.io", "-u", "env:HUB_USER", "-p", secret)
    assert secret not in message and "file:" in message, message


def test_a_check_says_whether_a_login_works(make_cache, make_upstream, directory):
    registry = make_upstream(guard=Basic("robot", "right-password"))
    cache = make_cache(registry)
    for name, password in (("right-login", "right-password"), ("wrong-login", "wrong-password")):
        for half, text in (("user", "robot"), ("pass", password)):
            with open(f"{directory}/{name}.{half}", "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(text)
        succeeds(cache, "credential-set", "create", "-n", name, "-l", registry.login_server, "-u", f"file:{directory}/{name}.user", "-p", f"file:{directory}/{name}.pass")
    cache.secrets += ["right-password", "wrong-password"]
    assert succeeds(cache, "credential-set", "check", "-n", "right-login").rows()[1][4] == "Healthy"
    done = entrepot(cache, "credential-set", "check", "-n", "wrong-login")
    assert done.status == 1 and one_line(done.err) and "Unhealthy" in done.out and "wrong-login" in done.err, done
    assert "wrong-password" not in done.out + done.err
    assert succeeds(cache, "credential-set", "show", "-n", "wrong-login").rows()[1][4] == "Unhealthy"
    assert "no-such-login" in fails(cache, "credential-set", "check", "-n", "no-such-login")


# ---- declarative

def test_an_export_is_applied_again_and_changes_nothing(cache):
    succeeds(cache, "credential-set", "create", "-n", "hub-login", "-l", "docker.io", "-u", "env:HUB_USER", "-p", "env:HUB_PASS")
    succeeds(cache, "cache", "create", *RULE, "-c", "hub-login", "--pull", "anonymous", "--tag-ttl", "5m", "--stale-network", "24h", "--tag-starts-with", "v", "--platforms",
             "linux/amd64", "--allow", "library/*", "--deny", "library/evil")
    with Rows() as rows:
        for form in ("table", "json"):
            exported = succeeds(cache, "export", "-o", form).out
            before = succeeds(cache, "export", "-o", "json").out
            applied = succeeds(cache, "apply", "-", stdin=exported).out
            rows.check("=  cache rule      docker-hub" in applied and "2 unchanged" in applied, form, applied)
            rows.check(applied.splitlines()[-1] == "0 created, 0 changed, 0 deleted, 2 unchanged", form, applied)
            rows.check(succeeds(cache, "export", "-o", "json").out == before, form, "the export differs")


def test_a_file_is_applied_as_a_whole_and_prune_deletes_the_rest(cache, directory):
    succeeds(cache, "cache", "create", "-n", "to-be-gone", "-s", "ghcr.io/*", "-t", "ghcr/*")
    succeeds(cache, "cache", "create", *RULE)
    path = f"{directory}/rules.toml"
    with open(path, "w", encoding="utf-8") as file:
        file.write('[[credential_set]]\nname = "quay-login"\nlogin_server = "quay.io"\nusername = "env:U"\npassword = "env:P"\n'
                   '[[cache_rule]]\nname = "docker-hub"\nsource = "docker.io/*"\ntarget = "hub/*"\ntag_ttl = "5m"\n'
                   '[[cache_rule]]\nname = "quay-rule"\nsource = "quay.io/*"\ntarget = "quay/*"\ncredential_set = "quay-login"\npull = ["anonymous"]\n')
    before = succeeds(cache, "export", "-o", "json").out
    plan = succeeds(cache, "apply", path, "--dry-run", "--prune").out
    for line in ("+  credential set  quay-login  quay.io", "+  cache rule      quay-rule   quay.io/* => quay/*", "~  cache rule      docker-hub  tagTtl: 60s -> 5m",
                 "-  cache rule      to-be-gone  ghcr.io/* => ghcr/*", "2 to create, 1 to change, 1 to delete, 0 unchanged"):
        assert line in plan, (line, plan)
    assert succeeds(cache, "export", "-o", "json").out == before
    assert "-y" in fails_after_plan(cache, "apply", path, "--prune")
    assert succeeds(cache, "export", "-o", "json").out == before
    assert "2 created, 1 changed, 1 deleted, 0 unchanged" in succeeds(cache, "apply", path, "--prune", "-y").out
    assert [rule["name"] for rule in succeeds(cache, "export", "-o", "json").json()["cacheRules"]] == ["docker-hub", "quay-rule"]


def test_what_somebody_else_makes_while_prune_asks_is_not_deleted_unseen(cache, directory):
    succeeds(cache, "cache", "create", "-n", "to-be-gone", "-s", "ghcr.io/*", "-t", "ghcr/*")
    path = f"{directory}/rules.toml"
    with open(path, "w", encoding="utf-8") as file:
        file.write('[[cache_rule]]\nname = "docker-hub"\nsource = "docker.io/*"\ntarget = "hub/*"\n')
    asked = OnTerminal(cache, "apply", path, "--prune").until("deletions included?")
    succeeds(cache, "cache", "create", "-n", "somebody-elses", "-s", "quay.io/*", "-t", "quay/*")
    asked.types("y\n").ends()
    assert asked.status == 1 and "(Changed)" in asked.shown, asked.shown
    assert [rule["name"] for rule in succeeds(cache, "export", "-o", "json").json()["cacheRules"]] == ["somebody-elses", "to-be-gone"]
    OnTerminal(cache, "apply", path, "--prune").until("somebody-elses").until("deletions included?").types("y\n").ends()
    assert [rule["name"] for rule in succeeds(cache, "export", "-o", "json").json()["cacheRules"]] == ["docker-hub"]


def test_what_the_file_forbids_by_now_is_exported_and_no_prune_takes_it(make_cache, make_upstream):
    upstream = make_upstream(login_server="a.test")
    cache = make_cache(upstream, rules=[], server={"default_rules": False})
    succeeds(cache, "cache", "create", "-n", "by-hand", "-s", "a.test/x/*", "-t", "m/*")
    cache.stop()
    cache.settings.rules = [{"name": "file-rule", "source": "a.test/*", "target": "m/*"}]
    cache.start()
    assert succeeds(cache, "cache", "show", "-n", "by-hand", "-o", "json").json()["provisioningState"] == "Failed"
    exported = succeeds(cache, "export").out
    assert 'name = "by-hand"' in exported and "file-rule" not in exported, exported
    assert "0 created, 0 changed, 0 deleted, 1 unchanged" in succeeds(cache, "apply", "-", "--prune", "-y", stdin=exported).out
    assert succeeds(cache, "cache", "show", "-n", "by-hand", "-o", "json").json()["targetRepository"] == "m/*"


def fails_after_plan(cache, *words):
    """What would be deleted is shown before the question that nobody can answer."""
    done = entrepot(cache, *words)
    assert done.status == 1 and "to delete" in done.out and one_line(done.err), done
    return done.err


def test_a_file_with_one_bad_rule_changes_nothing(cache, directory):
    path = f"{directory}/rules.toml"
    wrong = {"overlap": '[[cache_rule]]\nname = "first-rule"\nsource = "docker.io/*"\ntarget = "a/*"\n[[cache_rule]]\nname = "second-rule"\nsource = "quay.io/*"\ntarget = "a/b/*"\n',
             "no such key": '[[cache_rule]]\nname = "first-rule"\nsource = "docker.io/*"\ntarget = "a/*"\ncolour = "red"\n',
             "no TOML": "[[cache_rule]\n", "no JSON": '{"cacheRules": [', "another section": '[server]\nshards = 1\n',
             "no such credential set": '[[cache_rule]]\nname = "first-rule"\nsource = "docker.io/*"\ntarget = "a/*"\ncredential_set = "nobody"\n'}
    before = succeeds(cache, "export", "-o", "json").out
    with Rows() as rows:
        for name, text in wrong.items():
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            done = entrepot(cache, "apply", path)
            rows.check(done.status == 1 and one_line(done.err), name, done)
            rows.check(succeeds(cache, "export", "-o", "json").out == before, name, "something has changed")
    assert "cannot be read" in fails(cache, "apply", f"{directory}/none.toml")
    assert "cannot be read" in fails(cache, "apply", directory)


def test_status_says_how_the_server_is(cache):
    assert "Ready" in succeeds(cache, "status").out
    assert succeeds(cache, "status", "-o", "json").json()["ready"] is True
    assert succeeds(cache, "status", "-o", "tsv").out.count("\t") == 8


# ---- who may

def test_without_a_token_nothing_is_changed_and_the_way_out_is_said(cache):
    for token_file in (None, f"{cache.directory}/none"):
        message = fails(cache, "cache", "create", *RULE, environment={"ENTREPOT_TOKEN_FILE": token_file})
        assert "token" in message, message
    fails(cache, "cache", "create", *RULE, environment={"ENTREPOT_TOKEN_FILE": None, "ENTREPOT_TOKEN": "wrong"})
    assert "docker-hub" not in succeeds(cache, "cache", "list", environment={"ENTREPOT_TOKEN_FILE": None}).out


def test_a_token_file_that_others_can_read_is_not_used(cache):
    loose = f"{cache.directory}/loose"
    with open(f"{cache.store}/admin.token", encoding="ascii") as file:
        token = file.read()
    with open(loose, "w", encoding="ascii") as file:
        file.write(token)
    os.chmod(loose, 0o644)
    message = fails(cache, "status", environment={"ENTREPOT_TOKEN_FILE": loose})
    assert "chmod 0600" in message and token.strip() not in message, message
    os.chmod(loose, 0o600)
    succeeds(cache, "cache", "create", *RULE, environment={"ENTREPOT_TOKEN_FILE": loose})
    succeeds(cache, "cache", "delete", "-n", "docker-hub", "-y", environment={"ENTREPOT_TOKEN_FILE": None, "ENTREPOT_TOKEN": token.strip()})


def test_over_the_socket_the_server_knows_who_asks(make_cache, upstream, directory):
    path = f"{directory}/admin.sock"
    cache = make_cache(upstream, server={"admin_too": [f"unix:{path}"]})
    by_socket = {"ENTREPOT_ADMIN": f"unix:{path}", "ENTREPOT_TOKEN_FILE": None}
    succeeds(cache, "cache", "create", *RULE, environment=by_socket)
    assert "docker-hub" in succeeds(cache, "cache", "list", environment=by_socket).out
    os.chmod(directory, 0o755)
    # Where the build lies strangers may not look; they get a copy.
    stranger = {"user": 65534, "group": 65534, "extra_groups": [], "cwd": "/", "executable": shutil.copy(BINARY, f"{directory}/entrepot")}
    message = fails(cache, "cache", "delete", "-n", "docker-hub", "-y", environment=by_socket, **stranger)
    assert "Permission denied" in message and path in message, message
    os.chmod(path, 0o666)
    message = fails(cache, "cache", "delete", "-n", "docker-hub", "-y", environment=by_socket, **stranger)
    assert "65534" in message and "(NotAllowed)" in message, message
    with open(f"{cache.store}/admin.token", encoding="ascii") as file:
        token = file.read().strip()
    succeeds(cache, "cache", "delete", "-n", "docker-hub", "-y", environment={**by_socket, "ENTREPOT_TOKEN": token}, **stranger)


# ---- questions

def test_deleting_asks_on_a_terminal_and_refuses_without_one(cache):
    succeeds(cache, "cache", "create", *RULE)
    assert "-y" in fails(cache, "cache", "delete", "-n", "docker-hub")
    for answer in ("n", "", "nonsense"):
        asked = OnTerminal(cache, "cache", "delete", "-n", "docker-hub").until("[y/N] ").types(f"{answer}\n").ends()
        assert asked.status == 1 and "nothing was changed" in asked.shown, asked.shown
    succeeds(cache, "cache", "show", "-n", "docker-hub")
    assert OnTerminal(cache, "cache", "delete", "-n", "docker-hub").until("[y/N] ").types("y\n").ends().status == 0
    fails(cache, "cache", "show", "-n", "docker-hub")


# ---- what a terminal gets to see

def test_a_narrow_terminal_wraps_nothing(cache):
    succeeds(cache, "cache", "create", "-n", "a-rule-with-a-name-of-some-length", "-s", "docker.io/organisation/department/project/*", "-t", "hub/organisation/department/*")
    with Rows() as rows:
        for columns in (40, 60, 80):
            shown = OnTerminal(cache, "cache", "list", columns=columns).ends().shown
            rows.check(all(len(line) <= columns for line in shown.splitlines()) and "\u2026" in shown, columns, shown)
            ascii_only = OnTerminal(cache, "cache", "list", columns=columns, environment={"LC_ALL": "C"}).ends().shown
            rows.check(all(len(line) <= columns for line in ascii_only.splitlines()) and "..." in ascii_only, f"{columns} in C", ascii_only)


def test_hostile_names_reach_no_terminal(story):
    """H08: markup, ESC, marks that turn the direction of writing, and 10 KB."""
    names = ["<script>alert(1)</script>", "\x1b]0;owned\x07", "evil\u202egpj.exe", "\u2066a\u2069", "a\nb\tc", "\x9b2J", "x" * 10_000, "\U0001f433"]
    rules = [{"name": name, "sourceRepository": f"docker.io/{name}", "targetRepository": name, "provisioningState": "Succeeded"} for name in sorted(names)]
    server = story.origin(StandIn(json_answer({"value": rules, "nextLink": None})))
    with Rows() as rows:
        for form in ("table", "json", "tsv"):
            shown = OnTerminal(None, "cache", "list", "-o", form, "-r", f"127.0.0.1:{server.port}").ends().shown
            for bad in ("\x1b", "\x07", "\x9b", "\u202e", "\u2066"):
                rows.check(bad not in shown, f"{form} {bad!r}", shown[:500])
            if form == "table":
                rows.check(all(len(line) <= 80 for line in shown.splitlines()) and len(shown.splitlines()) == len(names) + 1, form, shown[:500])
    refusing = story.origin(StandIn(json_answer({"error": {"code": "Bad\x1b[2J", "message": "two\nlines \x1b[31m\u202e"}}, 409)))
    done = asking(f"127.0.0.1:{refusing.port}", "cache", "show", "-n", "hallo")
    assert done.status == 1 and one_line(done.err) and "\x1b" not in done.err and "\u202e" not in done.err, done.err


# ---- H12: what else can be wrong

def test_a_server_that_is_down_or_is_none_is_said_in_one_line(story, certificates):
    answers = {"not HTTP": Answer(raw=b"SSH-2.0-OpenSSH_9.2\r\n"), "closes": Answer(drop=True), "HTML": Answer(200, {"Content-Type": "text/html"}, b"<html>"),
               "no JSON": json_answer(b"{"), "deep JSON": json_answer(b"[" * 200_000), "cut short": Answer(200, {"Content-Type": "application/json"}, b'{"a":1}', content_length=99),
               "an error page": Answer(502, {"Content-Type": "text/html"}, b"<h1>bad</h1>"), "an older server": json_answer({"status": 404, "message": "there is no such page"}, 404),
               "not our shape": json_answer([1, 2, 3]), "a redirect": Answer(302, {"Location": "http://127.0.0.1:1/"}, b""), "a wrong type": json_answer({"value": 7})}
    with Rows() as rows:
        for name, answer in answers.items():
            server = story.origin(StandIn(answer))
            done = asking(f"127.0.0.1:{server.port}", "cache", "list")
            rows.check(done.status == 1 and one_line(done.err) and not done.out, name, done)
            rows.check(str(server.port) in done.err, name, done.err)
        done = asking(f"127.0.0.1:{free_port()}", "cache", "list")
        rows.check(done.status == 1 and one_line(done.err) and "entrepot serve" in done.err, "down", done)
        done = asking("unix:/nowhere/admin.sock", "cache", "list")
        rows.check(done.status == 1 and one_line(done.err) and "/nowhere/admin.sock" in done.err, "no socket", done)
        done = asking("no-such-host.invalid:5001", "cache", "list")
        rows.check(done.status == 1 and one_line(done.err) and "no such host" in done.err, "no host", done)
        hanging = story.origin(StandIn(Answer(hang=True)))
        done = asking(f"127.0.0.1:{hanging.port}", "cache", "list", "--timeout", "300ms")
        rows.check(done.status == 1 and one_line(done.err) and "did not answer" in done.err, "hangs", done)


def test_a_broken_answer_to_a_change_claims_nothing(story):
    server = story.origin(StandIn(Answer(drop=True)))
    done = asking(f"127.0.0.1:{server.port}", "cache", "create", *RULE)
    assert done.status == 1 and one_line(done.err) and "not known" in done.err, done
    assert len(server.seen()) == 1, "a change is sent once"


def test_output_that_nobody_takes_is_an_error(cache):
    with Rows() as rows:
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run([BINARY, "cache", "list"], stdout=write, stderr=subprocess.PIPE, text=True, timeout=20, check=False, preexec_fn=die_with_parent, env=environment_of(cache))
        os.close(write)
        rows.check(done.returncode == 1 and one_line(done.stderr), "a closed pipe", done)
        with open("/dev/full", "wb") as full:
            done = subprocess.run([BINARY, "cache", "list"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=20, check=False, preexec_fn=die_with_parent, env=environment_of(cache))
        rows.check(done.returncode == 1 and one_line(done.stderr) and "No space left" in done.stderr, "a full disk", done)


def test_a_named_token_goes_where_the_user_says(story, directory):
    """A token that the user names goes where the user says, over TCP and over a socket."""
    server = story.origin(StandIn(json_answer({"value": [], "nextLink": None})))
    asking(f"127.0.0.1:{server.port}", "cache", "list", environment={"ENTREPOT_TOKEN": "of-the-user"})
    assert server.seen()[0].header("authorization") == "Bearer of-the-user"
    path = tempfile.mktemp(dir=directory, suffix=".sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        client = subprocess.Popen([BINARY, "cache", "list", "-r", f"unix:{path}"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=die_with_parent,
                                  env=environment_of(None, ENTREPOT_TOKEN="of-the-user"))
        connection, _ = listener.accept()
        with connection:
            head = connection.recv(65536)
        client.communicate(timeout=20)
    assert head.startswith(b"GET /api/v1/cache-rules") and b"Bearer of-the-user" in head, head
