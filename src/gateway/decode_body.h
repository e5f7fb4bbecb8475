// Decodes a request's body that was sent with a Content-Encoding: the AI model is named in it, and most
// services take plain bodies only.
#pragma once

#include "gateway/transport.h"

namespace mgpu::gateway {

// Makes `caller` return the decoded body: removes Content-Encoding from its head, and the length, since that
// of the decoded body is unknown. A body without an encoding is unchanged. Limits on a body count decoded
// bytes. Errors: those of http::ContentDecoder::make; later `caller.read` also fails with invalid_request.
Result<void> decode_body(Caller& caller);

}  // namespace mgpu::gateway
