#include "cli/explain_command.h"

#include "cli/explanation.h"

#include <algorithm>

namespace entrepot::cli {
namespace {

struct ExplainOptions {
    std::string reference;
    std::optional<std::string> style, ns, with_rule;
    bool probe = false;
};

Outcome<void> explain(Session& session, const ExplainOptions& options) {
    Answered<Json> answer = Json();
    if (options.with_rule) {
        auto rule = rule_of(*options.with_rule);
        if (!rule) return rule.error();
        Json request{{"reference", options.reference}, {"rule", *rule}};
        if (options.style) request["style"] = *options.style;
        if (options.ns) request["ns"] = *options.ns;
        if (options.probe) request["probe"] = true;
        answer = session.api().post("/api/v1/explain", request);
    } else {
        answer = session.api().get("/api/v1/explain", Query()
                                                          .add("reference", options.reference)
                                                          .add("style", options.style.value_or(""))
                                                          .add("ns", options.ns.value_or(""))
                                                          .flag("probe", options.probe));
    }
    if (!answer) return answer.error().failure;
    return session.show(*answer, explanation_text(*answer, session.terminal().utf8()), explanation_table(*answer));
}

}  // namespace

Outcome<Json> rule_of(const std::string& text) {
    const auto arrow = text.find("=>");
    if (arrow == text.npos || arrow == 0 || arrow + 2 == text.size())
        return misused("--with-rule takes SOURCE=>TARGET, as in 'docker.io/*=>hub/*'; not '{}'", text);
    const auto trimmed = [](std::string part) {
        part.erase(0, std::min(part.find_first_not_of(' '), part.size()));
        part.erase(part.find_last_not_of(' ') + 1);
        return part;
    };
    return Json{{"sourceRepository", trimmed(text.substr(0, arrow))}, {"targetRepository", trimmed(text.substr(arrow + 2))}};
}

void declare_explain_command(CommandGroup& cache) {
    auto explain_options = std::make_shared<ExplainOptions>();
    Command command =
        cache.command("explain", "Say which rule serves a reference and why, where it comes from, and what of it is stored",
                      "  entrepot cache explain hub/library/alpine:3.20\n"
                      "  entrepot cache explain alpine --style root --with-rule 'quay.io/*=>*'",
                      explain_options, explain);
    command.required("REFERENCE", explain_options->reference, "REF", "REPOSITORY[:TAG|@DIGEST], as a client would ask for it");
    command.choice("--style", explain_options->style, "STYLE", {"ns", "root", "target"},
                   "How the client asks: target (path of ours), ns (containerd), root (Docker's mirror)");
    command.optional("--ns", explain_options->ns, "HOST", "The login server of --style ns");
    command.flag("--probe", explain_options->probe, "Ask upstream as well; without this nothing leaves the server");
    command.optional("--with-rule", explain_options->with_rule, "RULE", "As if there were one more rule: SOURCE=>TARGET");
}

}  // namespace entrepot::cli
