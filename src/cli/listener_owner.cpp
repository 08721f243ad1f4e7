#include "cli/listener_owner.h"

#include "entrepot/base/bytes.h"

#include "cli/file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

namespace entrepot::cli {
namespace {

constexpr std::size_t table_bytes_max = 64 * MiB;  // 150 bytes a socket
constexpr std::string_view listening = "0A";

/// Takes the next word off `line`.
std::string_view next_word(std::string_view& line) {
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    const auto word = line.substr(0, line.find(' '));
    line.remove_prefix(word.size());
    return word;
}

unsigned number_of(std::string_view text, int base) {
    unsigned number = ~0u;
    std::from_chars(text.data(), text.data() + text.size(), number, base);
    return number;
}

}  // namespace

Listeners listeners_in(std::string_view table, std::uint16_t port, unsigned user) {
    Listeners found;
    while (!table.empty()) {
        auto line = table.substr(0, table.find('\n'));
        table.remove_prefix(std::min(line.size() + 1, table.size()));
        // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid ...
        std::array<std::string_view, 8> words;
        for (auto& word : words) word = next_word(line);
        const auto local = words[1];
        const auto colon = local.rfind(':');
        if (words[3] != listening || colon == local.npos || number_of(local.substr(colon + 1), 16) != port) continue;
        const unsigned owner = number_of(words[7], 10);
        found.any = true;
        found.strangers = found.strangers || (owner != 0 && owner != user);
    }
    return found;
}

bool listeners_belong_to(std::uint16_t port, unsigned user) {
    bool any = false;
    for (const auto* path : {"/proc/net/tcp", "/proc/net/tcp6"}) {
        auto file = File::open(path);
        if (!file) continue;  // without IPv6 there is no second table
        auto table = file->read(table_bytes_max);
        if (!table) return false;
        const auto found = listeners_in(*table, port, user);
        if (found.strangers) return false;
        any = any || found.any;
    }
    return any;
}

}  // namespace entrepot::cli
