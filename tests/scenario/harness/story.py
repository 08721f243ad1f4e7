"""How a scenario gets what its parameters name, and how everything is given back when it ends."""
import inspect
import os
import shutil
import tempfile

from .cache import Cache, one_to_one
from .certificates import Certificates
from .key_vault import JAR, KeyVault, java_program
from .origin import Trap
from .registry import DockerRegistry, fill_storage, missing
from .upstream import TokenServer, Upstream
from .vault import PROGRAMS, Vault, vault_program


class Skip(Exception):
    """Raised with the reason why a scenario cannot be told here."""


def skip(reason):
    raise Skip(reason)


class Rows:
    """The rows of a table that a scenario walks through; all of them are looked at before it fails."""

    def __init__(self):
        self.wrong = []
        self.looked_at = 0

    def __enter__(self):
        return self

    def check(self, holds, row, found=""):
        self.looked_at += 1
        if not holds:
            self.wrong.append(f"{row}: {found}")

    def __exit__(self, kind, *_):
        if kind is None:
            assert self.looked_at, "the table is empty"
            assert not self.wrong, f"{len(self.wrong)} of {self.looked_at} rows:\n" + "\n".join(self.wrong)


class Story:
    """The fixtures of one scenario. Closed in reverse order; the first failure while closing counts."""

    def __init__(self):
        self.directory_path = None
        self.made = {}
        self.closers = []
        self.caches = []

    def run(self, scenario):
        told = False
        try:
            scenario(*[self.fixture(name) for name in inspect.signature(scenario).parameters])
            told = True
        except BaseException as error:
            for cache in self.caches:
                if cache.process is not None and not cache.alive and not cache.expect_death:
                    error.add_note(f"entrepot ended with {cache.process.returncode}:\n{cache.log()[-3000:]}")
            raise
        finally:
            self.close(told)

    def fixture(self, name):
        if name not in self.made:
            self.made[name] = getattr(self, f"make_{name}_fixture")()
        return self.made[name]

    def close(self, told):
        failure = None
        for closer in reversed(self.closers):
            try:
                closer(told)
            except Exception as error:      # whatever it is, the rest must still be given back
                failure = failure or error
        if self.directory_path and not os.environ.get("KEEP"):
            shutil.rmtree(self.directory_path, ignore_errors=True)
        if failure and told:
            raise failure

    # ---- fixtures, by the name of a scenario's parameter

    def make_directory_fixture(self):
        self.directory_path = tempfile.mkdtemp(prefix="entrepot-scenario-")
        return self.directory_path

    def make_upstream_fixture(self):
        return self.upstream()

    def make_make_upstream_fixture(self):
        return self.upstream

    def make_cache_fixture(self):
        return self.cache(self.fixture("upstream"))

    def make_make_cache_fixture(self):
        return self.cache

    def make_make_trap_fixture(self):
        return self.trap

    def make_make_tokens_fixture(self):
        return self.tokens

    def make_certificates_fixture(self):
        return Certificates(f"{self.fixture('directory')}/certificates")

    def make_story_fixture(self):
        return self

    def make_registry_fixture(self):
        return self.registry()

    def make_make_registry_fixture(self):
        return self.registry

    def make_vault_fixture(self):
        return self.vault()

    def make_make_vault_fixture(self):
        return self.vault

    def make_make_key_vault_fixture(self):
        return self.key_vault

    # ---- makers

    def upstream(self, *arguments, **keywords):
        return self.origin(Upstream(*arguments, **keywords))

    def tokens(self, **keywords):
        return self.origin(TokenServer(**keywords))

    def trap(self, **keywords):
        """Closing it fails the scenario if anybody brought a secret."""
        trap = self.origin(Trap(**keywords))
        self.closers.append(lambda told: check_empty(trap) if told else None)
        return trap

    def registry(self, **keywords):
        """A real docker-registry with the images of tools/make-images."""
        absent = missing("docker-registry")
        if absent:
            skip("docker-registry is not installed")
        directory = self.fixture("directory")
        fill_storage()
        registry = DockerRegistry(directory, **keywords)
        registry.start()
        self.closers.append(lambda told: registry.stop())
        return registry

    def vault(self, **keywords):
        """A real HashiCorp Vault or OpenBao."""
        program = vault_program()
        if not program:
            skip(f"neither {' nor '.join(PROGRAMS)} is in PATH, and ENTREPOT_TEST_VAULT names none")
        directory = f"{self.fixture('directory')}/vault{len(self.closers)}"
        os.makedirs(directory)
        return self.service(Vault(directory, program, **keywords))

    def key_vault(self, *arguments, **keywords):
        """Lowkey Vault, an Azure Key Vault that is not Azure's."""
        if not os.path.exists(os.environ.get(JAR, "")):
            skip(f"{JAR} names no jar of Lowkey Vault")
        if not java_program():
            skip("Lowkey Vault needs java, in JAVA_HOME or in PATH")
        return self.service(KeyVault(self.fixture("directory"), *arguments, **keywords))

    def service(self, service, **starting):
        """Starts a program that ends with the story."""
        service.start(**starting)
        self.closers.append(lambda told: service.stop())
        return service

    def cache(self, *upstreams, start=True, client_tls=None, environment=None, limits=None, settings=None, **words):
        """The server in front of these upstreams. `words` go to one_to_one: capacity, tag_ttl, credentials, ..."""
        directory = f"{self.fixture('directory')}/cache{len(self.closers)}"
        os.makedirs(directory)
        settings = settings or one_to_one(list(upstreams), directory, **words)
        cache = Cache(settings, directory, client_tls, environment, limits)
        cache.secrets = [secret for secret in (words.get("credentials") or ())[1:]]
        self.caches.append(cache)
        self.closers.append(cache.close)
        if start:
            cache.start()
        return cache

    def origin(self, origin):
        """Starts something scripted that ends with the story."""
        origin.start()
        self.closers.append(lambda told: origin.stop())
        return origin


def check_empty(trap):
    caught = trap.secrets()
    assert not caught, f"credentials reached a place they do not belong to: {caught}"
