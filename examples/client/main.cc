// Waits for the turn of a consumer, holds it for some time in place of GPU work, and gives it back.
//
//   mgpu_client_example train 500        # consumer, milliseconds
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>

#include <mgpu/client.h>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: mgpu_client_example CONSUMER MILLISECONDS\n";
    return 2;
  }
  const mgpu::Request request{.consumer = argv[1], .on_waiting = [](const mgpu::Waiting& waiting) {
                                std::cout << "waiting at place " << waiting.place << std::endl;
                              }};
  const std::chrono::milliseconds work{std::atoi(argv[2])};

  mgpu::Client client;  // $MGPU_URL, or http://127.0.0.1:8090
  const auto result = client.run(request, {}, [&](mgpu::Lease& lease) {
    std::cout << "running ticket " << lease.ticket() << std::endl;
    std::this_thread::sleep_for(work);  // your CUDA work
    return !lease.ended();
  });

  if (!result) {
    std::cerr << result.failure().code << ": " << result.failure().detail << '\n';
    return 1;
  }
  std::cout << (*result ? "done" : "done, but the turn ended early") << std::endl;
  return 0;
}
