"""Who takes part: every contestant by the name it has on the command line and in the results, in the order of the tables."""
from peers.entrepot import Entrepot
from peers.nginx import NginxCache, NginxSlice, NginxStatic, NginxThreads
from peers.registry import DockerRegistry
from peers.sendfile import SendfileCeiling
from peers.squid import Squid
from peers.trafficserver import TrafficServer
from peers.varnish import Varnish

ALL = {each.name: each for each in (Entrepot, NginxStatic, NginxThreads, NginxCache, NginxSlice, Varnish, TrafficServer, Squid, DockerRegistry,
                                    SendfileCeiling)}
# Those that fetch what they do not have, as entrepot does.
CACHES = [name for name, each in ALL.items() if each.caches]
CEILINGS = {SendfileCeiling.name}
