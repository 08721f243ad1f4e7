"""A cache in front of a real registry, whose images are for alice and for a robot, and whose demo corner is for everybody."""
from .api import Api
from .cache import Settings

PASSWORD = "correct-horse-battery"


class PrivateCache:
    def __init__(self, make_cache, registry, directory, **words):
        settings = Settings(server={"shards": 2, "default_login_server": "docker.io"}, store={"path": f"{directory}/private", "capacity": "4GiB"}, tls=words.pop("tls", {}))
        settings.upstreams.append({"login_server": "docker.io", "endpoints": [registry.url], "allow_private": True})
        settings.rules = [{"name": "mine", "source": "docker.io/library/*", "target": "private/*", "pull": ["alice", "robot"]},
                          {"name": "open", "source": "docker.io/demo/*", "target": "open/*"}]
        self.cache = make_cache(settings=settings, **words)
        self.host = f"127.0.0.1:{self.cache.port}"
        self.robot = self.account("robot", {"kind": "token", "repositories": ["private/busybox"]})["secret"]
        self.account("alice", {"password": PASSWORD})
        self.account("bobby", {"password": PASSWORD})
        self.cache.secrets += [PASSWORD, self.robot]

    def account(self, name, fields):
        status, _, document = Api(self.cache).ask("PUT", f"/api/v1/accounts/{name}", fields, {"If-None-Match": "*"})
        assert status == 201, (status, document)
        return document
