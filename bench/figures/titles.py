"""What contestants and ceilings are called in tables."""
import peers

OTHERS = {"fio": "fio O_DIRECT", "openssl": "OpenSSL", "memcpy": "memcpy", "empty": "empty store", "direct": "direct", "lru": "LRU", "sieve": "SIEVE",
          "s3-fifo": "S3-FIFO", "entrepot-again": "entrepot, again", "entrepot-2": "entrepot, 2 shards", "nginx-2": "nginx, 2 workers"}


def title(name):
    return peers.ALL[name].title if name in peers.ALL else OTHERS.get(name, name)
