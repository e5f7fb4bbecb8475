#include "engine/consumer_notes.h"

#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

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

void ConsumerNotes::set_background(ConsumerId consumer, int pid) {
  set(consumer, Topic::background,
      pid == 0 ? ""
               : "its command ended and left its server in the background: it must stay in the foreground, "
                 "so that "
                 "its output, its exit code and its end are seen");
}

void ConsumerNotes::set_binding(ConsumerId consumer, const std::string& problem) {
  set(consumer, Topic::binding,
      problem.empty() ? "" : "it may compute on devices that it is not bound to: " + problem);
}

void ConsumerNotes::set_misplaced(const Registry& registry, ConsumerId consumer,
                                  const std::set<DeviceId>& found_on) {
  const auto names = [&](const auto& devices) {
    std::vector<std::string> list;
    for (const DeviceId device : devices) list.push_back(registry.devices[device.value].name);
    return fmt::format("{}", fmt::join(list, ", "));
  };
  set(consumer, Topic::misplaced,
      found_on.empty()
          ? ""
          : fmt::format("it holds memory of {}, but is bound to {}: what it holds there counts as "
                        "foreign, and other consumers may meet it",
                        names(found_on), names(devices_of(registry[consumer].spec))));
}

std::vector<std::string> ConsumerNotes::texts(ConsumerId consumer) const {
  std::vector<std::string> texts;
  if (const auto found = notes_.find(consumer); found != notes_.end())
    for (const auto& [topic, text] : found->second.present)
      if (!text.empty()) texts.push_back(text);
  return texts;
}

}  // namespace mgpu::engine
