#pragma once
// One pull of one image by one node, in the steps of its client: tag to digest, index to manifest, manifest to config and
// layers, layers side by side; a layer that breaks off is continued by Range. Nothing is kept: every node is a fresh machine.

#include "load/node.h"

namespace entrepot::load {

/// Every request is written down by the node; the pull itself too. `due` is when it should have begun. False when anything
/// failed.
Task<bool> pull_image(Node& node, const Target& image, Instant due);

}  // namespace entrepot::load
