#include "entrepot/oci/catalog.h"

#include "oci/json_text.h"

namespace entrepot {

std::string catalog_body(std::span<const std::string_view> repositories) {
    std::string body = "{\"repositories\":";
    append_json_names(body, repositories);
    body.push_back('}');
    return body;
}

}  // namespace entrepot
