// Explanations and prospects as JSON, together with the sentences that are made from the same values.
#pragma once

#include <deque>

#include "api/codec.h"
#include "domain/journal_entry.h"

#include "explain/explanation.h"
#include "explain/what_if.h"

namespace mgpu::api {

// How ids, instants and users are called; the journal for tickets that a sentence names.
struct RenderContext {
  const Registry& registry;
  const std::deque<JournalEntry>& journal;
  WallClock wall{};
  UserLabels user_labels{};
};

Json explanation_json(const explain::Explanation& explanation, const RenderContext& render_context);
Json what_if_json(const explain::WhatIf& what_if, const RenderContext& render_context);

}  // namespace mgpu::api
