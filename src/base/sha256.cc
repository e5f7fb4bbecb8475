#include "base/sha256.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace mgpu {
namespace {

using State = std::array<std::uint32_t, 8>;

constexpr std::size_t kBlockSize = 64;
constexpr std::size_t kLengthSize = 8;  // of the length in bits at the end of the last block

// The first 32 bits of the fractional parts of the square roots of the first 8 primes,
constexpr State kInitialState{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                              0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

// and of the cube roots of the first 64 primes.
constexpr std::array<std::uint32_t, 64> kRoundConstants{
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

std::uint32_t big_endian_word(std::string_view bytes) {
  std::uint32_t word = 0;
  for (std::size_t i = 0; i < sizeof word; ++i) word = word << 8U | static_cast<unsigned char>(bytes[i]);
  return word;
}

// The message schedule of a block: 16 words of the message, 48 derived ones.
std::array<std::uint32_t, 64> expand_block(std::string_view block) {
  std::array<std::uint32_t, 64> words{};
  for (std::size_t i = 0; i < 16; ++i) words[i] = big_endian_word(block.substr(i * 4, 4));
  for (std::size_t i = 16; i < words.size(); ++i) {
    const std::uint32_t a = words[i - 15], b = words[i - 2];
    const std::uint32_t sigma0 = std::rotr(a, 7) ^ std::rotr(a, 18) ^ (a >> 3U);
    const std::uint32_t sigma1 = std::rotr(b, 17) ^ std::rotr(b, 19) ^ (b >> 10U);
    words[i] = words[i - 16] + sigma0 + words[i - 7] + sigma1;
  }
  return words;
}

void process_block(State& state, std::string_view block) {
  const auto words = expand_block(block);
  auto [a, b, c, d, e, f, g, h] = state;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::uint32_t sum1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
    const std::uint32_t choice = (e & f) ^ (~e & g);
    const std::uint32_t sum0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
    const std::uint32_t majority = (a & b) ^ (a & c) ^ (b & c);
    const std::uint32_t added = h + sum1 + choice + kRoundConstants[i] + words[i];
    h = std::exchange(g, std::exchange(f, std::exchange(e, d + added)));
    d = std::exchange(c, std::exchange(b, std::exchange(a, added + sum0 + majority)));
  }
  const State rounds{a, b, c, d, e, f, g, h};
  for (std::size_t i = 0; i < state.size(); ++i) state[i] += rounds[i];
}

// The rest of the message with its padding: a 1 bit, zeros, and the length of the message in bits.
std::string padded_tail(std::string_view rest, std::uint64_t message_size) {
  std::string tail(rest);
  tail += '\x80';
  while (tail.size() % kBlockSize != kBlockSize - kLengthSize) tail += '\0';
  const std::uint64_t bits = message_size * 8;
  for (std::size_t i = kLengthSize; i-- > 0;) tail += static_cast<char>(bits >> (i * 8) & 0xffU);
  return tail;
}

}  // namespace

std::string sha256_hex(std::string_view bytes) {
  State state = kInitialState;
  const std::size_t whole = bytes.size() / kBlockSize * kBlockSize;
  for (std::size_t at = 0; at < whole; at += kBlockSize) process_block(state, bytes.substr(at, kBlockSize));
  const std::string tail = padded_tail(bytes.substr(whole), bytes.size());
  for (std::size_t at = 0; at < tail.size(); at += kBlockSize)
    process_block(state, std::string_view(tail).substr(at, kBlockSize));
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const std::uint32_t word : state)
    for (unsigned shift = 32; shift > 0; shift -= 4) hex += kDigits[word >> (shift - 4) & 0xfU];
  return hex;
}

}  // namespace mgpu
