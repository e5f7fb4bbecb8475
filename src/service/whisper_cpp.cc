// whisper.cpp's server: one AI model from start to end. Its /load route is left alone: a load that fails ends
// it.
#include "service/service_base.h"

namespace mgpu::service {

std::unique_ptr<Service> make_whisper_cpp(Address address, const config::ServiceConfig& config) {
  return std::make_unique<ServiceBase>(std::move(address), config);
}

}  // namespace mgpu::service
