// The short run of a fuzzer in every `./dev test`: its corpus, then COUNT inputs derived from it, always the
// same for a seed. Usage: mgpu-replay-NAME FOLDER COUNT [SEED]
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

namespace fs = std::filesystem;
using InputBytes = std::vector<std::uint8_t>;

void run_input(const InputBytes& input) { LLVMFuzzerTestOneInput(input.data(), input.size()); }

// Concatenates parts of some inputs and changes a few bytes.
InputBytes make_mutant(const std::vector<InputBytes>& corpus, std::mt19937& random) {
  const auto random_below = [&](std::size_t end) {
    return std::uniform_int_distribution<std::size_t>(0, end - 1)(random);
  };
  InputBytes mutant;
  for (std::size_t parts = 1 + random_below(3); parts > 0; --parts) {
    const InputBytes& one = corpus[random_below(corpus.size())];
    if (one.empty()) continue;
    const std::size_t begin = random_below(4) == 0 ? random_below(one.size()) : 0;
    const std::size_t end = begin + 1 + random_below(one.size() - begin);
    mutant.insert(mutant.end(), one.begin() + static_cast<std::ptrdiff_t>(begin),
                  one.begin() + static_cast<std::ptrdiff_t>(end));
  }
  for (std::size_t changes = random_below(6); changes > 0 && !mutant.empty(); --changes) {
    const auto at = mutant.begin() + static_cast<std::ptrdiff_t>(random_below(mutant.size()));
    const auto byte = static_cast<std::uint8_t>(random_below(256));
    if (random_below(2) == 0)
      *at = byte;
    else
      mutant.insert(at, byte);
  }
  return mutant;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(argv[1])) files.push_back(entry.path());
  std::ranges::sort(files);
  std::vector<InputBytes> corpus;
  for (const fs::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    std::printf("%s\n", file.filename().c_str());
    std::fflush(stdout);  // so that the last line is the input that failed
    run_input(corpus.back());
  }
  if (corpus.empty()) return 2;
  const unsigned seed = argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : 1;
  std::mt19937 random(seed);
  const int count = std::atoi(argv[2]);
  const char* last = std::getenv("REPLAY_LAST");  // a file that receives each input before it runs
  for (int i = 0; i < count; ++i) {
    const InputBytes input = make_mutant(corpus, random);
    if (last != nullptr)
      std::ofstream(last, std::ios::binary)
          .write(reinterpret_cast<const char*>(input.data()), static_cast<std::streamsize>(input.size()));
    run_input(input);
  }
  std::printf("replay: %zu inputs of the corpus and %d derived from them, seed %u: all passed\n",
              corpus.size(), count, seed);
  return 0;
}
