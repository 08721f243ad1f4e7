#include "cli/explanation.h"

#include <doctest/doctest.h>

using namespace entrepot::cli;

namespace {

Json answer() {
    return Json::parse(
        R"({"reference":"hub/library/alpine:3.20","style":"target","repository":"hub/library/alpine","tag":"3.20","digest":null,"rule":"docker-hub",
        "reason":"the target hub/* covers it","sourceRepository":"docker.io/library/alpine","loginServer":"docker.io","endpoints":["https://registry-1.docker.io"],
        "credentialSet":"hub-login","identity":null,"access":["alice","bob"],"tagTtl":"60s",
        "stored":{"tag":{"digest":"sha256:aa","checked":"2026-11-21T15:52:38Z","ageSeconds":7,"fresh":true},
                  "manifest":{"digest":"sha256:aa","mediaType":"application/vnd.oci.image.manifest.v1+json","size":1024,"present":true},
                  "blobs":{"present":2,"missing":1,"bytes":3145728}},
        "considered":[{"rule":"quay-rule","verdict":"its target quay/* does not cover it"}],"probe":null})");
}

bool mentions(const std::string& text, const char* part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("explanation: a walk from the reference to what is stored") {
    CHECK(explanation_text(answer(), true) ==
          "Reference     hub/library/alpine:3.20\n"
          "Asked as      target\n"
          "Repository    hub/library/alpine\n"
          "Rule          docker-hub\n"
          "Why           the target hub/* covers it\n"
          "Source        docker.io/library/alpine\n"
          "Login server  docker.io\n"
          "Endpoints     https://registry-1.docker.io\n"
          "Credentials   credential set hub-login\n"
          "May pull      alice, bob\n"
          "Tag TTL       60s\n"
          "Tag           3.20: sha256:aa, checked 2026-11-21T15:52:38Z (7 s ago), fresh\n"
          "Manifest      sha256:aa, application/vnd.oci.image.manifest.v1+json, 1024 bytes\n"
          "Blobs         2 stored (3.00 MiB), 1 missing\n"
          "Considered:\n"
          "  quay-rule  its target quay/* does not cover it\n");
}

TEST_CASE("explanation: nothing stored, nobody may, no rule") {
    auto nothing = answer();
    nothing["stored"] = Json{{"tag", nullptr}, {"manifest", nullptr}, {"blobs", nullptr}};
    nothing["access"] = Json::array();
    nothing["credentialSet"] = nullptr;
    const auto text = explanation_text(nothing, true);
    CHECK(mentions(text, "3.20: not known\n"));
    CHECK(mentions(text, "Manifest      not stored\n"));
    CHECK(mentions(text, "May pull      nobody\n"));
    CHECK(mentions(text, "none: anonymous\n"));
    nothing["stored"]["manifest"] = Json{{"digest", "sha256:bb"}, {"mediaType", nullptr}, {"size", 0}, {"present", false}};
    CHECK(mentions(explanation_text(nothing, true), "Manifest      not stored\n"));
    nothing["stored"]["manifest"] = Json{{"digest", "sha256:bb"}, {"mediaType", "a/b"}, {"size", 7u}, {"present", false}};
    CHECK(mentions(explanation_text(nothing, true), "Manifest      gone: sha256:bb, a/b, 7 bytes\n"));
    const auto no_rule = explanation_text(Json::parse(R"({"reference":"a","rule":null,"reason":"no rule covers it"})"), true);
    CHECK(mentions(no_rule, "Rule        none\n"));
    CHECK(mentions(no_rule, "Why         no rule covers it\n"));
    CHECK(!mentions(no_rule, "Source"));
}

TEST_CASE("explanation: what upstream said stands member by member, and hostile text stays text") {
    auto probed = answer();
    probed["probe"] = Json{{"status", 200}, {"digest", "sha256:bb"}, {"message", "\x1b[2J"}};
    const auto text = explanation_text(probed, true);
    CHECK(mentions(text, "Probe: status   200\n"));
    CHECK(mentions(text, "Probe: digest   sha256:bb\n"));
    CHECK(mentions(text, "Probe: message  \\x1b[2J\n"));
}

TEST_CASE("explanation: documents of other shapes are no crash") {
    for (const auto* text : {"null", "[]", "7", R"({"stored":7,"considered":[1,null],"probe":[],"access":{},"endpoints":"x"})"}) {
        CHECK(!explanation_text(Json::parse(text), true).empty());
        CHECK(!explanation_table(Json::parse(text)).empty());
    }
}
