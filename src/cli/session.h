#pragma once
// What one command works with: the server, the terminal, and the form in which it answers.

#include "cli/api.h"
#include "cli/table.h"
#include "cli/terminal.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace entrepot::cli {

/// Options that every command has.
struct CommonOptions {
    std::optional<std::string> registry;
    std::string output = "table";
    std::string timeout = "2m";
};

enum class OutputForm : std::uint8_t { table, json, tsv };

/// How a kind of resource is shown to people.
struct View {
    Table (*table)(const std::vector<Json>& entries);
    /// What the table leaves out; null where there is nothing more.
    Properties (*details)(const Json& entry);
};

class Session {
  public:
    Session(AdminClient client, OutputForm form) : client_(std::move(client)), api_(client_), form_(form) {}
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// From the options, the environment, and what the machine has. Connects to nobody yet.
    static Outcome<std::unique_ptr<Session>> open(const CommonOptions& options);

    Api& api() noexcept { return api_; }
    const Terminal& terminal() const noexcept { return terminal_; }
    OutputForm form() const noexcept { return form_; }

    Outcome<void> show(const std::vector<Json>& entries, const View& view) const;
    Outcome<void> show(const Json& entry, const View& view) const;
    /// What a change made of it; the server's notes go to standard error.
    Outcome<void> show_changed(const Json& entry, const View& view) const;
    /// The server's notes, on standard error.
    void tell(const Json& notes) const;
    /// `text` for people, the document itself for programs; as tsv the rows of `table`.
    Outcome<void> show(const Json& document, const std::string& text, const Table& table) const;
    std::string text_of(const Table& table) const { return table.text(terminal_.columns(), terminal_.utf8()); }
    std::string text_of(const Properties& properties) const { return properties.text(terminal_.utf8()); }

    /// Asks before something is lost. Fails when nobody can be asked, or when the answer is no.
    Outcome<void> confirm(bool yes, const std::string& question) const;

  private:
    AdminClient client_;
    Api api_;
    Terminal terminal_;
    OutputForm form_;
};

}  // namespace entrepot::cli
