#include "cli/admin_address.h"

#include "entrepot/http/url.h"

namespace entrepot::cli {
namespace {

constexpr std::string_view socket_path_default = "/run/entrepot/admin.sock";
constexpr std::uint16_t port_default = 5001;
constexpr std::size_t unix_path_bytes_max = 107;  // sun_path without its terminator

Outcome<AdminAddress> parse_socket_path(std::string_view path) {
    if (!path.starts_with('/') || path.size() > unix_path_bytes_max || path.find('\0') != path.npos)
        return misused("'unix:{}' is no socket: write unix: and an absolute path of at most {} bytes", path, unix_path_bytes_max);
    return AdminAddress{.unix_path = std::string(path)};
}

}  // namespace

std::string AdminAddress::text() const {
    if (is_unix()) return "unix:" + unix_path;
    return host.find(':') == host.npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

Outcome<AdminAddress> parse_admin_address(std::string_view text) {
    if (text.starts_with("unix:")) return parse_socket_path(text.substr(5));
    if (text.starts_with('/')) return parse_socket_path(text);
    constexpr std::string_view http = "http://";
    std::string_view authority = text;
    if (authority.starts_with(http)) authority.remove_prefix(http.size());
    if (authority.ends_with('/')) authority.remove_suffix(1);
    auto origin = parse_authority("http", authority);
    if (!origin)
        return misused("'{}' is no admin address: write unix:/run/entrepot/admin.sock or HOST:PORT, as in 127.0.0.1:5001", text);
    bool names_port = authority.back() != ']' && authority.rfind(':') != authority.npos;
    return AdminAddress{.host = origin->host, .port = names_port ? origin->port : port_default};
}

Outcome<std::vector<AdminAddress>> choose_admin_addresses(const std::optional<std::string>& option,
                                                          const std::optional<std::string>& environment) {
    for (const auto* named : {&option, &environment}) {
        if (!*named || (*named)->empty()) continue;
        auto address = parse_admin_address(**named);
        if (!address) return address.error();
        return std::vector<AdminAddress>{std::move(*address)};
    }
    return std::vector<AdminAddress>{{.unix_path = std::string(socket_path_default)},
                                     {.host = "127.0.0.1", .port = port_default}};
}

}  // namespace entrepot::cli
