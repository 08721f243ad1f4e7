#include "entrepot/oci/image_config.h"

#include <nlohmann/json.hpp>

namespace entrepot {
namespace {

/// Takes the three texts at the top of the document; others are passed over without being kept.
class ConfigReader : public nlohmann::json_sax<nlohmann::json> {
  public:
    static constexpr int depth_max = 64;

    ImagePlatform found;

    bool null() override { return value(); }
    bool boolean(bool) override { return value(); }
    bool number_integer(number_integer_t) override { return value(); }
    bool number_unsigned(number_unsigned_t) override { return value(); }
    bool number_float(number_float_t, const string_t&) override { return value(); }
    bool binary(binary_t&) override { return value(); }
    bool string(string_t& text) override {
        if (wanted_) *wanted_ = text;
        return value();
    }
    bool start_object(std::size_t) override {
        wanted_ = nullptr;
        return ++depth_ <= depth_max;
    }
    bool start_array(std::size_t bytes) override { return start_object(bytes); }
    bool end_object() override {
        --depth_;
        return value();
    }
    bool end_array() override { return end_object(); }
    bool key(string_t& name) override {
        wanted_ = nullptr;
        if (depth_ != 1) return true;
        if (name == "os") wanted_ = &found.os;
        else if (name == "architecture") wanted_ = &found.architecture;
        else if (name == "variant") wanted_ = &found.variant;
        return true;
    }
    bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

  private:
    bool value() {
        wanted_ = nullptr;
        return found.os.empty() || found.architecture.empty() || found.variant.empty();
    }
    std::string* wanted_ = nullptr;
    int depth_ = 0;
};

}  // namespace

ImagePlatform parse_image_config(std::string_view json) {
    ConfigReader reader;
    (void)nlohmann::json::sax_parse(json, &reader);
    return std::move(reader.found);
}

}  // namespace entrepot
