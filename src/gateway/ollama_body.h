// The listings of AI models in Ollama's protocol: what Ollama services answered, and what the daemon knows of
// all other consumers, as one answer.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/response_body.h"

namespace mgpu::gateway {

// The services' own answers to the same request, by consumer. None of a consumer: it is not up, or does not
// speak the protocol.
using OllamaAnswers = std::map<std::string, std::string>;

// GET /api/tags, GET /api/ps. Of a consumer with an answer of its own: the entries of that, unchanged but for
// `expires_at` where the daemon decides when the AI model is unloaded. `now_ms`: Unix time. Every entry has a
// digest, since programs take names with equal digests for the same AI model.
std::string tags_body(const std::vector<ListedModel>& listed, const OllamaAnswers& answers,
                      std::int64_t now_ms);
std::string ps_body(const std::vector<ListedModel>& listed, const OllamaAnswers& answers,
                    std::int64_t now_ms);

// POST /api/show of a service that has no such request, or is not up.
std::string show_body(const ListedModel& listed, std::int64_t now_ms);

}  // namespace mgpu::gateway
