#pragma once
// Every handler of the table, in its order. Each stands in the file that its line names.

#include "entrepot/admin/route.h"

namespace entrepot {

// pages.cpp
Task<ApiReply> show_alive(ApiCall& call);
Task<ApiReply> show_ready(ApiCall& call);
Task<ApiReply> show_metrics(ApiCall& call);
Task<ApiReply> show_status(ApiCall& call);

}  // namespace entrepot
