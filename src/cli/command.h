#pragma once
// How commands are declared: groups of them, the options that all have, and what is to be done once the words are parsed.

#include "cli/session.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;  // its header is 10,000 lines, and one file here reads it
}

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

    /// Must be given, and not empty.
    Command& required(const char* names, std::string& into, const char* type, const char* help);
    /// Must be given; whether what is given will do, the server says.
    Command& required(const char* names, std::optional<std::string>& into, const char* type, const std::string& help);
    Command& optional(const char* names, std::optional<std::string>& into, const char* type, const char* help);
    /// One of `values`, if given.
    Command& choice(const char* names, std::optional<std::string>& into, const char* type, const std::vector<std::string>& values,
                    const char* help);
    /// Several, apart by commas, or the option several times; "" is the empty list.
    Command& list(const char* names, std::optional<std::vector<std::string>>& into, const char* type, const char* help);
    Command& flag(const char* names, bool& into, const char* help);
    /// az names the resource group with every command; what was written for it runs here.
    Command& resource_group();

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
        return declare(name, help, example, [options, run](Session& session) { return run(session, *options); });
    }

  private:
    Command declare(const char* name, const char* help, const char* example, Action action);

    CLI::App& app_;
    Chosen& chosen_;
};

}  // namespace entrepot::cli
