#include "http/content_decoder.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <brotli/decode.h>
#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>

#include "base/ascii.h"

namespace mgpu::http {
namespace {

constexpr std::size_t kMaxCodings = 3;
constexpr std::size_t kMaxPiece = 64 * 1024;
// zstd windows beyond 8 MiB need that much memory for each body (RFC 9659 asks for this limit).
constexpr int kZstdWindowLog = 23;

std::unexpected<Error> broken(std::string_view coding, std::string_view reason) {
  return fail(ErrorCode::invalid_request, fmt::format("the body is not valid {}: {}", coding, reason));
}

// gzip (also several members in a row) and deflate.
class ZlibCoding final : public ContentCoding {
 public:
  explicit ZlibCoding(bool gzip) : gzip_(gzip) {}
  ZlibCoding(const ZlibCoding&) = delete;
  ZlibCoding& operator=(const ZlibCoding&) = delete;
  ~ZlibCoding() override {
    if (started_) inflateEnd(&stream_);
  }

  Result<bool> decode(std::string_view& input, std::string& output, std::size_t max_bytes) override {
    if (input.empty() && !started_) return false;
    if (ended_) {
      if (input.empty()) return false;
      if (!gzip_) return broken(name(), "bytes follow its end");
      if (inflateReset(&stream_) != Z_OK) return broken(name(), "it can't be continued");
      ended_ = false;
    }
    if (!started_) start(input.front());
    const std::size_t before = output.size();
    output.resize(before + max_bytes);
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    stream_.avail_in = static_cast<uInt>(std::min(input.size(), kMaxPiece));
    const uInt given = stream_.avail_in;
    stream_.next_out = reinterpret_cast<Bytef*>(output.data() + before);
    stream_.avail_out = static_cast<uInt>(max_bytes);
    const int status = inflate(&stream_, Z_NO_FLUSH);
    const std::size_t used = given - stream_.avail_in;
    input.remove_prefix(used);
    output.resize(output.size() - stream_.avail_out);
    // Z_BUF_ERROR: no progress was possible, more input is needed.
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
      return broken(name(), stream_.msg != nullptr ? stream_.msg : "its data is damaged");
    ended_ = status == Z_STREAM_END;
    return !ended_ && stream_.avail_out == 0;
  }

  bool is_complete() const override { return ended_; }

 private:
  std::string_view name() const { return gzip_ ? "gzip" : "deflate"; }

  // "deflate" means the zlib format, but some clients send raw deflate: zlib's first byte is 0x?8.
  void start(char first) {
    constexpr int kGzip = 16 + MAX_WBITS;
    const bool is_raw = !gzip_ && (static_cast<unsigned char>(first) & 0x0FU) != 8;
    const int raw_or_zlib = is_raw ? -MAX_WBITS : MAX_WBITS;
    started_ = inflateInit2(&stream_, gzip_ ? kGzip : raw_or_zlib) == Z_OK;
  }

  bool gzip_;
  bool started_ = false;
  bool ended_ = false;
  z_stream stream_{};
};

class ZstdCoding final : public ContentCoding {
 public:
  ZstdCoding() { ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kZstdWindowLog); }

  Result<bool> decode(std::string_view& input, std::string& output, std::size_t max_bytes) override {
    const std::size_t before = output.size();
    output.resize(before + max_bytes);
    ZSTD_inBuffer in{input.data(), input.size(), 0};
    ZSTD_outBuffer out{output.data() + before, max_bytes, 0};
    const std::size_t hint = ZSTD_decompressStream(context_.get(), &out, &in);
    input.remove_prefix(in.pos);
    output.resize(before + out.pos);
    if (ZSTD_isError(hint) != 0) return broken("zstd", ZSTD_getErrorName(hint));
    if (in.pos > 0 || out.pos > 0) ended_ = hint == 0;
    return out.pos == max_bytes;
  }

