"""The logins that a real registry takes (htpasswd), and the files that hold ours."""
import base64
import crypt
import os
import time
import urllib.error
import urllib.request


class Logins:
    """The file, with these users. Who changes it waits until the registry has seen that."""

    def __init__(self, path, **passwords):
        self.path = path
        self.seen = set(passwords.items())
        self._write(passwords)

    def become(self, registry, **passwords):
        """The registry reads the file again when a request finds it changed, by its time in whole ticks: so it is written until it does."""
        self.seen |= set(passwords.items())
        end = time.monotonic() + 10
        while any(takes(registry, *login) != (passwords.get(login[0]) == login[1]) for login in self.seen):
            assert time.monotonic() < end, "the registry does not read its logins again"
            time.sleep(0.05)
            self._write(passwords)

    def _write(self, passwords):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("".join(htpasswd_line(user, password) for user, password in passwords.items()))


def htpasswd_line(user, password):
    return f"{user}:{crypt.crypt(password, '$2y$04$' + 'entrepotentrepotentre.')}\n"


def takes(registry, user, password):
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    request = urllib.request.Request(f"{registry.url}/v2/", headers={"Authorization": f"Basic {login}"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False


def write_secret(path, secret):
    with open(path, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as file:
        file.write(secret + "\n")
    return f"file:{path}"
