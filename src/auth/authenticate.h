// Authenticates a request: the only place where the daemon reads an identity from a request's head, before
// the request is passed to the control plane or to the gateway. API keys, scopes and their limits belong in
// this folder.
//
//   X-Mgpu-User: ada             the user, for fair shares; not verified
//   Authorization: Bearer KEY    the API key; any value is accepted. Other schemes are left to the service
#pragma once

#include <string>

#include "base/result.h"
#include "domain/principal.h"
#include "http/message.h"

namespace mgpu::auth {

// `address`: of the client, without its port. Error: invalid_request, naming the header.
Result<Principal> authenticate(const http::RequestHead& head, std::string address);

}  // namespace mgpu::auth
