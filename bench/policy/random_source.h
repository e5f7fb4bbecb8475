// Random numbers that are the same on every machine (splitmix64), unlike the standard library's
// distributions.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/time.h"

namespace mgpu::bench {

class RandomSource {
 public:
  explicit RandomSource(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}

  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  double uniform_between(double low, double high) { return low + (high - low) * uniform(); }
  int integer_between(int low, int high) {  // both inclusive
    return low + static_cast<int>(next() % static_cast<std::uint64_t>(high - low + 1));
  }
  double exponential(double mean) { return -mean * std::log1p(-uniform()); }

 private:
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  std::uint64_t state_;
};

constexpr Duration seconds(double count) { return Duration{static_cast<std::int64_t>(count * 1e6)}; }

}  // namespace mgpu::bench
