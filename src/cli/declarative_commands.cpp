#include "cli/declarative_commands.h"

#include "cli/file.h"
#include "cli/plan_view.h"

#include "entrepot/rules/declaration.h"

#include <cerrno>
#include <cstring>

namespace entrepot::cli {
namespace {

struct ApplyOptions {
    std::string file;
    bool dry_run = false, prune = false, yes = false;
};

Outcome<std::string> text_of_file(const std::string& path) {
    auto file = path == "-" ? Result<File, int>(File::standard_input()) : File::open(path);
    auto text = file ? file->read(Declaration::bytes_max) : Result<std::string, int>(file.error());
    if (text) return std::move(*text);
    return failed("{} cannot be read: {}", path == "-" ? "standard input" : path, std::strerror(text.error()));
}

bool deletes(const Json& plan) {
    for (const auto& entry : plan)
        if (text_at(entry, "action") == "delete") return true;
    return false;
}

Outcome<void> apply(Session& session, const ApplyOptions& options) {
    auto text = text_of_file(options.file);
    if (!text) return text.error();
    auto document = apply_document(*text, options.file == "-" ? "standard input" : options.file);
    if (!document) return document.error();
    auto query = Query().flag("prune", options.prune);
    Condition condition;
    if (options.prune && !options.dry_run && !options.yes) {
        // What --prune deletes stands in no file that the user looks at, so it is said first.
        auto would = session.api().post("/api/v1/apply", *document, {}, Query(query).flag("dryRun", true));
        if (!would) return would.error().failure;
        if (deletes(at(*would, "plan"))) {
            [[maybe_unused]] auto shown = show_plan(session, *would, at(*would, "plan"), false);
            auto agreed = session.confirm(false, "Do this, deletions included?");
            if (!agreed) return agreed;
        }
        // What was agreed to is this plan: what somebody else made meanwhile stands in no line of it, and would be deleted unseen.
        condition = Condition::unchanged(text_at(*would, "etag"));
    }
    auto answer = session.api().post("/api/v1/apply", *document, condition, query.flag("dryRun", options.dry_run));
    if (!answer) return answer.error().failure;
    return show_plan(session, *answer, at(*answer, "plan"), !options.dry_run);
}

struct ExportOptions {};

Outcome<void> export_all(Session& session, const ExportOptions&) {
    auto document = session.api().get("/api/v1/export");
    if (!document) return document.error().failure;
    if (session.form() == OutputForm::json) return session.terminal().write(shown_json(*document));
    auto toml = exported_toml(*document);
    if (!toml) return toml.error();
    return session.terminal().write(*toml);
}

}  // namespace

Outcome<Json> apply_document(const std::string& text, const std::string& file) {
    const auto first = text.find_first_not_of(" \t\r\n");
    if (first != text.npos && text[first] == '{') {
        auto document = parse_json(text);
        if (!document) return failed("{} is no sound JSON, though it begins like it", file);
        return std::move(*document);
    }
    auto declaration = parse_declaration(text, file);
    if (!declaration) return failed("{}", declaration.error());
    return declaration_document(*declaration);
}

Outcome<std::string> exported_toml(const Json& document) {
    auto declaration = declaration_from_document(document);
    if (!declaration)
        return failed("what the server exported cannot be written as TOML: {}; -o json writes it as it is", declaration.error());
    return declaration_toml(*declaration);
}

void declare_declarative_commands(CommandGroup& commands) {
    auto apply_options = std::make_shared<ApplyOptions>();
    commands
        .command("apply", "Make the server's rules and credential sets what a file says: all of it, or nothing",
                 "  entrepot export > rules.toml\n  entrepot apply rules.toml --dry-run\n  entrepot apply rules.toml --prune",
                 apply_options, apply)
        .required("FILE", apply_options->file, "FILE",
                  "TOML with [[cache_rule]] and [[credential_set]], or JSON as 'export -o json' writes it; - is standard input")
        .flag("--prune", apply_options->prune, "Delete rules and credential sets that the file does not have")
        .flag("-y,--yes", apply_options->yes, "Do not ask before --prune deletes")
        .flag("--dry-run", apply_options->dry_run, "Say what would change; change nothing");
    commands.command("export", "Write the rules and credential sets made at run time, as TOML for 'apply' (or -o json)",
                     "  entrepot export > rules.toml", std::make_shared<ExportOptions>(), export_all);
}

}  // namespace entrepot::cli
