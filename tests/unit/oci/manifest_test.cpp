#include "entrepot/oci/manifest.h"

#include <doctest/doctest.h>

#include <string>

using namespace entrepot;

namespace {

using Texts = std::initializer_list<std::string>;

const std::string digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::string descriptor(std::string_view size = "2", std::string_view more = "") {
    return R"({"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":")" + digest + R"(","size":)" +
           std::string(size) + std::string(more) + "}";
}
std::string with_type(std::string_view type, std::string_view members) {
    return R"({"schemaVersion":2,"mediaType":")" + std::string(type) + R"(",)" + std::string(members) + "}";
}
std::string nested(int depth) {
    return R"({"schemaVersion":2,"layers":[],"x":)" + std::string(static_cast<std::size_t>(depth - 1), '[') +
           std::string(static_cast<std::size_t>(depth - 1), ']') + "}";
}
std::string fault_of(const std::string& json) {
    const auto manifest = parse_manifest(json);
    return manifest ? "none" : std::string(name_of(manifest.error()));
}
bool refused_as(ManifestFault fault, const std::string& json) { return fault_of(json) == name_of(fault); }

}  // namespace

TEST_CASE("manifest: an OCI image with everything that concerns us") {
    const auto manifest =
        parse_manifest(R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
        "artifactType":"application/vnd.example.sbom","config":)" +
                       descriptor("7023") + R"(,
        "layers":[)" + descriptor("32654") +
                       "," + descriptor("18446744073709551615", R"(,"urls":["http://169.254.169.254/"],"data":"aGk=")") + R"(],
        "subject":)" + descriptor("5") +
                       R"(,"annotations":{"layers":"not a list","a":{"config":1.5}}})");
    REQUIRE(manifest);
    CHECK(manifest->kind == ManifestKind::image);
    CHECK_FALSE(manifest->is_index());
    CHECK(manifest->media_type == media_type::oci_image);
    CHECK(manifest->artifact_type == "application/vnd.example.sbom");
    REQUIRE(manifest->descriptors.size() == 4);
    CHECK(manifest->descriptors[0].role == DescriptorRole::config);
    CHECK(manifest->descriptors[0].size == 7023);
    CHECK(manifest->descriptors[0].digest.text() == digest);
    CHECK(manifest->descriptors[1].role == DescriptorRole::layer);
    CHECK(manifest->descriptors[1].media_type == "application/vnd.oci.image.layer.v1.tar+gzip");
    CHECK_FALSE(manifest->descriptors[1].foreign);
    CHECK(manifest->descriptors[2].size == UINT64_MAX);
    CHECK(manifest->descriptors[2].foreign);
    REQUIRE(manifest->subject());
    CHECK(manifest->subject()->size == 5);
}

TEST_CASE("manifest: an index with platforms") {
    const auto index = parse_manifest(
        with_type(media_type::docker_list,
                  R"("manifests":[)" +
                      descriptor("1", R"(,"platform":{"os":"linux","architecture":"arm","variant":"v7","os.features":["x"]})") +
                      "," + descriptor("1", R"(,"artifactType":"a/b")") + "]"));
    REQUIRE(index);
    CHECK(index->kind == ManifestKind::docker_list);
    CHECK(index->is_index());
    REQUIRE(index->descriptors.size() == 2);
    CHECK(index->descriptors[0].role == DescriptorRole::manifest);
    CHECK(index->descriptors[0].os == "linux");
    CHECK(index->descriptors[0].architecture == "arm");
    CHECK(index->descriptors[0].variant == "v7");
    CHECK(index->descriptors[1].os.empty());
    CHECK(index->descriptors[1].artifact_type == "a/b");
    CHECK_FALSE(index->subject());
}

