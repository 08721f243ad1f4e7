// The command line. One binary is the server and, later, the tool that talks to it.

#include "main/serve.h"

#include <CLI/CLI.hpp>

#include <cstdio>

namespace {

constexpr const char* version_text = "entrepot 0.1.0";

}  // namespace

int main(int count, char** arguments) {
    CLI::App app{
        "A pull-through cache for container registries: one upstream fetch per blob, streamed to everybody who waits, verified."};
    app.footer(
        "Example:\n  entrepot serve --listen 127.0.0.1:5000 --store /var/lib/entrepot\n  docker pull 127.0.0.1:5000/docker.io/library/alpine\n");
    app.set_version_flag("--version", version_text);
    app.require_subcommand(1);

    entrepot::ServeOptions options;
    options.config_file = "/etc/entrepot/entrepot.toml";
    auto* serve = app.add_subcommand("serve", "Run the server in the foreground until SIGTERM or SIGINT.");
    auto* config =
        serve->add_option("--config", options.config_file, "Configuration file (TOML)")->capture_default_str()->type_name("FILE");
    serve
        ->add_option("--listen", options.listen,
                     "Where the registry listens, in place of the file's addresses; may be given several times")
        ->type_name("ADDR:PORT");
    serve->add_option("--admin", options.admin, "Where health, metrics and status are served")->type_name("ADDR:PORT");
    serve->add_option("--store", options.store, "Directory of the ledger and of the first volume")->type_name("DIR");
    serve->add_option("--shards", options.shards, "Threads that serve, one per core [every allowed core]")
        ->type_name("N")
        ->check(CLI::Range(1, 1024));
    serve->add_option("--sysfs", options.sysfs, "Root of sysfs, where NUMA nodes are read from")
        ->capture_default_str()
        ->type_name("DIR");
    serve->add_flag("--check", options.check_only, "Check the configuration, say what is wrong with it, and end");
    serve->footer(
        "Example:\n  entrepot serve --config /etc/entrepot/entrepot.toml --check\n  entrepot serve --listen 0.0.0.0:5000 --store /data/entrepot\n");

    try {
        app.parse(count, arguments);
    } catch (const CLI::ParseError& error) {
        bool asked = error.get_exit_code() == 0;  // --help, --version
        int shown = app.exit(error);
        return asked ? shown : 2;
    }
    options.config_file_given = config->count() > 0;
    return entrepot::serve(options);
}
