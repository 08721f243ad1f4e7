#pragma once
// How commands are declared: groups of them, the options that all have, and what is to be done once the words are parsed.

#include "cli/session.h"

#include <CLI/CLI.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace entrepot::cli {

using Action = std::function<Outcome<void>(Session&)>;

/// What parsing leaves behind.
struct Chosen {
    CommonOptions common;
    Action action;  ///< empty: none of our commands
};

/// One command. The values that options write into live in its Options object, which the command keeps alive.
class Command {
  public:
    Command(CLI::App& app) : app_(app) {}

    Command& required(const char* names, std::string& into, const char* type, const char* help) {
        const auto filled = [](const std::string& text) {
            return text.empty() ? std::string("must not be empty") : std::string();
        };
        app_.add_option(names, into, help)->type_name(type)->required()->check(CLI::Validator(filled, ""));
        return *this;
    }
    Command& optional(const char* names, std::optional<std::string>& into, const char* type, const char* help) {
        app_.add_option(names, into, help)->type_name(type);
        return *this;
    }
    /// Several, apart by commas, or the option several times; "" is the empty list.
    Command& list(const char* names, std::optional<std::vector<std::string>>& into, const char* type, const char* help);
    Command& flag(const char* names, bool& into, const char* help) {
        app_.add_flag(names, into, help);
        return *this;
    }
    /// az names the resource group with every command; what was written for it runs here.
    Command& resource_group() {
        app_.add_option_function<std::string>(
                "-g,--resource-group", [](const std::string&) {}, "Accepted, not needed")
            ->type_name("NAME");
        return *this;
    }
    CLI::App& app() noexcept { return app_; }

  private:
    CLI::App& app_;
};

class CommandGroup {
  public:
    /// The commands of `entrepot`, or of a group within it.
    CommandGroup(CLI::App& app, Chosen& chosen) : app_(app), chosen_(chosen) {}

    CommandGroup group(const char* name, const char* help, const char* example);

    /// A command that calls `run(session, options)`.
    template <typename Options>
    Command command(const char* name, const char* help, const char* example, std::shared_ptr<Options> options,
                    Outcome<void> (*run)(Session&, const Options&)) {
        CLI::App& app = declare(name, help, example);
        app.callback([this_chosen = &chosen_, options, run] {
            this_chosen->action = [options, run](Session& session) { return run(session, *options); };
        });
        return Command(app);
    }

  private:
    CLI::App& declare(const char* name, const char* help, const char* example);

    CLI::App& app_;
    Chosen& chosen_;
};

}  // namespace entrepot::cli