TEST_CASE("manifest: the kind comes from mediaType, and from the content when there is none") {
    const std::string layers = R"("layers":[])", manifests = R"("manifests":[])";
    struct {
        std::string json;
        ManifestKind kind;
    } const rows[] = {
        {with_type(media_type::oci_image, layers), ManifestKind::image},
        {with_type("application/vnd.OCI.image.manifest.v1+JSON", layers), ManifestKind::image},
        {with_type(media_type::docker_image, layers), ManifestKind::docker_image},
        {with_type(media_type::oci_index, manifests), ManifestKind::index},
        {with_type(media_type::oci_artifact, R"("blobs":[])"), ManifestKind::artifact},
        {with_type("application/vnd.example.thing", manifests), ManifestKind::unknown},
        {R"({"schemaVersion":2,"layers":[]})", ManifestKind::image},
        {R"({"schemaVersion":2,"config":)" + descriptor() + "}", ManifestKind::image},
        {R"({"schemaVersion":2,"manifests":[]})", ManifestKind::index},
        {R"({"schemaVersion":2,"manifests":null,"mediaType":""})", ManifestKind::index},
        {R"({"schemaVersion":1,"name":"x","fsLayers":[{"blobSum":"y"}]})", ManifestKind::schema1},
        {R"({"layers":[],"schemaVersion":1,"mediaType":"application/vnd.docker.distribution.manifest.v1+prettyjws"})",
         ManifestKind::schema1},
        {"{}", ManifestKind::unknown},
        {R"({"config":null,"layers":null})", ManifestKind::image},
        {with_type(media_type::oci_image, R"("x":1)"), ManifestKind::image},  // without layers
    };
    for (const auto& row : rows) {
        CAPTURE(row.json);
        const auto manifest = parse_manifest(row.json);
        REQUIRE(manifest);
        CHECK(manifest->kind == row.kind);
    }
}

TEST_CASE("manifest: what we do not interpret stays opaque, whatever its members mean to others") {
    const std::string thing = "application/vnd.example.thing+json";
    for (const std::string& json :
         Texts{with_type(thing, R"("config":"a string","layers":{"a":1},"manifests":[1,2],"size":-1)"),
               with_type(thing, R"("manifests":[],"layers":[],"layers":[],"Config":0.5)"),
               R"({"config":7,"layers":"x","mediaType":"a/b"})", R"({"schemaVersion":1,"layers":[{"digest":"none"}]})"}) {
        CAPTURE(json);
        const auto manifest = parse_manifest(json);
        REQUIRE(manifest);
        CHECK(manifest->descriptors.empty());
    }
}

TEST_CASE("manifest: documents that two readers understand differently are refused") {
    for (const std::string& json : Texts{R"({"manifests":[],"layers":[]})",
                                         R"({"manifests":[],"config":)" + descriptor() + "}",
                                         with_type(media_type::oci_image, R"("manifests":[],"layers":[])"),
                                         with_type(media_type::oci_image, R"("manifests":[])"),
                                         with_type(media_type::oci_index, R"("layers":[])"),
                                         with_type(media_type::docker_list, R"("manifests":[],"config":null)"),
                                         with_type(media_type::oci_index, R"("manifests":[],"blobs":[])"),
                                         with_type(media_type::oci_artifact, R"("blobs":[],"layers":[])"),
                                         R"({"layers":[],"layers":[]})",
                                         R"({"layers":[],"Layers":[]})",
                                         R"({"Layers":[],"layers":[]})",
                                         "{\"layers\":[],\"layer\\u017f\":[]}",
                                         R"({"layers":[],"MANIFESTS":[]})",
                                         R"({"layers":[],"Subject":null})",
                                         R"({"mediaType":"a/b","mediaType":"a/b"})",
                                         R"({"mediaType":"a/b","mediatype":"a/c"})",
                                         R"({"schemaVersion":2,"schemaVersion":1})",
                                         R"({"layers":[)" + descriptor("1", R"(,"size":2)") + "]}",
                                         R"({"layers":[)" + descriptor("1", R"(,"Size":2)") + "]}",
                                         R"({"layers":[)" + descriptor("1", R"(,"digeſt":"x")") + "]}",
                                         R"({"manifests":[)" + descriptor("1", R"(,"platform":{"os":"a","OS":"b"})") + "]}"}) {
        CAPTURE(json);
        CHECK(fault_of(json) == name_of(ManifestFault::ambiguous));
    }
}

