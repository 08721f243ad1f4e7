#include "cli/status_command.h"

#include "entrepot/base/units.h"

#include <algorithm>

namespace entrepot::cli {
namespace {

struct NoOptions {};

/// "3d 4h", "12m 5s": two units say enough.
std::string span_of(const Json& value) {
    const std::uint64_t total = value.is_number_unsigned() ? value.get<std::uint64_t>() : 0;
    if (total >= 86'400) return fmt::format("{}d {}h", total / 86'400, total % 86'400 / 3600);
    if (total >= 3600) return fmt::format("{}h {}m", total / 3600, total % 3600 / 60);
    return fmt::format("{}m {}s", total / 60, total % 60);
}

std::string size_of(const Json& value) {
    return value.is_number_unsigned() ? size_for_people(value.get<std::uint64_t>()) : std::string();
}

/// Members that this command has no words for yet are still told: a newer server may say more.
void add_others(Properties& lines, const Json& status) {
    for (const auto& [member, value] : status.items()) {
        static const std::vector<std::string> told{"version", "ready", "state", "shards", "connections", "uptimeSeconds"};
        if (std::find(told.begin(), told.end(), member) == told.end() && !scalar_text(value).empty())
            lines.add(member, scalar_text(value));
    }
}

Outcome<void> show_status(Session& session, const NoOptions&) {
    auto status = session.api().get("/api/v1/status");
    if (!status) return status.error().failure;
    const Json &store = at(*status, "store"), &served = at(*status, "servedBytes");
    Properties lines;
    lines.add("Version", text_at(*status, "version"));
    lines.add("Ready", scalar_text(at(*status, "ready")));
    lines.add("State", text_at(*status, "state"));
    for (const Json& disk : at(*status, "disks")) {
        if (auto problem = text_at(disk, "problem"); !problem.empty()) lines.add("Problem", problem);
    }
    lines.add("Up for", span_of(at(*status, "uptimeSeconds")));
    lines.add("Shards", scalar_text(at(*status, "shards")));
    lines.add("Connections", scalar_text(at(*status, "connections")));
    lines.add("Stored",
              fmt::format("{} of {} in {} blobs, {} evicted", size_of(at(store, "bytes")), size_of(at(store, "capacityBytes")),
                          scalar_text(at(store, "blobs")), scalar_text(at(store, "evictions"))));
    lines.add("Served",
              fmt::format("{} from the store, {} from upstreams", size_of(at(served, "hit")), size_of(at(served, "other"))));
    add_others(lines, *status);
    Table table(
        {"Version", "Ready", "UptimeSeconds", "Shards", "Connections", "StoreBytes", "StoreCapacityBytes", "Blobs", "State"});
    table.add({text_at(*status, "version"), scalar_text(at(*status, "ready")), scalar_text(at(*status, "uptimeSeconds")),
               scalar_text(at(*status, "shards")), scalar_text(at(*status, "connections")), scalar_text(at(store, "bytes")),
               scalar_text(at(store, "capacityBytes")), scalar_text(at(store, "blobs")), text_at(*status, "state")});
    return session.show(*status, session.text_of(lines), table);
}

}  // namespace

void declare_status_command(CommandGroup& commands) {
    commands.command("status", "Say how the server is", "  entrepot status -o json", std::make_shared<NoOptions>(), show_status);
}

}  // namespace entrepot::cli