  bool is_complete() const override { return ended_; }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_DCtx, Free> context_{ZSTD_createDCtx()};
  bool ended_ = false;  // at the end of a frame; another may follow
};

class BrotliCoding final : public ContentCoding {
 public:
  Result<bool> decode(std::string_view& input, std::string& output, std::size_t max_bytes) override {
    if (ended_ && !input.empty()) return broken("br", "bytes follow its end");
    const std::size_t before = output.size();
    output.resize(before + max_bytes);
    std::size_t in_left = input.size();
    const auto* in = reinterpret_cast<const std::uint8_t*>(input.data());
    std::size_t out_left = max_bytes;
    auto* out = reinterpret_cast<std::uint8_t*>(output.data() + before);
    const BrotliDecoderResult status =
        BrotliDecoderDecompressStream(state_.get(), &in_left, &in, &out_left, &out, nullptr);
    input.remove_prefix(input.size() - in_left);
    output.resize(output.size() - out_left);
    if (status == BROTLI_DECODER_RESULT_ERROR)
      return broken("br", BrotliDecoderErrorString(BrotliDecoderGetErrorCode(state_.get())));
    ended_ = status == BROTLI_DECODER_RESULT_SUCCESS;
    return status == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT;
  }

  bool is_complete() const override { return ended_; }

 private:
  struct Free {
    void operator()(BrotliDecoderState* state) const { BrotliDecoderDestroyInstance(state); }
  };
  std::unique_ptr<BrotliDecoderState, Free> state_{BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)};
  bool ended_ = false;
};

std::unique_ptr<ContentCoding> make_coding(std::string_view name) {
  if (equals_ignore_case(name, "gzip") || equals_ignore_case(name, "x-gzip"))
    return std::make_unique<ZlibCoding>(true);
  if (equals_ignore_case(name, "deflate")) return std::make_unique<ZlibCoding>(false);
  if (equals_ignore_case(name, "zstd")) return std::make_unique<ZstdCoding>();
  if (equals_ignore_case(name, "br")) return std::make_unique<BrotliCoding>();
  return nullptr;
}

// The next element of a comma-separated list, trimmed, which is removed from it.
std::string_view take_element(std::string_view& list) {
  const std::size_t end = std::min(list.find(','), list.size());
  const std::string_view element = list.substr(0, end);
  list.remove_prefix(std::min(end + 1, list.size()));
  return trimmed(element);
}

}  // namespace

Result<ContentDecoder> ContentDecoder::make(std::string_view content_encoding) {
  ContentDecoder decoder;
  while (!content_encoding.empty()) {
    const std::string_view name = take_element(content_encoding);
    if (name.empty() || equals_ignore_case(name, "identity")) continue;
    std::unique_ptr<ContentCoding> coding = make_coding(name);
    if (!coding)
      return fail(ErrorCode::unknown_encoding,
                  fmt::format("Content-Encoding: {} is not supported; {} are", name, supported()));
    // The last coding was applied last, so it is decoded first.
    decoder.codings_.insert(decoder.codings_.begin(), Stage{.coding = std::move(coding)});
  }
  if (decoder.codings_.size() > kMaxCodings)
    return fail(ErrorCode::invalid_request, "the body has more than three content codings");
  return decoder;
}

void ContentDecoder::feed(std::string encoded) {
  (codings_.empty() ? plain_ : codings_.front().input) += encoded;
}

Result<void> ContentDecoder::run(Stage& stage, std::string& output) {
  std::string_view rest = stage.input;
  while (output.size() < kMaxPiece) {
    Result<bool> decoded = stage.coding->decode(rest, output, kMaxPiece - output.size());
    if (!decoded) return std::unexpected(decoded.error());
    stage.has_more = *decoded;
    if (rest.empty() && !stage.has_more) break;
  }
  stage.input.erase(0, stage.input.size() - rest.size());
  return {};
}

Result<std::string> ContentDecoder::next() {
  if (codings_.empty()) return std::exchange(plain_, {});
  // Each round moves at least one byte through one stage, from the last one that has some.
  while (true) {
    const auto busy = std::ranges::find_if(codings_.rbegin(), codings_.rend(), [](const Stage& stage) {
      return !stage.input.empty() || stage.has_more;
    });
    if (busy == codings_.rend()) return std::string{};
    std::string output;
    if (Result<void> done = run(*busy, output); !done) return std::unexpected(done.error());
    if (busy == codings_.rbegin()) {
      if (!output.empty()) return output;
    } else {
      std::prev(busy)->input += output;
    }
  }
}

Result<void> ContentDecoder::finish() const {
  for (const Stage& stage : codings_)
    if (!stage.coding->is_complete())
      return fail(ErrorCode::invalid_request, "the compressed body is cut off before its end");
  return {};
}

}  // namespace mgpu::http
