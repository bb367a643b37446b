#include "common/state/memfd_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>

namespace holdfast {
namespace {

// Beyond it the kernel would end the process (SIGXFSZ).
bool allowed(std::size_t size) {
  rlimit files{};
  return getrlimit(RLIMIT_FSIZE, &files) == 0 && size <= files.rlim_cur;
}

int make_descriptor(std::size_t size) {
  if (!allowed(size)) {
    errno = EFBIG;
    return -1;
  }
  int descriptor = memfd_create("holdfast-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptor < 0) return -1;
  bool sized = ftruncate(descriptor, static_cast<off_t>(size)) == 0 &&
               fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
  if (sized) return descriptor;
  int error = errno;
  close(descriptor);
  errno = error;
  return -1;
}

}  // namespace

std::unique_ptr<MemfdMemory> MemfdMemory::make(std::size_t size) {
  int descriptor = make_descriptor(size);
  if (descriptor < 0) return nullptr;
  void* memory =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
  if (memory == MAP_FAILED) {
    int error = errno;
    close(descriptor);
    errno = error;
    return nullptr;
  }
  std::span bytes(static_cast<std::byte*>(memory), size);
  return std::unique_ptr<MemfdMemory>(new MemfdMemory(bytes, descriptor));
}

MemfdMemory::~MemfdMemory() {
  munmap(bytes().data(), bytes().size());
  close(descriptor_);
}

// MADV_DONTNEED would only forget the mapping: the file keeps its pages.
bool MemfdMemory::give_back(std::size_t offset, std::size_t size) {
  return madvise(bytes().data() + offset, size, MADV_REMOVE) == 0;
}

std::unique_ptr<RegionMemory> make_state_memory(std::size_t size) {
  if (auto memory = MemfdMemory::make(size)) return memory;
  return make_plain_memory(size);
}

}  // namespace holdfast