TEST_CASE("manifest: each descriptor has a digest of a known algorithm and an unsigned integer as size") {
    for (const char* size : {"-1", "-0", "1.0", "1e2", "18446744073709551616", "\"5\"", "null", "true", "[]", "{}", "[5]"}) {
        CAPTURE(size);
        CHECK(refused_as(ManifestFault::bad_descriptor, R"({"layers":[)" + descriptor(size) + "]}"));
    }
    for (const std::string& one :
         Texts{"{}", R"({"size":1})", R"({"digest":")" + digest + "\"}", R"({"digest":"sha256:abc","size":1})",
               R"({"digest":null,"size":1})", R"({"digest":5,"size":1})", "1", "null", "\"x\"", "[]",
               R"({"digest":"blake3:)" + digest.substr(7) + R"(","size":1})"}) {
        CAPTURE(one);
        CHECK(refused_as(ManifestFault::bad_descriptor, R"({"layers":[)" + one + "]}"));
    }
    CHECK(refused_as(ManifestFault::bad_descriptor, R"({"layers":{}})"));
    CHECK(refused_as(ManifestFault::bad_descriptor, R"({"layers":[],"config":[]})"));
    CHECK(refused_as(ManifestFault::bad_descriptor, R"({"layers":[],"config":"x"})"));
    CHECK(refused_as(ManifestFault::bad_descriptor, R"({"layers":[],"subject":{"digest":"x","size":1}})"));
}

TEST_CASE("manifest: numbers that nothing holds, and other broken JSON") {
    for (const std::string& json :
         Texts{"", "[]", "5", "\"x\"", "null", "{", "{}{}", "{} x", R"({"a":1e999})", R"({"a":-1e999})",
               R"({"a":)" + std::string(1'000'000, '9') + "}", R"({"a":NaN})", R"({"a":01})", "{\"a\":\"\xff\"}", R"({"a":1,})",
               "{'a':1}", "<html></html>", "{\"a\":\"\n\"}", "{/* */}"}) {
        CAPTURE(json.substr(0, 40));
        CHECK(refused_as(ManifestFault::not_json, json));
    }
}

