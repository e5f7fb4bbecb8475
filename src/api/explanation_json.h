// Explanations and prospects as JSON, together with the sentences that are made from the same values.
#pragma once

#include <deque>

#include "api/codec.h"
#include "domain/journal_entry.h"

#include "explain/explanation.h"
#include "explain/what_if.h"

namespace mgpu::api {

// How ids, instants and users are called; the journal for tickets that a sentence names.
struct Wording {
  const Registry& registry;
  const std::deque<JournalEntry>& journal;
  Wall wall{};
  UserShown user_shown{};
};

Json explanation_json(const explain::Explanation& told, const Wording& wording);
Json prospect_json(const explain::WhatIf& told, const Wording& wording);

}  // namespace mgpu::api
