#include "engine/consumer_notes.h"

#include <utility>

namespace mgpu::engine {

void ConsumerNotes::set_listener(Listener listener) {
  listener_ = std::move(listener);
  if (!listener_) return;
  for (const auto& [consumer, notes] : notes_)
    for (const std::string& text : texts(consumer)) listener_(consumer, text);
}

void ConsumerNotes::set(ConsumerId consumer, Topic topic, std::string text) {
  Notes& notes = notes_[consumer];
  notes.present[topic] = text;
  if (text.empty() || notes.told[topic] == text) return;
  if (listener_) listener_(consumer, text);
  notes.told[topic] = std::move(text);
}

std::vector<std::string> ConsumerNotes::texts(ConsumerId consumer) const {
  std::vector<std::string> texts;
  if (const auto found = notes_.find(consumer); found != notes_.end())
    for (const auto& [topic, text] : found->second.present)
      if (!text.empty()) texts.push_back(text);
  return texts;
}

}  // namespace mgpu::engine
