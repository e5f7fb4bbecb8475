// Builds headers of GGUF files for tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mgpu::estimate {

class GgufWriter {
 public:
  GgufWriter& number(const std::string& name, std::uint32_t value) {
    ++entries_;
    return text(metadata_, name).raw(metadata_, std::uint32_t{4}).raw(metadata_, value);
  }
  GgufWriter& text(const std::string& name, const std::string& value) {
    ++entries_;
    return text(metadata_, name).raw(metadata_, std::uint32_t{8}).text(metadata_, value);
  }
  GgufWriter& numbers(const std::string& name, const std::vector<std::uint32_t>& values) {
    ++entries_;
    text(metadata_, name).raw(metadata_, std::uint32_t{9}).raw(metadata_, std::uint32_t{4});
    raw(metadata_, std::uint64_t{values.size()});
    for (const std::uint32_t value : values) raw(metadata_, value);
    return *this;
  }
  GgufWriter& strings(const std::string& name, std::uint64_t count) {
    ++entries_;
    text(metadata_, name)
        .raw(metadata_, std::uint32_t{9})
        .raw(metadata_, std::uint32_t{8})
        .raw(metadata_, count);
    for (std::uint64_t i = 0; i < count; ++i) text(metadata_, "word");
    return *this;
  }
  GgufWriter& tensor(const std::string& name, std::uint64_t offset) {
    ++tensor_count_;
    return text(tensors_, name)
        .raw(tensors_, std::uint32_t{1})
        .raw(tensors_, std::uint64_t{8})
        .raw(tensors_, std::uint32_t{0})
        .raw(tensors_, offset);
  }
  std::string header(std::uint32_t version = 3) {
    std::string all = "GGUF";
    raw(all, version).raw(all, tensor_count_).raw(all, entries_);
    all += metadata_ + tensors_;
    all.resize((all.size() + 31) / 32 * 32);
    return all;
  }

 private:
  template <class T>
  GgufWriter& raw(std::string& to, T value) {
    to.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  GgufWriter& text(std::string& to, const std::string& value) {
    raw(to, std::uint64_t{value.size()});
    to += value;
    return *this;
  }

  std::string metadata_, tensors_;
  std::uint64_t entries_ = 0, tensor_count_ = 0;
};

// 32 layers, 8 KV heads of width 128; with 9000 bytes of weights, 3000 of them stay in host memory.
inline GgufWriter llama_gguf() {
  GgufWriter file;
  file.text("general.architecture", "llama")
      .number("llama.block_count", 32)
      .number("llama.context_length", 131072)
      .number("llama.embedding_length", 4096)
      .number("llama.feed_forward_length", 14336)
      .number("llama.attention.head_count", 32)
      .number("llama.attention.head_count_kv", 8)
      .strings("tokenizer.ggml.tokens", 1000)
      .tensor("token_embd.weight", 0)
      .tensor("blk.0.attn_q.weight", 3000)
      .tensor("output.weight", 5000);
  return file;
}

}  // namespace mgpu::estimate
