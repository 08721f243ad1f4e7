#pragma once
// Every handler of the table, in its order. Each stands in the file that its line names.

#include "entrepot/admin/route.h"

namespace entrepot {

// pages.cpp
Task<ApiReply> show_alive(ApiCall& call);
Task<ApiReply> show_ready(ApiCall& call);
Task<ApiReply> show_metrics(ApiCall& call);
Task<ApiReply> show_status(ApiCall& call);
Task<ApiReply> show_description(ApiCall& call);

// api_resources.cpp
Task<ApiReply> list_rules(ApiCall& call);
Task<ApiReply> show_rule(ApiCall& call);
Task<ApiReply> put_rule(ApiCall& call);
Task<ApiReply> patch_rule(ApiCall& call);
Task<ApiReply> delete_rule(ApiCall& call);
Task<ApiReply> list_credential_sets(ApiCall& call);
Task<ApiReply> show_credential_set(ApiCall& call);
Task<ApiReply> put_credential_set(ApiCall& call);
Task<ApiReply> patch_credential_set(ApiCall& call);
Task<ApiReply> delete_credential_set(ApiCall& call);
Task<ApiReply> check_credential_set(ApiCall& call);

Task<ApiReply> list_accounts(ApiCall& call);
Task<ApiReply> show_account(ApiCall& call);
Task<ApiReply> delete_account(ApiCall& call);

// api_accounts.cpp
Task<ApiReply> put_account(ApiCall& call);
Task<ApiReply> patch_account(ApiCall& call);

// api_apply.cpp
Task<ApiReply> apply_document(ApiCall& call);
Task<ApiReply> export_document(ApiCall& call);

// api_explain.cpp
Task<ApiReply> explain_reference(ApiCall& call);
Task<ApiReply> explain_what_if(ApiCall& call);

// api_sync.cpp
Task<ApiReply> sync_tags(ApiCall& call);

// api_purge.cpp
Task<ApiReply> purge_content(ApiCall& call);

}  // namespace entrepot
