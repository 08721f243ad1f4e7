#include "cli/session.h"

#include "entrepot/base/units.h"

#include <cstdlib>

namespace entrepot::cli {
namespace {

constexpr Duration timeout_max = std::chrono::hours(24);

std::optional<std::string> environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? std::optional<std::string>(value) : std::nullopt;
}

OutputForm form_of(std::string_view output) {
    if (output == "json") return OutputForm::json;
    return output == "tsv" ? OutputForm::tsv : OutputForm::table;
}

}  // namespace

Outcome<std::unique_ptr<Session>> Session::open(const CommonOptions& options) {
    auto addresses = choose_admin_addresses(options.registry, environment("ENTREPOT_ADMIN"));
    if (!addresses) return addresses.error();
    const auto timeout = parse_duration(options.timeout);
    if (!timeout || *timeout < milliseconds(1) || *timeout > timeout_max)
        return misused("--timeout takes a time such as 30s or 5m, at most 24h; not '{}'", options.timeout);
    auto token = choose_token({.value = environment("ENTREPOT_TOKEN"), .file = environment("ENTREPOT_TOKEN_FILE")});
    if (!token) return token.error();
    return std::make_unique<Session>(AdminClient(std::move(*addresses), std::move(*token), *timeout), form_of(options.output));
}

Outcome<void> Session::show(const std::vector<Json>& entries, const View& view) const {
    if (form_ == OutputForm::json) return terminal_.write(shown_json(Json(entries)));
    const Table table = view.table(entries);
    return terminal_.write(form_ == OutputForm::tsv ? table.tsv() : text_of(table));
}

Outcome<void> Session::show(const Json& entry, const View& view) const {
    const Table table = view.table({entry});
    std::string text = text_of(table);
    if (view.details) text += "\n" + text_of(view.details(entry));
    return show(entry, text, table);
}

Outcome<void> Session::show_changed(const Json& entry, const View& view) const {
    tell(at(entry, "notes"));
    const Table table = view.table({entry});
    return show(entry, text_of(table), table);
}

void Session::tell(const Json& notes) const {
    if (!notes.is_array()) return;
    for (const auto& note : notes) terminal_.complain("note: " + scalar_text(note));
}

Outcome<void> Session::show(const Json& document, const std::string& text, const Table& table) const {
    if (form_ == OutputForm::json) return terminal_.write(shown_json(document));
    return terminal_.write(form_ == OutputForm::tsv ? table.tsv() : text);
}

Outcome<void> Session::confirm(bool yes, const std::string& question) const {
    if (yes) return {};
    if (!terminal_.can_ask()) return failed("this asks first, and there is no terminal to ask on; add -y to mean it");
    if (!terminal_.confirm(question)) return failed("nothing was changed");
    return {};
}

}  // namespace entrepot::cli
