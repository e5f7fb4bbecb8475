// Who sends a request: the one place where the daemon reads identity from a request's head, before the
// control plane or the gateway is chosen. Keys, scopes and their limits belong into this folder.
//
//   X-Mgpu-User: ada             the user, for fair shares; believed as it is
//   Authorization: Bearer KEY    the API key; any is taken. Other schemes are for the service alone
#pragma once

#include <string>

#include "base/result.h"
#include "domain/principal.h"
#include "http/message.h"

namespace mgpu::auth {

// `address`: of the client, without its port. Error: invalid_request, naming the header.
Result<Principal> authenticate(const http::RequestHead& head, std::string address);

}  // namespace mgpu::auth
