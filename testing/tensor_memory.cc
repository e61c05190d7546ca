#include "retort/testing/tensor_memory.h"

#include <atomic>

#include "c10/core/Allocator.h"
#include "c10/core/CPUAllocator.h"

namespace retort::testing {
namespace {

class CountingAllocator : public c10::Allocator {
 public:
  CountingAllocator(c10::Allocator* allocator, size_t bytes) : allocator_(allocator), bytes_(bytes) {}

  c10::DataPtr allocate(size_t size) override {
    if (size >= bytes_) ++count_;
    return allocator_->allocate(size);
  }
  c10::DeleterFnPtr raw_deleter() const override { return allocator_->raw_deleter(); }
  void copy_data(void* to, const void* from, size_t size) const override { allocator_->copy_data(to, from, size); }

  int count() const { return count_; }

 private:
  c10::Allocator* allocator_;
  size_t bytes_;
  std::atomic<int> count_ = 0;
};

}  // namespace

int TensorAllocations(size_t bytes, absl::FunctionRef<void()> call) {
  c10::Allocator* const before = c10::GetCPUAllocator();
  CountingAllocator counting(before, bytes);
  c10::SetCPUAllocator(&counting);
  call();
  c10::SetCPUAllocator(before);
  return counting.count();
}

}  // namespace retort::testing
