// The command line. One binary is the server and the tool that talks to it.

#include "main/serve.h"

#include "entrepot/base/log.h"
#include "entrepot/cli/command_line.h"

#include <CLI/CLI.hpp>

#include <cstdio>

namespace {

constexpr const char* version_text = "entrepot 0.1.0";

/// What is wrong with the words, in one line. Where a command should stand, CLI11 only says that one is missing.
std::string reason_of(const CLI::App& innermost, const CLI::ParseError& error) {
    const auto left = innermost.remaining();
    const bool no_command = innermost.get_require_subcommand_min() > 0 && innermost.get_subcommands().empty();
    if (no_command && !left.empty()) return "there is no command '" + left.front() + "'";
    return no_command ? "a command is missing" : error.what();
}

int refuse(const CLI::App& app, const CLI::ParseError& error) {
    const CLI::App* innermost = &app;
    std::string command = app.get_name();
    while (!innermost->get_subcommands().empty()) {
        innermost = innermost->get_subcommands().front();
        command += " " + innermost->get_name();
    }
    std::string reason = entrepot::escaped(reason_of(*innermost, error));
    std::fprintf(stderr, "entrepot: %s; see %s --help\n", reason.c_str(), command.c_str());
    return 2;
}

void declare_serve(CLI::App& serve, entrepot::ServeOptions& options) {
    serve
        .add_option("--listen", options.listen,
                    "Where the registry listens, in place of the file's addresses; may be given several times")
        ->type_name("ADDR:PORT");
    serve
        .add_option("--admin", options.admin,
                    "Where health, metrics and the API are served, in place of the file's addresses; may be given several times")
        ->type_name("ADDR:PORT|unix:PATH");
    serve.add_option("--store", options.store, "Directory of the ledger and of the first volume")->type_name("DIR");
    serve.add_option("--shards", options.shards, "Threads that serve, one per core [every allowed core]")
        ->type_name("N")
        ->check(CLI::Range(1, 1024));
    serve.add_option("--sysfs", options.sysfs, "Root of sysfs, where NUMA nodes are read from")
        ->capture_default_str()
        ->type_name("DIR");
    serve.add_flag("--check", options.check_only, "Check the configuration, say what is wrong with it, and end");
    serve.footer(
        "Example:\n  entrepot serve --config /etc/entrepot/entrepot.toml --check\n  entrepot serve --listen 0.0.0.0:5000 --store /data/entrepot\n");
}

}  // namespace

int main(int count, char** arguments) {
    CLI::App app{
        "A pull-through cache for container registries: one upstream fetch per blob, streamed to everybody who waits, verified.",
        "entrepot"};
    app.footer(
        "Example:\n  entrepot serve --listen 127.0.0.1:5000 --store /var/lib/entrepot\n  entrepot cache create -n docker-hub -s 'docker.io/*' -t 'hub/*'\n"
        "  docker pull 127.0.0.1:5000/hub/library/alpine\n");
    app.set_version_flag("--version", version_text);
    app.require_subcommand(1);

    entrepot::ServeOptions options;
    options.config_file = "/etc/entrepot/entrepot.toml";
    auto* serve = app.add_subcommand("serve", "Run the server in the foreground until SIGTERM or SIGINT");
    auto* config =
        serve->add_option("--config", options.config_file, "Configuration file (TOML)")->capture_default_str()->type_name("FILE");
    declare_serve(*serve, options);
    entrepot::cli::CommandLine commands(app);

    try {
        app.parse(count, arguments);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
        return refuse(app, error);
    }
    if (!serve->parsed()) return commands.run();
    options.config_file_given = config->count() > 0;
    return entrepot::serve(options);
}
