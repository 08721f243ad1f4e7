#include "cli/command.h"

#include <CLI/CLI.hpp>

namespace entrepot::cli {
namespace {

/// "a,b" and "c" are a, b and c; an empty text adds nothing.
void add_entries(std::vector<std::string>& list, const std::string& text) {
    std::size_t from = 0;
    while (from < text.size()) {
        const std::size_t comma = std::min(text.find(',', from), text.size());
        if (comma > from) list.push_back(text.substr(from, comma - from));
        from = comma + 1;
    }
}

}  // namespace

Command& Command::required(const char* names, std::string& into, const char* type, const char* help) {
    const auto filled = [](const std::string& text) { return text.empty() ? std::string("must not be empty") : std::string(); };
    app_.add_option(names, into, help)->type_name(type)->required()->check(CLI::Validator(filled, ""));
    return *this;
}

Command& Command::required(const char* names, std::optional<std::string>& into, const char* type, const std::string& help) {
    app_.add_option(names, into, help)->type_name(type)->required();
    return *this;
}

Command& Command::optional(const char* names, std::optional<std::string>& into, const char* type, const char* help) {
    app_.add_option(names, into, help)->type_name(type);
    return *this;
}

Command& Command::choice(const char* names, std::optional<std::string>& into, const char* type,
                         const std::vector<std::string>& values, const char* help) {
    app_.add_option(names, into, help)->type_name(type)->check(CLI::IsMember(values));
    return *this;
}

Command& Command::list(const char* names, std::optional<std::vector<std::string>>& into, const char* type, const char* help) {
    const auto take = [&into](const std::string& text) {
        if (!into) into.emplace();
        add_entries(*into, text);
    };
    app_.add_option_function<std::string>(names, take, help)
        ->type_name(type)
        ->multi_option_policy(CLI::MultiOptionPolicy::Join)
        ->trigger_on_parse();
    return *this;
}

Command& Command::flag(const char* names, bool& into, const char* help) {
    app_.add_flag(names, into, help);
    return *this;
}

Command& Command::resource_group() {
    const auto ignore = [](const std::string&) {};
    app_.add_option_function<std::string>("-g,--resource-group", ignore, "Accepted, not needed")->type_name("NAME");
    return *this;
}

CommandGroup CommandGroup::group(const char* name, const char* help, const char* example) {
    CLI::App& group = *app_.add_subcommand(name, help);
    group.require_subcommand(1);
    group.footer(std::string("Example:\n") + example);
    return CommandGroup(group, chosen_);
}

Command CommandGroup::declare(const char* name, const char* help, const char* example, Action action) {
    CLI::App& app = *app_.add_subcommand(name, help);
    app.footer(std::string("Example:\n") + example);
    auto& common = chosen_.common;
    constexpr const char* everywhere = "Of every command";
    app.add_option(
           "-r,--registry", common.registry,
           "Admin address of the server: unix:/PATH or HOST:PORT [ENTREPOT_ADMIN, else unix:/run/entrepot/admin.sock, else 127.0.0.1:5001]")
        ->type_name("ADDR")
        ->group(everywhere);
    app.add_option("-o,--output", common.output, "What the answer looks like: table, json or tsv")
        ->type_name("FORM")
        ->check(CLI::IsMember({"table", "json", "tsv"}).description(""))
        ->capture_default_str()
        ->group(everywhere);
    app.add_option("--timeout", common.timeout, "How long one request may take")
        ->type_name("TIME")
        ->capture_default_str()
        ->group(everywhere);
    app.callback([chosen = &chosen_, action = std::move(action)] { chosen->action = action; });
    return Command(app);
}

}  // namespace entrepot::cli
