// whisper.cpp's server: one AI model, which is loaded as long as its process runs. Its /load route is not
// used: a load that fails ends the process.
#include "service/service_base.h"

namespace mgpu::service {

std::unique_ptr<Service> make_whisper_cpp(Address address, const config::ServiceConfig& config) {
  return std::make_unique<ServiceBase>(std::move(address), config);
}

}  // namespace mgpu::service