TEST_CASE("manifest: 32 levels pass, 33 do not, 100,000 cost nothing") {
    CHECK(fault_of(nested(manifest_depth_max)) == "none");
    CHECK(refused_as(ManifestFault::too_deep, nested(manifest_depth_max + 1)));
    CHECK(refused_as(ManifestFault::too_deep, R"({"a":)" + std::string(100'000, '[')));
    std::string objects;
    for (int i = 0; i < 100'000; ++i) objects += R"({"layers":)";
    CHECK(refused_as(ManifestFault::too_deep, objects));
}

TEST_CASE("manifest: 10,000 descriptors pass, one more does not") {
    std::string list;
    for (std::size_t i = 0; i < descriptors_max; ++i) list += (i ? "," : "") + descriptor();
    const auto manifest = parse_manifest(R"({"layers":[)" + list + "]}");
    REQUIRE(manifest);
    CHECK(manifest->descriptors.size() == descriptors_max);
    CHECK(refused_as(ManifestFault::too_many_descriptors, R"({"layers":[)" + list + "," + descriptor() + "]}"));
    CHECK(refused_as(ManifestFault::too_many_descriptors, R"({"layers":[)" + list + R"(],"subject":)" + descriptor() + "}"));
}

TEST_CASE("manifest: 4 MiB pass, one byte more does not") {
    std::string json = R"({"layers":[]})";
    json.append(manifest_bytes_max - json.size(), ' ');
    CHECK(fault_of(json) == "none");
    CHECK(refused_as(ManifestFault::too_large, json + " "));
}

TEST_CASE("manifest: a media type that could not stand in a header is refused") {
    CHECK(refused_as(ManifestFault::type_conflict, R"({"mediaType":"a/b\r\nSet-Cookie: x"})"));
    CHECK(refused_as(ManifestFault::type_conflict, R"({"mediaType":"text"})"));
    CHECK(refused_as(ManifestFault::type_conflict, R"({"mediaType":"a/b; charset=utf-8"})"));
    CHECK(refused_as(ManifestFault::type_conflict, R"({"mediaType":"a/)" + std::string(254, 'b') + "\"}"));
    CHECK(refused_as(ManifestFault::type_conflict,
                     R"({"schemaVersion":1,"mediaType":"application/vnd.oci.image.manifest.v1+json"})"));
}

TEST_CASE("media type: parameters, spaces and case do not count") {
    CHECK(media_type_of(" \tapplication/json ; charset=utf-8") == "application/json");
    CHECK(media_type_of("") == "");
    CHECK(same_media_type("Application/JSON", "application/json;charset=utf-8"));
    CHECK_FALSE(same_media_type("application/json", "application/jsonx"));
    CHECK_FALSE(same_media_type("application/json", ""));
}

TEST_CASE("media type: what a manifest is served as, given its own word and the Content-Type") {
    const std::string image = with_type(media_type::oci_image, R"("layers":[])"), bare_image = R"({"layers":[]})",
                      bare_index = R"({"manifests":[]})";
    const std::string schema1 = R"({"schemaVersion":1})", thing = with_type("application/vnd.example.thing", R"("x":1)");
    struct {
        std::string json;
        std::string_view content_type, served;
    } const rows[] = {
        {image, media_type::oci_image, media_type::oci_image},
        {image, "APPLICATION/vnd.oci.image.manifest.v1+json; charset=utf-8", media_type::oci_image},
        {image, "", media_type::oci_image},
        {image, "text/plain", media_type::oci_image},
        {image, "application/json; charset=utf-8", media_type::oci_image},
        {image, "text/html", media_type::oci_image},
        {image, media_type::oci_index, ""},
        {image, media_type::docker_image, ""},
        {image, "application/vnd.example.other", ""},
        {bare_image, media_type::oci_image, media_type::oci_image},
        {bare_image, media_type::docker_image, media_type::docker_image},
        {bare_image, media_type::oci_index, ""},
        {bare_image, media_type::docker_schema1, ""},
        {bare_image, "text/plain", media_type::oci_image},
        {bare_image, "application/vnd.example.image", "application/vnd.example.image"},
        {bare_image, "application/vnd.evil\r\nX: y", media_type::oci_image},
        {bare_index, "", media_type::oci_index},
        {bare_index, media_type::docker_list, media_type::docker_list},
        {bare_index, media_type::docker_image, ""},
        {schema1, "application/json", media_type::docker_schema1_signed},
        {schema1, media_type::docker_schema1, media_type::docker_schema1},
        {schema1, media_type::oci_image, ""},
        {thing, "", "application/vnd.example.thing"},
        {thing, media_type::oci_image, ""},
        {"{}", "application/vnd.example.thing", "application/vnd.example.thing"},
        {"{}", "text/html", "application/octet-stream"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.json);
        CAPTURE(row.content_type);
        const auto manifest = parse_manifest(row.json);
        REQUIRE(manifest);
        const auto served = served_media_type(*manifest, row.content_type);
        CHECK(served.has_value() == !row.served.empty());
        if (served) CHECK(*served == row.served);
        if (!served) CHECK(served.error() == ManifestFault::type_conflict);
    }
}

TEST_CASE("manifest: the Accept list names each type we know once, and everything else last") {
    for (const std::string_view type :
         {media_type::oci_index, media_type::oci_image, media_type::oci_artifact, media_type::docker_list,
          media_type::docker_image, media_type::docker_schema1, media_type::docker_schema1_signed}) {
        const std::size_t at = manifest_accept.find(type);
        CHECK(at != std::string_view::npos);
        CHECK(manifest_accept.find(type, at + 1) == std::string_view::npos);
    }
    CHECK(manifest_accept.ends_with(", */*"));
}
